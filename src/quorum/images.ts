/**
 * Where the metadata stands: the committed image, which everybody sees, and the latest, which holds what the leader has appended and not committed.
 *
 * Promises: images are published in order, each with what changed since the one before, and only at ends of batches outside of a metadata transaction;
 * a listener is called once per publication, and the promise that `commit` gives resolves when all listeners have done what followed from it.
 * What was appended and is gone again (`revert`) was never seen by anyone. Does not read or write the log.
 */
import assert from 'node:assert';
import type { MetadataRecord } from '../../protocol/log-records/metadata.ts';
import { imageChanges, type MetadataChanges } from './changes.ts';
import { MetadataDelta } from './delta.ts';
import { MetadataImage } from './image.ts';

/** May return a promise: answers that tell of the change wait for it. */
export type MetadataListener = (changes: MetadataChanges) => void | Promise<void>;

export interface BatchOfRecords {
  readonly lastOffset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly records: readonly MetadataRecord[];
}

interface PendingImage {
  readonly lastOffset: number;
  readonly image: MetadataImage;
}

export class MetadataImages {
  #committed: MetadataImage;
  #latest: MetadataImage;
  /** The open transaction's records are in here, and in no image yet. */
  #transaction: MetadataDelta | undefined;
  /** Where the images last began anew. */
  #snapshot: MetadataImage | undefined;
  readonly #pending: PendingImage[] = [];
  readonly #listeners: MetadataListener[] = [];

  constructor(start: MetadataImage = MetadataImage.EMPTY) {
    this.#committed = start;
    this.#latest = start;
  }

  /** What brokers and clients see. */
  get committed(): MetadataImage {
    return this.#committed;
  }

  /** What the controller decides by: as it will be once all that it has written is committed. */
  get latest(): MetadataImage {
    return this.#latest;
  }

  /** Whether the log ends in the middle of a metadata transaction. */
  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** Is told of every publication from now on; what is there already, it reads from `committed`. */
  subscribe(listener: MetadataListener): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index !== -1) this.#listeners.splice(index, 1);
    };
  }

  /** Folds what the log holds beyond `latest`, in order. */
  fold(batches: Iterable<BatchOfRecords>): void {
    let delta: MetadataDelta | undefined;
    let last: BatchOfRecords | undefined;
    for (const batch of batches) {
      delta ??= this.#transaction ?? new MetadataDelta(this.#latest);
      for (const record of batch.records) delta.apply(record);
      last = batch;
      if (delta.inTransaction) {
        this.#transaction = delta;
      } else {
        this.#transaction = undefined;
      }
    }
    if (delta === undefined || last === undefined || delta.inTransaction) return;
    const { lastOffset, epoch, timestampMs } = last;
    this.#latest = delta.build({ offset: lastOffset, epoch, timestampMs });
    this.#pending.push({ lastOffset, image: this.#latest });
  }

  /** All below `highWatermark` is committed: publishes the newest image in it. Resolves when the listeners are done. */
  async commit(highWatermark: number): Promise<void> {
    let next: MetadataImage | undefined;
    while (this.#pending.length > 0 && this.#pending[0]!.lastOffset < highWatermark) next = this.#pending.shift()!.image;
    if (next === undefined) return;
    const before = this.#committed;
    this.#committed = next;
    const changes = imageChanges(before, next);
    await Promise.all([...this.#listeners].map((listener) => listener(changes)));
  }

  /** Forgets what was appended and is not committed. What a snapshot has is committed, even where nobody has said so yet since this node started. */
  revert(): void {
    this.#pending.length = 0;
    this.#transaction = undefined;
    this.#latest = this.#committed;
    if (this.#snapshot !== undefined && this.#snapshot.offset > this.#committed.offset) this.reset(this.#snapshot);
  }

  /** Starts anew from a snapshot, which has more than all that was folded. Published by the next `commit` that covers it. */
  reset(image: MetadataImage): void {
    assert(image.offset >= this.#committed.offset, 'a snapshot from before what is published');
    this.#pending.length = 0;
    this.#transaction = undefined;
    this.#latest = image;
    this.#snapshot = image;
    this.#pending.push({ lastOffset: image.offset, image });
  }
}
