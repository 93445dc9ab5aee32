/**
 * One client connection: frames in, answers out, in the order of the requests.
 *
 * Promises: requests start in arrival order and are answered in that order, whatever order they finish in; all answers of one turn leave in one
 * vectored write; reading pauses when the connection's or the node's share of bytes in flight is spent, when too many requests wait, or
 * when the client does not take its answers. After `close` nothing is written and late answers are dropped.
 * Does not know what a request means: `dispatch` does.
 */
import type { BufferPool } from '../../storage/buffer-pool.ts';
import type { Piece } from '../../protocol/deferred-bytes.ts';
import type { ListenerKind } from '../api/serve.ts';
import type { Socket } from '../runtime/runtime.ts';
import type { Turn, TurnOwner } from '../runtime/turn.ts';
import type { ByteBudget } from './budget.ts';
import { Pump } from './pump.ts';
import { FrameCutter } from '../runtime/frames.ts';

/** One request's place in the line of answers. */
export interface Slot {
  readonly connection: Connection;
  readonly frameBytes: number;
  /** undefined while the request is being served; null when it gets no answer (acks=0). */
  answer: readonly Piece[] | null | undefined;
  /** To be called once the answer has left; forgotten when the connection ends first. */
  sent: (() => void) | undefined;
  /** Is told how long the answer, ready since then (monotonic ms), has waited for those before it and for the end of the turn. */
  times: { left(queueMs: number): void } | null;
  readyMs: number;
}

export interface ConnectionLimits {
  /** socket.request.max.bytes */
  readonly frameBytesMax: number;
  /** Requests of one connection that are being served. */
  readonly requestsInFlightMax: number;
  /** Bytes of requests of this connection that are being served. */
  readonly bytesInFlightMax: number;
  /** Bytes of answers that the client has not taken. */
  readonly outputBytesMax: number;
}

/** Where a connection came in. */
export interface NamedListener {
  readonly name: string;
  readonly kind: ListenerKind;
}

export interface ConnectionOwner {
  readonly turn: Turn;
  readonly budget: ByteBudget;
  readonly limits: ConnectionLimits;
  monotonicMs(): number;
  /** Where the buffers of large frames come from. */
  readonly frames: BufferPool;
  /** Where the memory comes from for what is pumped. Not the frames': their sizes would push each other out. */
  readonly pieces: BufferPool;
  soon(call: () => void): void;
  /** As a Disk's. */
  deviceReads(): number;
  dispatch(connection: Connection, frame: Buffer, returnFrame?: () => void): void;
  /** What an answer was to be made of is gone; the connection is closed already. */
  unanswerable(connection: Connection, error: Error): void;
  /** The budget is spent by unfinished frames: some connection is closed for it. */
  stuck(): void;
  /** Malformed bytes: said once in the log, the connection is closed already. */
  malformed(connection: Connection, reason: string): void;
  closed(connection: Connection): void;
}

export class Connection implements TurnOwner {
  readonly id: number;
  readonly listener: string;
  readonly listenerKind: ListenerKind;
  readonly socket: Socket;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly localPort: number;
  principal = 'User:ANONYMOUS';
  clientSoftwareName = '';
  clientSoftwareVersion = '';
  onBroken: (() => void) | undefined;
  /** Monotonic ms of the last whole request or answer: a client that trickles bytes is idle. */
  lastActiveMs: number;
  /** Monotonic ms at which the first request came of those that were read at once: the others among them have waited since. */
  arrivedMs = 0;
  /** Whole requests taken so far. */
  requests = 0;

  readonly #owner: ConnectionOwner;
  readonly #cutter: FrameCutter;
  /** Requests not yet answered, oldest first, from `#first` on. */
  #slots: Slot[] = [];
  #first = 0;
  #out: Piece[] = [];
  /** Some of `#out` is not in memory: it is pumped rather than written. */
  #outDeferred = false;
  /** Bytes in memory that have joined `#out` while the pump was at work. */
  #outBytes = 0;
  #pump: Pump | null = null;
  /** What is to be called when `#out` has been written. */
  #sent: (() => void)[] = [];
  /** Those of `#out` whose times are told. */
  readonly #leaving: Slot[] = [];
  #isFirstOfRead = true;
  #bytesInFlight = 0;
  #bytesArriving = 0;
  /** Nothing is read or written any more. */
  #closed = false;
  /** The socket has ended. */
  #gone = false;
  #reading = true;
  #waitsForRoom = false;
  #waitsForDrain = false;
  #turnPending = false;
  #draining = false;
  readonly #take = (frame: Buffer, pooled: Buffer | null): boolean => this.#frame(frame, pooled);

