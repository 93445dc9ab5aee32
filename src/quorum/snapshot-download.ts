/**
 * A snapshot that is being fetched from the leader: a `.checkpoint.part` that grows piece by piece and gets its name when it is whole.
 *
 * Promises: it appears under its name only when it reads as a snapshot and is durable. What is left of one that was not finished goes at the next start.
 */
import { type Disk, DiskError, type DiskFile } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import type { SnapshotId } from './raft-state.ts';
import { decodeSnapshot, PART_SUFFIX, snapshotName } from './snapshots.ts';

export class SnapshotDownload {
  readonly id: SnapshotId;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #path: string;
  #file: DiskFile | undefined;
  #position = 0;

  constructor(disk: Disk, directory: string, id: SnapshotId) {
    this.id = id;
    this.#disk = disk;
    this.#directory = directory;
    this.#path = joinPath(directory, snapshotName(id));
    this.#file = disk.open(`${this.#path}${PART_SUFFIX}`, 'replace');
  }

  /** Bytes that are here. */
  get position(): number {
    return this.#position;
  }

  async append(bytes: Buffer): Promise<void> {
    await this.#file!.write([bytes], this.#position);
    this.#position += bytes.length;
  }

  /** Rejects with a RangeError or KafkaError when it is not a snapshot; nothing is left of it then. */
  async finish(): Promise<void> {
    const file = this.#file!;
    await file.sync();
    file.close();
    this.#file = undefined;
    try {
      decodeSnapshot(this.#disk.readFile(`${this.#path}${PART_SUFFIX}`));
    } catch (error) {
      this.abandon();
      throw error;
    }
    this.#disk.rename(`${this.#path}${PART_SUFFIX}`, this.#path);
    this.#disk.syncDirectory(this.#directory);
  }

  abandon(): void {
    this.#file?.close();
    this.#file = undefined;
    try {
      this.#disk.unlink(`${this.#path}${PART_SUFFIX}`);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }
}
