/** The `ottla` command as a child process, for tests. Does not judge what it prints. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const cli = resolve(import.meta.dirname, '../../../src/cli.ts');

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ChildOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function launch(argv: readonly string[], options: ChildOptions): ChildProcessWithoutNullStreams {
  // Only what the child needs: variables of whoever runs the tests must not become settings.
  const env = { PATH: process.env['PATH'] ?? '', ...(process.env['TMPDIR'] === undefined ? {} : { TMPDIR: process.env['TMPDIR'] }), ...options.env };
  return spawn(process.execPath, [cli, ...argv], { env, cwd: options.cwd });
}

/** Runs a command to its end. */
export async function ottla(argv: readonly string[], options: ChildOptions = {}): Promise<Finished> {
  const child = launch(argv, options);
  const [out, err] = [collect(child.stdout), collect(child.stderr)];
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out: out.text, err: err.text };
}

export class RunningOttla {
  readonly readyLine: string;
  readonly bootstrap: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #out: { text: string };
  readonly #err: { text: string };
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcessWithoutNullStreams, out: { text: string }, err: { text: string }) {
    this.#child = child;
    this.#out = out;
    this.#err = err;
    this.#closed = once(child, 'close');
    this.readyLine = out.text.trimEnd();
    this.bootstrap = /^ottla ready on (\S+)/.exec(this.readyLine)?.[1] ?? '';
  }

  /** Resolves with the first line of standard output; rejects when the process ends before it. */
  static async start(argv: readonly string[], options: ChildOptions = {}): Promise<RunningOttla> {
    const child = launch(['start', ...argv], options);
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    await new Promise<void>((resolveReady, reject) => {
      child.stdout.on('data', () => out.text.includes('\n') && resolveReady());
      child.once('close', (code) => reject(new Error(`ottla ended with ${code}: ${err.text}`)));
    });
    return new RunningOttla(child, out, err);
  }

  async stop(...signals: NodeJS.Signals[]): Promise<Finished & { signal: NodeJS.Signals | null }> {
    for (const signal of signals) this.#child.kill(signal);
    const [code, signal] = (await this.#closed) as [number | null, NodeJS.Signals | null];
    return { code, signal, out: this.#out.text, err: this.#err.text };
  }
}

function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: '' };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    collected.text += chunk;
  });
  return collected;
}
