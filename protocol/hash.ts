/**
 * The hash functions by which Kafka chooses partitions, as brokers and clients must agree on them.
 *
 * Promises: Java's numbers, wrapping at 32 bits. Does not: cryptography, checksums (`record/crc32c.ts`).
 */
import assert from 'node:assert';

const MURMUR2_SEED = 0x9747b28c | 0;
const MURMUR2_MULTIPLIER = 0x5bd1e995;
const MURMUR2_SHIFT = 24;

/** Kafka's murmur2 of 32 bits, an int32: the hash of a record's key in the default partitioner. */
export function murmur2(data: Buffer): number {
  const length = data.length;
  let hash = MURMUR2_SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(data.readInt32LE(at), MURMUR2_MULTIPLIER);
    word ^= word >>> MURMUR2_SHIFT;
    hash = Math.imul(hash, MURMUR2_MULTIPLIER) ^ Math.imul(word, MURMUR2_MULTIPLIER);
  }
  if (at < length) {
    for (let shift = 0; at < length; at++, shift += 8) hash ^= data.readUInt8(at) << shift;
    hash = Math.imul(hash, MURMUR2_MULTIPLIER);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MURMUR2_MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition of a record with this key: the sign bit is masked, not negated. */
export function keyPartition(key: Buffer, partitions: number): number {
  assert(partitions > 0);
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}

/** Java's String.hashCode over the UTF-16 units, an int32. */
export function javaStringHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/** The partition of the internal topic that coordinates a group, a transactional id or a share group's partition. */
export function coordinatorPartition(id: string, partitions: number): number {
  assert(partitions > 0);
  const hash = javaStringHash(id);
  // Java's absolute value of -2^31 is itself, for which Kafka takes 0.
  return hash === -0x8000_0000 ? 0 : Math.abs(hash) % partitions;
}
