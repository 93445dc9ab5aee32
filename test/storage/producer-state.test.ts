/** What a log accepts from idempotent and transactional producers, case by case as Kafka 4.3 does. */
import { describe, expect, it } from 'vitest';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { ProducerState } from '../../storage/producer-state.ts';
import type { AppendOrigin } from '../../storage/producer-state.ts';
import { markerBatch, NOW_MS, testBatch } from './log-fixture.ts';

/** A state that is fed as a log would, and answers in words. */
class Transcript {
  readonly state = new ProducerState();
  nextOffset = 0;

  data(producerId: number, epoch: number, sequence: number, options: { count?: number; transactional?: boolean; origin?: AppendOrigin; timestamp?: number } = {}): string {
    const { count = 1, transactional = false, origin = 'client', timestamp = NOW_MS } = options;
    return this.#feed(testBatch({
      values: Array.from({ length: count }, () => 'x'), timestamp, producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional: transactional, baseOffset: this.nextOffset,
    }), count, origin, 0);
  }

  marker(type: 'commit' | 'abort', producerId: number, epoch: number, options: { coordinatorEpoch?: number; version?: number; origin?: AppendOrigin } = {}): string {
    const marker = markerBatch(type, { producerId, producerEpoch: epoch, coordinatorEpoch: options.coordinatorEpoch ?? 0 });
    return this.#feed(marker, 1, options.origin ?? 'coordinator', options.version ?? 0);
  }

  #feed(buffer: Buffer, count: number, origin: AppendOrigin, version: number): string {
    buffer.writeUInt32BE(this.nextOffset, 4);
    const error = this.state.check(buffer, 0, origin, version);
    if (error === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      const { lastOffset, offsetDelta } = this.state.duplicate!;
      return `duplicate of ${lastOffset - offsetDelta}-${lastOffset}`;
    }
    if (error !== ErrorCode.NONE) return errorName(error);
    const offset = this.nextOffset;
    this.nextOffset += count;
    const completed = this.state.note(buffer, 0);
    this.state.endOffset = this.nextOffset;
    if (completed === undefined) return `at ${offset}`;
    const stable = this.state.stableOffsetAfter(completed);
    this.state.complete(completed);
    return `at ${offset}, ${completed.aborted ? 'aborts' : 'commits'} ${completed.firstOffset}, stable ${stable}`;
  }
}

