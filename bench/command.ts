/** Runs a program to its end. Promises: no program outlives its deadline or this process; a failure's message holds the end of what it printed. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Given to standard input; none: it is closed. */
  readonly input?: string | Buffer;
  /** Called with every line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
  /** A status other than 0 is a result, not an error. */
  readonly anyStatus?: boolean;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
  readonly seconds: number;
}

const living = new Set<ChildProcessByStdio<Writable, Readable, Readable>>();
process.on('exit', () => {
  for (const child of living) killGroup(child);
});

function killGroup(child: { readonly pid?: number | undefined }): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function command(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { timeoutMs = 600_000 } = options;
  return new Promise((done, failed) => {
    const started = performance.now();
    // Its own process group: shells around Java would otherwise leave it behind when they are killed.
    const child = spawn(program, args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd && { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    living.add(child);
    let stdout = '',
      stderr = '',
      lineStart = 0,
      late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child);
    }, timeoutMs);
    child.stdin.on('error', () => {}); // a program may end without having read its input
    child.stdin.end(options.input);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      for (let end; options.onLine && (end = stdout.indexOf('\n', lineStart)) !== -1; lineStart = end + 1) options.onLine(stdout.slice(lineStart, end));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      living.delete(child);
      failed(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      living.delete(child);
      const status = code ?? 128 + (constants.signals[signal!] ?? 0);
      if (late || (status !== 0 && !options.anyStatus)) {
        const how = late ? `did not end within ${timeoutMs} ms` : `ended with ${signal ?? status}`;
        failed(new Error(`${program} ${args.join(' ')}: ${how}\n${(stdout + stderr).trimEnd().split('\n').slice(-15).join('\n')}`));
      } else done({ stdout, stderr, status, seconds: (performance.now() - started) / 1000 });
    });
  });
}
