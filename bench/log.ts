/**
 * What the log costs by itself, on real files: appending and writing, reading from memory and from files, opening many partitions.
 *
 *   node bench/log.ts [DIR] [MB per row = 500] [partitions = 5000]
 *
 * Promises: the log as the broker uses it, one write per turn; nanoseconds of `append` are its own, without the checksum that a produced batch is checked
 * by before; processor seconds are of all threads of this process. Does not: flush, so what it measures of the disk is the page cache.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BASE_SEQUENCE_AT } from '../protocol/record/batch.ts';
import { buildBatch } from '../protocol/record/build.ts';
import { nodeRuntime } from '../src/runtime/node.ts';
import { DEFAULT_LOG_CONFIG } from '../storage/log-config.ts';
import { LogDirectory } from '../storage/log-directory.ts';
import type { Log } from '../storage/log.ts';
import { TailBudget } from '../storage/tail.ts';

export interface LogLoad {
  readonly title: string;
  readonly recordBytes: number;
  readonly recordsPerBatch: number;
  readonly batchesPerTurn: number;
  readonly idempotent: boolean;
}

export interface LogRow {
  readonly title: string;
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGb: number;
  /** Of `append` alone, where something was appended. */
  readonly appendNs: number | undefined;
}

export interface OpenRow {
  readonly title: string;
  readonly partitions: number;
  readonly ms: number;
}

export const loads: readonly LogLoad[] = [
  { title: '100 B, one record a batch, 1 a turn', recordBytes: 100, recordsPerBatch: 1, batchesPerTurn: 1, idempotent: false },
  { title: '100 B, one record a batch, 32 a turn', recordBytes: 100, recordsPerBatch: 1, batchesPerTurn: 32, idempotent: true },
  { title: '100 B, batches of 16 KiB, 8 a turn', recordBytes: 100, recordsPerBatch: 150, batchesPerTurn: 8, idempotent: true },
  { title: '1 KiB, batches of 1 MiB, 2 a turn', recordBytes: 1024, recordsPerBatch: 1000, batchesPerTurn: 2, idempotent: true },
];

const TOPIC_ID = 'TziIL9W9SW2CPHav37dTwg';
const READ_BYTES_MAX = 1_048_576;

function meter(): () => { seconds: number; cpuSeconds: number } {
  const from = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - from) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

function row(title: string, bytes: number, used: { seconds: number; cpuSeconds: number }, appendNs?: number): LogRow {
  return { title, bytesPerSecond: bytes / used.seconds, cpuSecondsPerGb: used.cpuSeconds / (bytes / 1e9), appendNs };
}

/** Appends about so many bytes, and reads them back from the files. */
export async function runLoad(load: LogLoad, bytesTotal: number, path: string): Promise<LogRow[]> {
  const { disk, random } = nodeRuntime();
  const directory = LogDirectory.open({ disk, path, uuid: () => random.uuid(), tail: new TailBudget({ tailBytesMax: 0 }) });
  const log = directory.createLog({ topic: 'bench', partition: 0, topicId: TOPIC_ID, config: DEFAULT_LOG_CONFIG, nowMs: Date.now() });
  const rows = [await append(log, load, bytesTotal), await readAll(log, `${load.title}: read`)];
  await directory.close();
  return rows;
}

async function append(log: Log, load: LogLoad, bytesTotal: number): Promise<LogRow> {
  const { recordBytes, recordsPerBatch, batchesPerTurn, idempotent } = load;
  const records = Array.from({ length: recordsPerBatch }, (_, i) => ({ timestamp: Date.now(), value: Buffer.alloc(recordBytes, i) }));
  const model = buildBatch({ records, ...(idempotent && { producerId: 1, producerEpoch: 0, baseSequence: 0 }) });
  const options = { leaderEpoch: 0, nowMs: Date.now(), origin: 'client' as const };
  const count = Math.max(1, Math.floor(bytesTotal / model.length));
  let appendMs = 0;
  let sequence = 0;
  const read = meter();
  for (let done = 0; done < count; ) {
    const turn = Array.from({ length: Math.min(batchesPerTurn, count - done) }, () => {
      const batch = Buffer.from(model);
      if (idempotent) batch.writeInt32BE(sequence, BASE_SEQUENCE_AT);
      sequence = (sequence + recordsPerBatch) % 2 ** 31;
      return batch;
    });
    const from = performance.now();
    for (const batch of turn) if (log.append(batch, options).error !== 0) throw new Error('the log refused a batch');
    appendMs += performance.now() - from;
    await log.write();
    done += turn.length;
  }
  log.advanceHighWatermark(log.logEndOffset);
  return row(load.title, count * model.length, read(), (appendMs * 1e6) / count);
}

