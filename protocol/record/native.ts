/**
 * The native codecs, loaded when the first batch needs them.
 *
 * Promises: each is loaded once. A broker that meets no LZ4 and no Snappy does not pay for them: together they take 10 to 30 ms of its start
 * and 6 MB of memory. Does not: fall back; both are dependencies, and a batch in their format is an error of the installation where they do not load.
 */
import { createRequire } from 'node:module';
import type * as Lz4 from 'lz4-napi';
import type * as Snappy from 'snappy';

const require = createRequire(import.meta.url);

let lz4: typeof Lz4 | undefined;
let snappy: typeof Snappy | undefined;

export function loadLz4(): typeof Lz4 {
  return (lz4 ??= require('lz4-napi') as typeof Lz4);
}

export function loadSnappy(): typeof Snappy {
  return (snappy ??= require('snappy') as typeof Snappy);
}
