/**
 * Sends answers that hold deferred bytes: piece by piece, each read when the operating system has taken the one before.
 *
 * Promises: the bytes leave in order; no more than one piece is in memory. `written` is called when all has been handed to the operating system, `failed` when
 * deferred bytes are gone, in the middle of an answer: all that is left to do then is to close. After `stop` nothing more is written or called.
 *
 * A piece is read on the spot while that is quick. A file that is consumed was nearly always written or read a moment ago, and a copy out of the page cache
 * is over sooner than the threads that would do it are woken. Beside the reading of whole answers by asynchronous reads of 1 MiB this took 0.77 of the
 * processor time (librdkafka, six partitions). Pieces of 128 KiB took as much as whole answers.
 * A read that took long and had to fetch something from the device met a disk: for a while pieces are read asynchronously then. One that took long while nothing
 * was fetched only had to give way to another process, such as a client that keeps all processors of its machine busy.
 */
import type { BufferPool } from '../../storage/buffer-pool.ts';
import { DiskError } from '../../storage/disk.ts';
import type { DeferredBytes, Piece } from '../../protocol/deferred-bytes.ts';
import type { Socket } from '../runtime/runtime.ts';

export interface PumpOwner {
  readonly socket: Socket;
  /** Where the memory for pieces comes from. */
  readonly buffers: BufferPool;
  monotonicMs(): number;
  /** As a Disk's. */
  deviceReads(): number;
  /** Runs `call` after what else there is to do now. */
  soon(call: () => void): void;
}

const PIECE_BYTES = 1024 * 1024;
const SLOW_READ_MS = 4;
/** However that came about: not every file system tells that it went to a device. */
const STALLED_READ_MS = 50;
/** Read asynchronously after a slow read, before the next is tried on the spot. */
const PIECES_AFTER_SLOW_READ = 64;
/** A peer that takes all at once would keep the event loop from everybody else. */
const PIECES_PER_TURN = 2;

export class Pump {
  readonly #owner: PumpOwner;
  #slowPiecesLeft = 0;
  #deviceReads: number;
  #piecesThisTurn = 0;
  #pieces: readonly Piece[] = [];
  /** The next piece, and how much of it has been sent. */
  #next = 0;
  #at = 0;
  #written: () => void = nothing;
  #failed: (error: DiskError) => void = nothing;
  #running = 0;

  constructor(owner: PumpOwner) {
    this.#owner = owner;
    this.#deviceReads = owner.deviceReads();
  }

  get isActive(): boolean {
    return this.#pieces.length > 0;
  }

  /** Sends `pieces`, at least one of them deferred. Only when nothing else is being sent. */
  send(pieces: readonly Piece[], written: () => void, failed: (error: DiskError) => void): void {
    this.#pieces = pieces;
    this.#next = 0;
    this.#at = 0;
    this.#written = written;
    this.#failed = failed;
    this.#step(++this.#running);
  }

  stop(): void {
    this.#running++;
    this.#pieces = [];
  }

  #step(run: number): void {
    const before: Buffer[] = [];
    for (let piece = this.#pieces[this.#next]; piece !== undefined; piece = this.#pieces[++this.#next]) {
      if (!Buffer.isBuffer(piece)) return this.#read(run, before, piece);
      before.push(piece);
    }
    this.#write(run, before, null);
  }

  #read(run: number, before: Buffer[], deferred: DeferredBytes): void {
    const { buffers } = this.#owner;
    const buffer = buffers.take(PIECE_BYTES);
    const at = this.#at;
    const target = buffer.subarray(0, Math.min(PIECE_BYTES, deferred.length - at));
    const filled = (): void => {
      this.#at = at + target.length;
      if (this.#at === deferred.length) {
        this.#next++;
        this.#at = 0;
      }
      before.push(target);
      this.#write(run, before, buffer);
    };
    if (this.#slowPiecesLeft > 0) {
      this.#slowPiecesLeft--;
      deferred.read(target, at).then(
        () => (run === this.#running ? filled() : buffers.give(buffer)),
        (error: unknown) => this.#fail(run, error),
      );
      return;
    }
    const startedMs = this.#owner.monotonicMs();
    try {
      deferred.readSync(target, at);
    } catch (error) {
      return this.#fail(run, error);
    }
    const tookMs = this.#owner.monotonicMs() - startedMs;
    if (tookMs > SLOW_READ_MS && (this.#hasMetDevice() || tookMs > STALLED_READ_MS)) this.#slowPiecesLeft = PIECES_AFTER_SLOW_READ;
    filled();
  }

  /** Since it was asked last. Only asked where a read was slow: the answer costs some microseconds. */
  #hasMetDevice(): boolean {
    const before = this.#deviceReads;
    this.#deviceReads = this.#owner.deviceReads();
    return this.#deviceReads !== before;
  }

  #write(run: number, buffers: readonly Buffer[], lent: Buffer | null): void {
    const isLast = this.#next === this.#pieces.length;
    this.#owner.socket.write(buffers, () => {
      if (lent !== null) this.#owner.buffers.give(lent);
      if (run !== this.#running) return;
      if (!isLast) {
        if (++this.#piecesThisTurn < PIECES_PER_TURN) return this.#step(run);
        this.#piecesThisTurn = 0;
        return this.#owner.soon(() => run === this.#running && this.#step(run));
      }
      this.#pieces = [];
      this.#written();
    });
  }

  #fail(run: number, error: unknown): void {
    if (!(error instanceof DiskError)) throw error;
    if (run !== this.#running) return;
    this.#pieces = [];
    this.#failed(error);
  }
}

function nothing(): void {}
