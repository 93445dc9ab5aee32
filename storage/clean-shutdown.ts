/**
 * `.kafka_cleanshutdown`: the mark that says that every log in the directory was flushed and its checkpoints written, so that nothing needs to be
 * recovered; and the epoch with which the broker was registered, by which the controller knows a broker that lost nothing.
 *
 *     {"version":0,"brokerEpoch":11}            and no line end
 *
 * Promises: written and removed durably. Does not: decide when; it must be gone before the first append after a start.
 */
import { corrupt, joinPath, loadFile, removeFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';

export const CLEAN_SHUTDOWN = '.kafka_cleanshutdown';

/** The value is the broker epoch, -1 for none. Kafka before 3.6 wrote the mark empty. */
export function loadCleanShutdown(disk: Disk, directory: string): Loaded<number> {
  return loadFile(disk, joinPath(directory, CLEAN_SHUTDOWN), parseCleanShutdown);
}

export function writeCleanShutdown(disk: Disk, directory: string, brokerEpoch: number): void {
  replaceFileSync(disk, joinPath(directory, CLEAN_SHUTDOWN), formatCleanShutdown(brokerEpoch));
}

export function removeCleanShutdown(disk: Disk, directory: string): void {
  removeFile(disk, joinPath(directory, CLEAN_SHUTDOWN));
}

export function formatCleanShutdown(brokerEpoch: number): Buffer {
  return Buffer.from(JSON.stringify({ version: 0, brokerEpoch }));
}

export function parseCleanShutdown(bytes: Buffer): Loaded<number> {
  let mark: unknown;
  try {
    mark = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return corrupt('not JSON');
  }
  if (typeof mark !== 'object' || mark === null) return corrupt('not an object');
  const { brokerEpoch } = mark as { brokerEpoch?: unknown };
  // Of whatever version: the mark is there, and later ones keep the field, as Kafka assumes too.
  if (brokerEpoch === undefined) return { status: 'ok', value: -1 };
  if (!Number.isSafeInteger(brokerEpoch) || (brokerEpoch as number) < -1) return corrupt(`brokerEpoch ${JSON.stringify(brokerEpoch)}`);
  return { status: 'ok', value: brokerEpoch as number };
}
