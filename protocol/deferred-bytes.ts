/**
 * Bytes of a message that are not there yet: of a file, say. The encoder counts them and keeps their place; whoever sends the message asks for them
 * piece by piece when their turn comes, so that an answer of many megabytes is never in memory as a whole.
 *
 * Promises: knows its length. Does not: know where the bytes are; what extends it does.
 */
import assert from 'node:assert';

export abstract class DeferredBytes {
  readonly length: number;

  constructor(length: number) {
    this.length = length;
  }

  /** Fills `target` with the bytes from `at` on, of which there are as many. Throws when they are gone: what was begun cannot be finished then. */
  abstract readSync(target: Buffer, at: number): void;

  /** As `readSync`, without holding up the event loop. `target` belongs to the reader until the promise settles. */
  abstract read(target: Buffer, at: number): Promise<void>;
}

export type Piece = Buffer | DeferredBytes;

/** For those who have no use for bytes that are not there. */
export function allInMemory(pieces: Piece[]): Buffer[] {
  assert(pieces.every((piece) => Buffer.isBuffer(piece)), 'bytes are deferred where they cannot be');
  return pieces as Buffer[];
}
