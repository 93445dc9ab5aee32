/**
 * The order in which a Java HashMap of strings iterates: by bucket, and by insertion within a bucket. Only where Kafka lets that order decide something
 * that a client can see. Does not know the trees that a bucket of eight or more collisions becomes.
 */

import { javaStringHash } from '../../protocol/hash.ts';

/** `keys` are distinct and in the order in which they were put into a HashMap made with its default capacity. */
export function javaHashOrder(keys: readonly string[]): string[] {
  // 16 buckets, doubled whenever more than three quarters are taken.
  let buckets = 16;
  while (keys.length > buckets * 0.75) buckets *= 2;
  const bucketOf = (key: string): number => {
    const hash = javaStringHash(key);
    return (hash ^ (hash >>> 16)) & (buckets - 1);
  };
  return keys
    .map((key) => ({ key, bucket: bucketOf(key) }))
    .sort((a, b) => a.bucket - b.bucket)
    .map(({ key }) => key);
}
