/** Producer snapshots: the bytes that Kafka's class writes, and no damaged file that reads as a good one. */
import { expect, test } from 'vitest';
import { decodeProducerSnapshot, encodeProducerSnapshot } from '../../storage/producer-snapshot.ts';

// txn-1/00000000000000001116.snapshot of Apache Kafka 4.3.1: a producer of which only the markers are left.
const ONE = Buffer.from('0001cea89fdf0000000100000000000000000005ffffffffffffffffffffffff00000000000001a1fd80207900000000ffffffffffffffff', 'hex');
const ENTRY = {
  producerId: 0, epoch: 5, lastSequence: -1, lastOffset: -1, offsetDelta: 0, timestamp: 1795254395001, coordinatorEpoch: 0, currentTxnFirstOffset: -1,
};

test('Kafka\'s bytes', () => {
  expect(decodeProducerSnapshot(ONE)).toEqual({ status: 'ok', value: [ENTRY] });
  expect(encodeProducerSnapshot([ENTRY]).toString('hex')).toBe(ONE.toString('hex'));
});

test('many producers, large numbers', () => {
  const entries = Array.from({ length: 1000 }, (_, index) => ({
    producerId: Number.MAX_SAFE_INTEGER - index, epoch: 32767 - index, lastSequence: 0x7fffffff - index, lastOffset: 2 ** 40 + index,
    offsetDelta: index, timestamp: 2 ** 42 + index, coordinatorEpoch: index, currentTxnFirstOffset: index % 2 === 0 ? -1 : 2 ** 41 + index,
  }));
  expect(decodeProducerSnapshot(encodeProducerSnapshot(entries))).toEqual({ status: 'ok', value: entries });
  expect(decodeProducerSnapshot(encodeProducerSnapshot([]))).toEqual({ status: 'ok', value: [] });
});

test('cut, longer, or with a bit turned it is corrupt', () => {
  for (let length = 0; length < ONE.length; length++) expect(decodeProducerSnapshot(ONE.subarray(0, length)).status).toBe('corrupt');
  expect(decodeProducerSnapshot(Buffer.concat([ONE, Buffer.alloc(46)])).status).toBe('corrupt');
  for (let bit = 0; bit < ONE.length * 8; bit++) {
    const damaged = Buffer.from(ONE);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeProducerSnapshot(damaged).status, `bit ${bit}`).toBe('corrupt');
  }
  expect(decodeProducerSnapshot(Buffer.alloc(ONE.length)).status).toBe('corrupt');
});