async function readAll(log: Log, title: string): Promise<LogRow> {
  const read = meter();
  let bytes = 0;
  for (let offset = log.logStartOffset; offset < log.highWatermark; ) {
    const found = await log.read(offset, { maxBytes: READ_BYTES_MAX, endOffset: log.highWatermark, minOneBatch: true });
    if (found.bytes === 0) throw new Error(`nothing to read at ${offset}`);
    bytes += found.bytes;
    offset = found.nextOffset;
  }
  return row(title, bytes, read());
}

/** Makes so many partitions with a few batches each, and opens them after a clean stop and after none. */
export async function runOpen(partitions: number, path: string): Promise<OpenRow[]> {
  const { disk, random } = nodeRuntime();
  const rows: OpenRow[] = [];
  const open = (): LogDirectory => LogDirectory.open({ disk, path, uuid: () => random.uuid() });
  const nowMs = Date.now();
  const timed = async (title: string, run: () => unknown): Promise<void> => {
    const from = performance.now();
    await run();
    rows.push({ title, partitions, ms: performance.now() - from });
  };
  let directory = open();
  await timed('create', () => {
    for (let i = 0; i < partitions; i++) directory.createLog({ topic: `t${i % 50}`, partition: Math.floor(i / 50), topicId: TOPIC_ID, config: DEFAULT_LOG_CONFIG, nowMs });
  });
  await timed('append and write', () => {
    for (const log of directory.logs) {
      for (let n = 0; n < 3; n++) log.append(buildBatch({ records: [{ timestamp: nowMs, value: Buffer.alloc(2000) }] }), { leaderEpoch: 0, nowMs, origin: 'client' });
    }
    return Promise.all([...directory.logs].map((log) => log.write()));
  });
  await timed('close', () => directory.close());
  const openAll = (): void => {
    directory = open();
    for (const found of directory.found) if (directory.openLog(found, { config: DEFAULT_LOG_CONFIG, nowMs }).logEndOffset !== 3) throw new Error(`${found.name} lost records`);
  };
  await timed('open after a clean stop', openAll);
  directory.release();
  await timed('open after none', openAll);
  await directory.close();
  return rows;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [parent = tmpdir(), megabytes = '500', partitions = '5000'] = process.argv.slice(2);
  const root = mkdtempSync(join(parent, 'ottla-bench-log-'));
  try {
    for (const [i, load] of loads.entries()) {
      // Small batches cost by their number, not by their bytes.
      const bytes = Number(megabytes) * 1e6 * (load.recordsPerBatch === 1 ? 0.1 : 1);
      for (const { title, bytesPerSecond, cpuSecondsPerGb, appendNs } of await runLoad(load, bytes, join(root, String(i)))) {
        const each = appendNs === undefined ? '' : `${appendNs.toFixed(0).padStart(6)} ns/append`;
        console.log(`${title.padEnd(44)} ${(bytesPerSecond / 1e6).toFixed(0).padStart(6)} MB/s ${cpuSecondsPerGb.toFixed(2).padStart(7)} CPU-s/GB ${each}`);
      }
      rmSync(join(root, String(i)), { recursive: true });
    }
    for (const { title, partitions: count, ms } of await runOpen(Number(partitions), join(root, 'many'))) console.log(`${`${count} partitions: ${title}`.padEnd(44)} ${ms.toFixed(0).padStart(6)} ms`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