describe('an idempotent producer', () => {
  it('may begin at any sequence where nothing is known of it', () => {
    const log = new Transcript();
    expect(log.data(1, 0, 17)).toBe('at 0');
    expect(log.data(1, 0, 18)).toBe('at 1');
  });

  it('must go on without a gap', () => {
    const log = new Transcript();
    expect(log.data(1, 0, 0, { count: 3 })).toBe('at 0');
    expect(log.data(1, 0, 4)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.data(1, 0, 2)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.data(1, 0, 3)).toBe('at 3');
  });

  it('is told where a repeated batch lies, as long as it is one of the last five', () => {
    const log = new Transcript();
    for (let i = 0; i < 6; i++) log.data(1, 0, i * 2, { count: 2 });
    expect(log.data(1, 0, 2, { count: 2 })).toBe('duplicate of 2-3');
    expect(log.data(1, 0, 10, { count: 2 })).toBe('duplicate of 10-11');
    expect(log.data(1, 0, 0, { count: 2 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    // Another batch that overlaps is none that is known.
    expect(log.data(1, 0, 2, { count: 3 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.data(1, 0, 3)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  });

  it('counts on from 2^31-1 to 0', () => {
    const log = new Transcript();
    expect(log.data(1, 0, 2 ** 31 - 2, { count: 2 })).toBe('at 0');
    expect(log.data(1, 0, 0)).toBe('at 2');
    expect(log.data(2, 0, 2 ** 31 - 2, { count: 4 })).toBe('at 3');
    expect(log.data(2, 0, 2)).toBe('at 7');
    expect(log.data(2, 0, 2 ** 31 - 2, { count: 4 })).toBe('duplicate of 3-6');
  });

  it('begins at 0 in a new epoch, and is a zombie in an old one', () => {
    const log = new Transcript();
    log.data(1, 3, 0, { count: 5 });
    expect(log.data(1, 4, 5)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.data(1, 4, 0)).toBe('at 5');
    expect(log.data(1, 3, 5)).toBe('INVALID_PRODUCER_EPOCH');
    // Not a duplicate: the batches of the old epoch are forgotten.
    expect(log.data(1, 3, 0, { count: 5 })).toBe('INVALID_PRODUCER_EPOCH');
  });

  it('may have the epoch 32767', () => {
    const log = new Transcript();
    expect(log.data(1, 32767, 0)).toBe('at 0');
    expect(log.data(1, 32766, 1)).toBe('INVALID_PRODUCER_EPOCH');
    expect(log.data(1, 32767, 1)).toBe('at 1');
  });

  it('is not asked for its sequence on behalf of a coordinator or a leader', () => {
    const log = new Transcript();
    log.data(1, 1, 0);
    expect(log.data(1, 1, 9, { origin: 'coordinator' })).toBe('at 1');
    expect(log.data(1, 0, 9, { origin: 'coordinator' })).toBe('INVALID_PRODUCER_EPOCH');
    expect(log.data(1, 0, 9, { origin: 'replication' })).toBe('at 2');
  });

  it('is forgotten after the expiration, unless it has a transaction open', () => {
    const log = new Transcript();
    log.data(1, 0, 0, { timestamp: 1000 });
    log.data(2, 0, 0, { timestamp: 1000, transactional: true });
    log.data(3, 0, 0, { timestamp: 1001 });
    expect(log.state.expire(1999, 1000)).toBe(0);
    expect(log.state.expire(2000, 1000)).toBe(1);
    expect(log.state.entries().map((entry) => entry.producerId)).toEqual([2, 3]);
    expect(log.data(1, 0, 44)).toBe('at 3');
  });
});

describe('a transaction', () => {
  it('is open from its first batch to its marker', () => {
    const log = new Transcript();
    expect(log.state.firstUnstableOffset).toBe(-1);
    log.data(9, 0, 0);
    log.data(1, 0, 0, { transactional: true });
    log.data(1, 0, 1, { transactional: true });
    expect([log.state.firstUnstableOffset, log.state.hasOngoingTransaction(1, 0), log.state.hasOngoingTransaction(1, 1)]).toEqual([1, true, false]);
    expect(log.marker('commit', 1, 0)).toBe('at 3, commits 1, stable 4');
    expect([log.state.firstUnstableOffset, log.state.hasOngoingTransaction(1, 0)]).toEqual([1, false]);
    log.state.advanceHighWatermark(3);
    expect(log.state.firstUnstableOffset).toBe(1);
    log.state.advanceHighWatermark(4);
    expect(log.state.firstUnstableOffset).toBe(-1);
  });

  it('is stable only up to the first that is open still', () => {
    const log = new Transcript();
    log.data(1, 0, 0, { transactional: true });
    log.data(2, 0, 0, { transactional: true });
    log.data(3, 0, 0, { transactional: true });
    expect(log.marker('abort', 2, 0)).toBe('at 3, aborts 1, stable 0');
    expect(log.marker('abort', 1, 0)).toBe('at 4, aborts 0, stable 2');
    log.state.advanceHighWatermark(5);
    expect(log.state.firstUnstableOffset).toBe(2);
  });

  it('takes only transactional batches while it is open', () => {
    const log = new Transcript();
    log.data(1, 0, 0, { transactional: true });
    expect(log.data(1, 0, 1)).toBe('INVALID_TXN_STATE');
    log.marker('commit', 1, 0);
    expect(log.data(1, 0, 1)).toBe('at 2');
  });

  it('that is empty ends without an effect', () => {
    const log = new Transcript();
    expect(log.marker('abort', 1, 0)).toBe('at 0');
    expect(log.state.producer(1)).toMatchObject({ epoch: 0, coordinatorEpoch: 0, currentTxnFirstOffset: -1, batches: [] });
  });

  it('is fenced by the epoch of the producer and of the coordinator', () => {
    const log = new Transcript();
    log.data(1, 5, 0, { transactional: true });
    expect(log.marker('commit', 1, 4)).toBe('INVALID_PRODUCER_EPOCH');
    expect(log.marker('abort', 1, 6, { coordinatorEpoch: 3 })).toBe('at 1, aborts 0, stable 2');
    expect(log.marker('abort', 1, 6, { coordinatorEpoch: 2 })).toBe('TRANSACTION_COORDINATOR_FENCED');
    expect(log.marker('abort', 1, 6, { coordinatorEpoch: 2, origin: 'replication' })).toBe('at 2');
    // The marker had a new epoch, so the producer begins at 0.
    expect(log.data(1, 6, 1, { transactional: true })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(log.data(1, 6, 0, { transactional: true })).toBe('at 3');
  });

  it('of version 2 must be ended by a higher epoch than its data (KIP-890)', () => {
    const log = new Transcript();
    log.data(1, 5, 0, { transactional: true });
    expect(log.marker('commit', 1, 5, { version: 2 })).toBe('INVALID_PRODUCER_EPOCH');
    expect(log.marker('commit', 1, 6, { version: 2 })).toBe('at 1, commits 0, stable 2');
    // The coordinator did not hear of it and sends it again.
    expect(log.marker('commit', 1, 6, { version: 2 })).toBe('at 2');
    expect(log.marker('commit', 1, 5, { version: 2 })).toBe('INVALID_PRODUCER_EPOCH');
  });

  it('of version 2 in the last epoch can be ended in the same', () => {
    const log = new Transcript();
    log.data(1, 32767, 0, { transactional: true });
    expect(log.marker('abort', 1, 32767, { version: 2 })).toBe('at 1, aborts 0, stable 2');
  });
});

describe('taking back', () => {
  it('restores what was before the write and what was appended meanwhile', () => {
    const log = new Transcript();
    for (let i = 0; i < 7; i++) log.data(1, 0, i);
    log.data(2, 0, 0, { transactional: true });
    const before = JSON.stringify(log.state.entries().map(({ producerId, epoch, batches, currentTxnFirstOffset }) => ({ producerId, epoch, batches, currentTxnFirstOffset })));
    log.state.beginWrite();
    log.state.endWrite();
    log.data(1, 0, 7);
    log.data(3, 0, 0);
    log.marker('commit', 2, 0);
    log.state.beginWrite();
    log.data(1, 1, 0);
    log.data(2, 0, 1, { transactional: true });
    log.state.rollBack(8);
    expect(JSON.stringify(log.state.entries().map(({ producerId, epoch, batches, currentTxnFirstOffset }) => ({ producerId, epoch, batches, currentTxnFirstOffset })))).toBe(before);
    expect([log.state.firstUnstableOffset, log.state.endOffset]).toEqual([7, 8]);
    log.nextOffset = 8;
    expect(log.data(1, 0, 3)).toBe('duplicate of 3-3');
    expect(log.marker('abort', 2, 0)).toBe('at 8, aborts 7, stable 9');
  });
});
