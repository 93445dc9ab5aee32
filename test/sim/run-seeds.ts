/**
 * Runs seeds in child processes, several at a time, each process one seed after the other.
 * Promises: a report for each seed in the order of the seeds, also where the process ended or hung. Does not: run seeds in this process.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FaultKind } from './plan.ts';

/** The program of the children: gets seeds, gives reports. */
const SERVER = fileURLToPath(new URL('./serve-seeds.ts', import.meta.url));

/** Of real time: a run takes about a second. */
const SEED_MS_MAX = 180_000;

/** What a child process tells of a seed. */
export interface SeedReport {
  readonly seed: number;
  readonly failure: string | null;
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly acknowledged: number;
  readonly faults: readonly (readonly [kind: string, times: number])[];
  readonly realMs: number;
}

export interface RunOptions {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly nodes?: number | undefined;
  /** Only these faults, and more of them. */
  readonly kinds?: readonly FaultKind[] | undefined;
  /** Arguments for Node in the children: module hooks. */
  readonly execArgv?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly onReport?: (report: SeedReport) => void;
  /** Ends the run at the first failing seed. */
  readonly stopAtFailure?: boolean;
}

/** Runs seeds in child processes; the reports come in the order of the seeds. */
export async function runSeeds(options: RunOptions): Promise<SeedReport[]> {
  const reports: SeedReport[] = [];
  let next = options.from;
  const end = options.from + options.seeds;
  let stopped = false;
  const work = async (): Promise<void> => {
    let child: Child | null = null;
    while (next < end && !stopped) {
      const seed = next++;
      child ??= new Child(options);
      const report = await child.run(seed);
      reports.push(report);
      options.onReport?.(report);
      if (report.failure !== null && options.stopAtFailure === true) stopped = true;
      if (child.isGone) child = null;
    }
    child?.end();
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  return reports.sort((a, b) => a.seed - b.seed);
}

class Child {
  isGone = false;
  readonly #process: ChildProcess;
  #errors = '';

  constructor({ execArgv = [], environment = {}, nodes, kinds }: RunOptions) {
    const args = [JSON.stringify({ nodes, kinds })];
    this.#process = fork(SERVER, args, { execArgv: [...process.execArgv, ...execArgv], env: { ...process.env, ...environment }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#process.stderr!.on('data', (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString()).slice(-4000)));
  }

  run(seed: number): Promise<SeedReport> {
    const lost = (failure: string): SeedReport => ({ seed, failure, hash: '', events: 0, virtualMs: 0, acknowledged: 0, faults: [], realMs: 0 });
    return new Promise((resolve) => {
      const finish = (report: SeedReport): void => {
        clearTimeout(timer);
        this.#process.off('message', onMessage);
        this.#process.off('exit', onExit);
        resolve(report);
      };
      const onMessage = (report: unknown): void => finish(report as SeedReport);
      const onExit = (): void => {
        this.isGone = true;
        finish(lost(`the process ended: ${this.#errors}`));
      };
      const timer = setTimeout(() => {
        this.isGone = true;
        this.#process.kill('SIGKILL');
        finish(lost(`it did not end within ${SEED_MS_MAX} ms`));
      }, SEED_MS_MAX);
      this.#process.on('message', onMessage);
      this.#process.on('exit', onExit);
      this.#process.send(seed);
    });
  }

  end(): void {
    this.#process.disconnect();
  }
}