  constructor(id: number, listener: NamedListener, socket: Socket, owner: ConnectionOwner) {
    this.id = id;
    this.listener = listener.name;
    this.listenerKind = listener.kind;
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress;
    this.localAddress = socket.localAddress;
    this.localPort = socket.localPort;
    this.#owner = owner;
    this.lastActiveMs = owner.monotonicMs();
    this.#cutter = new FrameCutter({ frameBytesMax: owner.limits.frameBytesMax, limit: 'socket.request.max.bytes', pool: owner.frames });
    socket.onData = (chunk) => this.#data(chunk);
    socket.room = () => (this.#closed ? null : this.#cutter.room());
    socket.onClose = () => this.#ended();
    socket.onDrain = () => this.#drained();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes of a request that has not come as a whole. */
  get arrivingBytes(): number {
    return this.#bytesArriving;
  }

  /** Requests that are being served. */
  get inFlight(): number {
    return this.#slots.length - this.#first;
  }

  /** The place in the line for a request that has just arrived. */
  enqueue(frameBytes: number): Slot {
    const slot: Slot = { connection: this, frameBytes, answer: undefined, sent: undefined, times: null, readyMs: 0 };
    this.#slots.push(slot);
    return slot;
  }

  /** Gives a slot its answer, once; null for none. The buffers must stay as they are until the socket has taken them. */
  answer(slot: Slot, buffers: readonly Piece[] | null): void {
    if (this.#closed) return;
    slot.answer = buffers;
    const slots = this.#slots;
    let first = this.#first;
    while (first < slots.length) {
      const head = slots[first]!;
      if (head.answer === undefined) break;
      if (head.answer !== null) for (const piece of head.answer) this.#push(piece);
      if (head.sent !== undefined) this.#sent.push(head.sent);
      if (head.times !== null) this.#leaving.push(head);
      // The slot stays in the array for a while; a client that always has a request under way must not make it hold a thousand answers.
      head.answer = null;
      head.sent = undefined;
      this.#release(head.frameBytes);
      first++;
    }
    if (first === this.#first) return;
    if (first === slots.length) {
      slots.length = 0;
      first = 0;
    } else if (first > 1024) {
      slots.splice(0, first);
      first = 0;
    }
    this.#first = first;
    this.#schedule();
  }

  /** Writes the answers of this turn and looks whether reading may go on. */
  endTurn(): void {
    this.#turnPending = false;
    if (this.#closed) return;
    if (this.#out.length > 0 && !this.#isPumping) this.#flush();
    if (this.#draining && this.inFlight === 0 && !this.#isPumping) this.closeAfterAnswers();
    else this.#balance();
  }

  /** Takes no more requests, and closes once those being served are answered. */
  drain(): void {
    if (this.#closed) return;
    this.#draining = true;
    this.#balance();
    if (this.inFlight === 0 && !this.#isPumping) this.closeAfterAnswers();
  }

  /** Ends the connection at once; answers under way are dropped, and so is what the client has not taken yet of those before. */
  close(): void {
    if (this.#gone) return;
    this.#forget();
    this.#leave();
    this.socket.destroy();
  }

  /** Sends the answers that are ready, then ends. The owner hears of it when the client has ended too: until then there is a socket. */
  closeAfterAnswers(): void {
    if (this.#closed) return;
    if (this.#out.length > 0) this.#flush();
    // The last of what is pumped brings us here again.
    if (this.#isPumping) return this.drain();
    this.#forget();
    this.socket.end();
    // A paused socket never hears that its peer has ended.
    this.socket.resume();
  }

  #data(chunk: Buffer): void {
    if (this.#closed) return;
    this.#isFirstOfRead = true;
    try {
      this.#cutter.push(chunk, this.#take);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.malformed(error.message);
      return;
    }
    if (this.#closed) return;
    const arriving = this.#cutter.heldBytes;
    if (arriving !== this.#bytesArriving) {
      this.#owner.budget.arriving(arriving - this.#bytesArriving);
      this.#bytesArriving = arriving;
      if (this.#owner.budget.stuck) this.#owner.stuck();
      if (this.#closed) return;
    }
    this.#balance();
  }

  /** Closes the connection because its bytes are not Kafka's; nothing else is touched. */
  malformed(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#owner.malformed(this, reason);
  }

  #frame(frame: Buffer, pooled: Buffer | null): boolean {
    this.requests++;
    this.lastActiveMs = this.#owner.monotonicMs();
    if (this.#isFirstOfRead) this.arrivedMs = this.lastActiveMs;
    this.#isFirstOfRead = false;
    this.#bytesInFlight += frame.length;
    this.#owner.budget.take(frame.length);
    if (pooled === null) this.#owner.dispatch(this, frame);
    else this.#owner.dispatch(this, frame, () => this.#owner.frames.give(pooled));
    return !this.#closed;
  }

  #release(bytes: number): void {
    this.#bytesInFlight -= bytes;
    this.#owner.budget.give(bytes);
  }

  #push(piece: Piece): void {
    this.#out.push(piece);
    if (!Buffer.isBuffer(piece)) this.#outDeferred = true;
    else if (this.#isPumping) this.#outBytes += piece.length;
  }

  get #isPumping(): boolean {
    return this.#pump !== null && this.#pump.isActive;
  }

  /** Hands all answers that are ready to the socket, or to the pump. */
  #flush(): void {
    const out = this.#out;
    const written = this.#whenWritten();
    this.#out = [];
    this.#outBytes = 0;
    this.lastActiveMs = this.#owner.monotonicMs();
    for (const { times, readyMs } of this.#leaving) times!.left(this.lastActiveMs - readyMs);
    this.#leaving.length = 0;
    if (!this.#outDeferred) {
      this.socket.write(out as Buffer[], written);
      return;
    }
    this.#outDeferred = false;
    this.#pump ??= new Pump({
      socket: this.socket, buffers: this.#owner.pieces, soon: (call) => this.#owner.soon(call), deviceReads: () => this.#owner.deviceReads(),
      monotonicMs: () => (this.lastActiveMs = this.#owner.monotonicMs()),
    });
    this.#pump.send(out, () => {
      written?.();
      if (!this.#closed) this.endTurn();
    }, (error) => {
      this.close();
      this.#owner.unanswerable(this, error);
    });
  }

  #whenWritten(): (() => void) | undefined {
    if (this.#sent.length === 0) return undefined;
    const sent = this.#sent;
    this.#sent = [];
    return () => {
      for (const call of sent) call();
    };
  }

  #schedule(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    this.#owner.turn.add(this);
  }

  /** Pauses or resumes reading by what is in flight. */
  #balance(): void {
    const { limits, budget } = this.#owner;
    if (this.socket.queuedBytes > limits.outputBytesMax) this.#waitsForDrain = true;
    // Where only unfinished frames are left, reading goes on: somebody's next bytes find the node stuck, and that connection has to go.
    if (budget.spent && !budget.stuck && this.#bytesInFlight + this.#bytesArriving > 0 && !this.#waitsForRoom) {
      this.#waitsForRoom = true;
      budget.waitForRoom(() => {
        this.#waitsForRoom = false;
        this.#schedule();
      });
    }
    const full = this.#draining || this.#waitsForDrain || this.#outBytes > limits.outputBytesMax || this.#waitsForRoom || this.inFlight >= limits.requestsInFlightMax || this.#bytesInFlight >= limits.bytesInFlightMax;
    if (full === !this.#reading) return;
    this.#reading = !full;
    if (full) this.socket.pause();
    else this.socket.resume();
  }

  #drained(): void {
    if (this.#closed || !this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#balance();
  }

  #ended(): void {
    const isBroken = !this.#closed;
    this.#forget();
    this.#leave();
    if (isBroken) this.onBroken?.();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#owner.closed(this);
  }

  /** Gives back everything this connection holds. */
  #forget(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#slots = [];
    this.#first = 0;
    this.#pump?.stop();
    this.#out = [];
    this.#sent = [];
    this.#owner.budget.give(this.#bytesInFlight);
    this.#owner.budget.arriving(-this.#bytesArriving);
    this.#bytesInFlight = 0;
    this.#bytesArriving = 0;
  }
}
