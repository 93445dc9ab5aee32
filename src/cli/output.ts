/** Standard output for results, at the speed of whoever reads them; standard error for progress. Does not decide what is said. */
import type { Clock } from '../runtime/runtime.ts';

const FLUSH_BYTES = 64 * 1024;
const PROGRESS_INTERVAL_MS = 1000;

export class Output {
  readonly #parts: (string | Buffer)[] = [];
  #bytes = 0;

  line(text: string): void {
    this.write(`${text}\n`);
  }

  write(part: string | Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  get isFull(): boolean {
    return this.#bytes >= FLUSH_BYTES;
  }

  /** Resolves when the reader has taken it. */
  async flush(): Promise<void> {
    if (this.#parts.length === 0) return;
    const all = Buffer.concat(this.#parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
    this.#parts.length = 0;
    this.#bytes = 0;
    await new Promise<void>((resolve) => process.stdout.write(all, () => resolve()));
  }
}

/** Columns as wide as they must be. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ').trimEnd());
}

/** One line on a terminal that is written over, at most once a second; nothing where nobody looks. */
export class Progress {
  readonly #clock: Clock;
  readonly #isShown = process.stderr.isTTY === true;
  #lastMs: number;
  #wasShown = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
  }

  say(text: () => string): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#isShown || nowMs - this.#lastMs < PROGRESS_INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#wasShown = true;
    process.stderr.write(`\r\u001b[K${text()}`);
  }

  /** Clears the line. */
  end(): void {
    if (this.#wasShown) process.stderr.write('\r\u001b[K');
    this.#wasShown = false;
  }
}
