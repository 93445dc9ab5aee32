/** Both ways to the checksum give the same number, for every alignment and around the length where one takes over from the other. */
import { createRequire } from 'node:module';
import { expect, test, vi } from 'vitest';
import { crc32c, loadNativeCrc32c, NATIVE_BYTES_MIN, portableCrc32c } from '../../../protocol/record/crc32c.ts';

const data = Buffer.from(Array.from({ length: 3 * NATIVE_BYTES_MIN }, (_, i) => (i * 131 + (i >> 3)) & 0xff));

/** Bit by bit, as the polynomial says: what neither library can have in common with a mistake of ours. */
function slowCrc32c(buffer: Buffer, start: number, end: number): number {
  let crc = -1;
  for (let at = start; at < end; at++) {
    crc ^= buffer[at]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

test('the check value of the standard', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
});

test('both ways agree with the definition', () => {
  for (const length of [0, 1, 7, 8, 9, 63, 64, NATIVE_BYTES_MIN - 1, NATIVE_BYTES_MIN, NATIVE_BYTES_MIN + 1, 2 * NATIVE_BYTES_MIN]) {
    for (let start = 0; start < 9; start++) {
      const expected = slowCrc32c(data, start, start + length);
      expect(crc32c(data, start, start + length)).toBe(expected);
      expect(portableCrc32c(data, start, start + length)).toBe(expected);
    }
  }
});

test('the native way is there where its package is, and is the one for long ranges', (context) => {
  const native = loadNativeCrc32c();
  if (native === null) context.skip('@node-rs/crc32 is optional and does not load here');
  expect(native!(data) >>> 0).toBe(slowCrc32c(data, 0, data.length));
});

test('without the native package the portable way serves long ranges too', async () => {
  vi.resetModules();
  vi.doMock('node:module', () => ({
    createRequire: (url: string) => (name: string) => {
      if (name === '@node-rs/crc32') throw new Error('Cannot find native binding');
      return createRequire(url)(name);
    },
  }));
  const alone = await import('../../../protocol/record/crc32c.ts');
  vi.doUnmock('node:module');
  expect(alone.loadNativeCrc32c()).toBeNull();
  for (const length of [0, NATIVE_BYTES_MIN - 1, NATIVE_BYTES_MIN, data.length]) expect(alone.crc32c(data, 0, length)).toBe(slowCrc32c(data, 0, length));
});
