/**
 * The `ottla` command: finds the command, runs it, and turns what goes wrong into one line on standard error and an exit code (2 for what was
 * typed or configured, 1 for what happened). Does not do a command's work: `cli/` does, one file a command, loaded when it is called.
 */
import module from 'node:module';

// The first start strips types and compiles; the others read what the first has left. Nothing else may be imported before it.
module.enableCompileCache();

const { commandList, commandOf } = await import('./cli/commands.ts');
const { explain } = await import('./cli/failures.ts');

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === '--version' || argv[0] === '-v' || argv[0] === 'version') {
    const { version } = await import('./cli/version.ts');
    console.log(version());
    return 0;
  }
  if (argv.length === 1 && (argv[0] === '--help' || argv[0] === '-h' || argv[0] === 'help')) {
    const { startHelp } = await import('./cli/start.ts');
    console.log(`${commandList()}\n\n${startHelp()}`);
    return 0;
  }
  const found = await commandOf(argv);
  return found.command.run(found.argv);
}

// A reader that has seen enough (`ottla consume t | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

let code: number;
try {
  code = await main(process.argv.slice(2));
} catch (error) {
  const failure = explain(error);
  console.error(`ottla: ${failure.line}`);
  code = failure.exitCode;
}
process.exitCode = code;
