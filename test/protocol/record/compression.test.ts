/** The codecs: what clients may send is read, what nobody should send is refused before it costs anything. */
import { createHash } from 'node:crypto';
import { constants, deflateRawSync, crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressFrameSync, compressSync as compressLz4Block } from 'lz4-napi';
import { compressSync as compressSnappyBlock } from 'snappy';
import { describe, expect, test } from 'vitest';
import { CompressionType } from '../../../protocol/record/batch.ts';
import { DecompressionError, FRAMES_MAX, outputBytesAllowed, RATIO_FREE_BYTES, type DecompressionFault } from '../../../protocol/record/bound.ts';
import { compress, compressionNames, decompress } from '../../../protocol/record/compression.ts';
import { isLinkedLz4 } from '../../../protocol/record/lz4.ts';
import { xxh32 } from '../../../protocol/record/xxh32.ts';

const LIMITS = { outputBytesMax: 16 * 1024 * 1024, ratioMax: 1_000_000 };
const { GZIP, SNAPPY, LZ4, ZSTD } = CompressionType;
const CODECS = [GZIP, SNAPPY, LZ4, ZSTD] as const;

const words = Array.from({ length: 43 }, (_, i) => createHash('md5').update(String(i)).digest('hex').slice(0, 1 + ((i * 7) % 23)));

/** Bytes that compress a little, the same every time. */
function text(bytes: number): Buffer {
  const parts: string[] = [];
  for (let i = 0, length = 0; length < bytes; i++) {
    const word = words[(i * i) % words.length]!;
    parts.push(word);
    length += word.length + 1;
  }
  return Buffer.from(parts.join(' ')).subarray(0, bytes);
}

function faultOf(run: () => unknown): DecompressionFault | 'none' {
  try {
    run();
    return 'none';
  } catch (error) {
    if (error instanceof DecompressionError) return error.fault;
    throw error;
  }
}

/** Runs it and gives the growth of the process in bytes and the processor time that it took, which another test beside it does not lengthen. */
function cost(run: () => void): { bytes: number; ms: number } {
  const before = process.memoryUsage();
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  const after = process.memoryUsage();
  return { bytes: after.external + after.heapUsed - before.external - before.heapUsed, ms: (user + system) / 1000 };
}

describe.each(CODECS.map((codec) => [compressionNames[codec]!, codec] as const))('%s', (_name, codec) => {
  test.each([0, 1, 10, 1000, 32 * 1024, 64 * 1024 + 1, 300_000, 5_000_000])('%i bytes there and back', (bytes) => {
    const input = text(bytes);
    const compressed = compress(codec, input);
    expect(decompress(codec, compressed, LIMITS).equals(input)).toBe(true);
    if (bytes >= 1000) expect(compressed.length).toBeLessThan(bytes);
  });

  test('the output may be as long as the limit and not one byte longer', () => {
    const compressed = compress(codec, text(2_000_000));
    expect(decompress(codec, compressed, { outputBytesMax: 2_000_000, ratioMax: 1e6 }).length).toBe(2_000_000);
    expect(faultOf(() => decompress(codec, compressed, { outputBytesMax: 1_999_999, ratioMax: 1e6 }))).toBe('limit');
  });

  test('the ratio counts beyond the first megabyte', () => {
    const zeros = compress(codec, Buffer.alloc(3 * RATIO_FREE_BYTES));
    const ratio = (3 * RATIO_FREE_BYTES) / zeros.length;
    expect(decompress(codec, zeros, { outputBytesMax: 2 ** 30, ratioMax: Math.ceil(ratio) }).length).toBe(3 * RATIO_FREE_BYTES);
    expect(faultOf(() => decompress(codec, zeros, { outputBytesMax: 2 ** 30, ratioMax: Math.floor(ratio) - 1 }))).toBe('limit');
    const few = compress(codec, Buffer.alloc(RATIO_FREE_BYTES));
    expect(decompress(codec, few, { outputBytesMax: 2 ** 30, ratioMax: 1 }).length).toBe(RATIO_FREE_BYTES);
  });

  test('every truncation is refused or gives a beginning', () => {
    const input = text(700);
    const compressed = compress(codec, input);
    for (let length = 1; length < compressed.length; length++) {
      const cut = compressed.subarray(0, length);
      let output: Buffer | undefined;
      expect(['malformed', 'none']).toContain(faultOf(() => (output = decompress(codec, cut, LIMITS))));
      if (output !== undefined) expect(input.subarray(0, output.length).equals(output)).toBe(true);
    }
  });

  test('bytes of another codec are refused', () => {
    for (const other of CODECS) if (other !== codec) expect(faultOf(() => decompress(codec, compress(other, text(5000)), LIMITS))).toBe('malformed');
  });

  test('a changed byte is refused or gives something bounded', () => {
    const compressed = compress(codec, text(3000));
    const limits = { outputBytesMax: 100_000, ratioMax: 1000 };
    for (let at = 0; at < compressed.length; at++) {
      for (const bits of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(compressed);
        damaged[at]! ^= bits;
        const fault = faultOf(() => expect(decompress(codec, damaged, limits).length).toBeLessThanOrEqual(100_000));
        expect(['malformed', 'none', 'limit', 'checksum']).toContain(fault);
      }
    }
  });
});

test('an unknown codec is a mistake of ours', () => {
  expect(() => decompress(5, Buffer.alloc(9), LIMITS)).toThrow(RangeError);
});

test('what is allowed', () => {
  expect(outputBytesAllowed(10, { outputBytesMax: 5_000_000, ratioMax: 10 })).toBe(RATIO_FREE_BYTES);
  expect(outputBytesAllowed(200_000, { outputBytesMax: 5_000_000, ratioMax: 10 })).toBe(2_000_000);
  expect(outputBytesAllowed(2_000_000, { outputBytesMax: 5_000_000, ratioMax: 10 })).toBe(5_000_000);
});

describe('bombs', () => {
  const limits = { outputBytesMax: 1024 * 1024, ratioMax: 1_000_000 };
  const rleBlocks = (count: number): Buffer => {
    // Magic, descriptor without anything, a window of 128 KiB, then blocks of one repeated byte with 128 KiB each: 4 bytes for 131,072.
    const blocks = Buffer.alloc(4 * count);
    for (let i = 0; i < count; i++) {
      blocks.writeUIntLE((131_072 << 3) | (1 << 1) | (i === count - 1 ? 1 : 0), 4 * i, 3);
      blocks[4 * i + 3] = 0x41;
    }
    return Buffer.concat([Buffer.from('28b52ffd0038', 'hex'), blocks]);
  };
  const lz4Blocks = (count: number): Buffer => {
    const block = compressLz4Block(Buffer.alloc(4 * 1024 * 1024)).subarray(4);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const header = Buffer.from('04224d18607000', 'hex');
    header[6] = (xxh32(header, 4, 6) >>> 8) & 0xff;
    return Buffer.concat([header, ...Array.from({ length: count }, () => [size, block]).flat(), Buffer.alloc(4)]);
  };
  const xerial = (...chunks: Buffer[]): Buffer => Buffer.concat([
    Buffer.from('82534e415050590000000001' + '00000001', 'hex'),
    ...chunks.flatMap((chunk) => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(chunk.length);
      return [size, chunk];
    }),
  ]);
  const snappyZeros = compressSnappyBlock(Buffer.alloc(512 * 1024));

  const cases: readonly (readonly [string, number, Buffer])[] = [
    ['gzip of 200 MB of zeros', GZIP, gzipSync(Buffer.alloc(200_000_000))],
    ['gzip members of 600 kB each', GZIP, Buffer.concat(Array.from({ length: 200 }, () => gzipSync(Buffer.alloc(600_000))))],
    ['zstd of 200 MB of zeros', ZSTD, zstdCompressSync(Buffer.alloc(200_000_000))],
    ['zstd of 100,000 run length blocks', ZSTD, rleBlocks(100_000)],
    ['zstd frames of 128 KiB each', ZSTD, Buffer.concat(Array.from({ length: 200 }, () => rleBlocks(1)))],
    ['LZ4 of 100 blocks of 4 MiB', LZ4, lz4Blocks(100)],
    ['Snappy chunks of 512 KiB each', SNAPPY, xerial(...Array.from({ length: 500 }, () => snappyZeros))],
    ['raw Snappy of 2 MiB', SNAPPY, compressSnappyBlock(Buffer.alloc(2 * 1024 * 1024))],
  ];
  test.each(cases)('%s', (_name, codec, bomb) => {
    expect(faultOf(() => decompress(codec, bomb, limits))).toBe('limit');
    const { bytes, ms } = cost(() => faultOf(() => decompress(codec, bomb, limits)));
    // At most the output that is allowed, once in pieces and once joined, and a block of 4 MiB.
    expect(bytes).toBeLessThan(8 * 1024 * 1024);
    expect(ms).toBeLessThan(250);
  });

  test.each([
    ['Snappy that declares 4 GiB in 5 bytes', Buffer.from('ffffffff0f', 'hex')],
    ['Snappy that declares 1 GiB in 1 KiB', Buffer.concat([Buffer.from('8080808004', 'hex'), Buffer.alloc(1024)])],
    ['Snappy whose length does not end', Buffer.alloc(100, 0xff)],
    ['a Snappy chunk that declares 4 GiB', xerial(Buffer.from('ffffffff0f00', 'hex'))],
    ['a Snappy chunk of -1 bytes', Buffer.concat([xerial(), Buffer.from('ffffffff00', 'hex')])],
    ['a Snappy chunk of 2^31-1 bytes', Buffer.concat([xerial(), Buffer.from('7fffffff00', 'hex')])],
  ])('%s costs nothing', (_name, bytes) => {
    // Not 'limit', which would have clients split the batch: no such block exists.
    expect(faultOf(() => decompress(SNAPPY, bytes, LIMITS))).toBe('malformed');
    const { bytes: grown, ms } = cost(() => expect(faultOf(() => decompress(SNAPPY, bytes, { outputBytesMax: 2 ** 32, ratioMax: 1e9 }))).toBe('malformed'));
    expect(grown).toBeLessThan(2 * 1024 * 1024);
    expect(ms).toBeLessThan(100);
  });

  test('a megabyte of empty frames does not hold up the event loop', () => {
    const empty = [
      [ZSTD, zstdCompressSync(Buffer.alloc(0))],
      [GZIP, gzipSync(Buffer.alloc(0))],
    ] as const;
    for (const [codec, frame] of empty) {
      const many = Buffer.concat(Array.from({ length: Math.floor(1_000_000 / frame.length) }, () => frame));
      const { ms } = cost(() => expect(faultOf(() => decompress(codec, many, LIMITS))).toBe('limit'));
      expect(ms).toBeLessThan(500);
      const most = Buffer.concat(Array.from({ length: FRAMES_MAX }, () => frame));
      expect(decompress(codec, most, LIMITS).length).toBe(0);
    }
  });
});

describe('LZ4 frames', () => {
  const input = text(200_000);
  const frame = (flags: number, blocks: readonly { readonly bytes: Buffer; readonly isStored?: boolean }[], descriptor = 0x40): Buffer => {
    const contentSize = (flags & 0x08) === 0 ? Buffer.alloc(0) : Buffer.from('ffffffffffffffff', 'hex');
    const header = Buffer.concat([Buffer.from('04224d18', 'hex'), Buffer.from([flags, descriptor]), contentSize, Buffer.alloc(1)]);
    header[header.length - 1] = (xxh32(header, 4, header.length - 1) >>> 8) & 0xff;
    const parts = blocks.flatMap(({ bytes, isStored }) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE((bytes.length | (isStored === true ? 0x8000_0000 : 0)) >>> 0);
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32LE(xxh32(bytes, 0, bytes.length));
      return (flags & 0x10) === 0 ? [size, bytes] : [size, bytes, checksum];
    });
    return Buffer.concat([header, ...parts, Buffer.alloc((flags & 0x04) === 0 ? 4 : 8)]);
  };
  const pieces = [0, 1, 2, 3].map((i) => input.subarray(i * 50_000, (i + 1) * 50_000));
  const independent = pieces.map((piece) => ({ bytes: compressLz4Block(piece).subarray(4) }));

  test.each([
    ['independent blocks', 0x60],
    ['block checksums', 0x70],
    ['a content size that is nobody\'s promise', 0x68],
    ['a content checksum, which Kafka does not check either', 0x64],
    ['all of it', 0x7c],
  ])('%s', (_name, flags) => {
    expect(decompress(LZ4, frame(flags, independent), LIMITS).equals(input)).toBe(true);
    expect(isLinkedLz4(frame(flags, independent))).toBe(false);
  });

  test('stored blocks', () => {
    expect(decompress(LZ4, frame(0x60, pieces.map((bytes) => ({ bytes, isStored: true }))), LIMITS).equals(input)).toBe(true);
  });

  test('linked blocks refer to the 64 KiB before them, over several blocks', () => {
    // Nothing but what came 60,000 bytes before resembles anything.
    const once = Buffer.concat(Array.from({ length: 2000 }, (_, i) => createHash('sha256').update(String(i)).digest())).subarray(0, 60_000);
    const input = Buffer.concat([once, once, once, once]).subarray(0, 200_000);
    const small = Array.from({ length: 40 }, (_, i) => input.subarray(i * 5000, (i + 1) * 5000));
    const linked = small.map((piece, i) => {
      const window = input.subarray(Math.max(0, i * 5000 - 65_536), i * 5000);
      return { bytes: (i === 0 ? compressLz4Block(piece) : compressLz4Block(piece, Buffer.from(window))).subarray(4) };
    });
    const bytes = frame(0x40, linked);
    expect(isLinkedLz4(bytes)).toBe(true);
    expect(bytes.length).toBeLessThan(150_000);
    expect(decompress(LZ4, bytes, LIMITS).equals(input)).toBe(true);
    // Read as independent, they have nothing to refer to.
    expect(faultOf(() => decompress(LZ4, frame(0x60, linked), LIMITS))).toBe('malformed');
  });

  test('the encoder that clients of this library use is read', () => {
    expect(decompress(LZ4, compressFrameSync(input, { contentChecksum: true, blockChecksums: true }), LIMITS).equals(input)).toBe(true);
  });

  test('checksums of the header and of blocks are checked, but the header\'s not in magic 0', () => {
    const wrongHeader = frame(0x60, independent);
    wrongHeader[6]! ^= 1;
    expect(faultOf(() => decompress(LZ4, wrongHeader, LIMITS))).toBe('malformed');
    expect(faultOf(() => decompress(LZ4, wrongHeader, LIMITS, 1))).toBe('malformed');
    expect(decompress(LZ4, wrongHeader, LIMITS, 0).equals(input)).toBe(true);
    const wrongBlock = frame(0x70, independent);
    wrongBlock[20]! ^= 1;
    expect(faultOf(() => decompress(LZ4, wrongBlock, LIMITS))).toBe('malformed');
  });

  test.each([
    ['version 0', frame(0x20, independent)],
    ['reserved bits of FLG', frame(0x61, independent)],
    ['a dictionary id', frame(0x62, independent)],
    ['reserved bits of BD', frame(0x60, independent, 0x41)],
    ['a block size below 64 KiB', frame(0x60, independent, 0x30)],
    ['a block beyond the frame\'s block size', frame(0x60, [{ bytes: input.subarray(0, 65_537), isStored: true }])],
    ['a block that decodes to more than the frame\'s block size', frame(0x60, [{ bytes: compressLz4Block(input.subarray(0, 70_000)).subarray(4) }])],
    ['no end mark', frame(0x60, independent).subarray(0, -4)],
    ['no content checksum', frame(0x64, independent).subarray(0, -4)],
  ])('%s is refused', (_name, bytes) => {
    expect(faultOf(() => decompress(LZ4, bytes, LIMITS))).toBe('malformed');
  });

  test('what follows the end mark is left alone', () => {
    expect(decompress(LZ4, Buffer.concat([frame(0x60, independent), Buffer.from('anything')]), LIMITS).equals(input)).toBe(true);
  });
});

describe('xxHash32', () => {
  test.each([
    ['', 0x02cc5d05],
    ['a', 0x550d7456],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ])('of %j', (input, hash) => {
    expect(xxh32(Buffer.from(`xx${input}yy`), 2, 2 + input.length)).toBe(hash);
  });
});

describe('Snappy', () => {
  const input = text(100_000);

  test('a raw block, as some clients send it', () => {
    expect(decompress(SNAPPY, compressSnappyBlock(input), LIMITS).equals(input)).toBe(true);
  });

  test('two streams one after the other', () => {
    const half = [input.subarray(0, 40_000), input.subarray(40_000)].map((part) => compress(SNAPPY, part));
    expect(decompress(SNAPPY, Buffer.concat(half), LIMITS).equals(input)).toBe(true);
  });

  test('chunks of 32 KiB, and whatever versions the header says', () => {
    const compressed = compress(SNAPPY, input);
    expect(compressed.subarray(0, 16).toString('hex')).toBe('82534e4150505900' + '00000001' + '00000001');
    compressed.fill(0xff, 8, 16);
    expect(decompress(SNAPPY, compressed, LIMITS).equals(input)).toBe(true);
  });

  test('less than a chunk size at the end is left alone', () => {
    expect(decompress(SNAPPY, Buffer.concat([compress(SNAPPY, input), Buffer.alloc(3)]), LIMITS).equals(input)).toBe(true);
  });

  test('nothing at all is refused', () => {
    expect(faultOf(() => decompress(SNAPPY, Buffer.alloc(0), LIMITS))).toBe('malformed');
  });
});

describe('zstd', () => {
  const input = text(100_000);
  const halves = [input.subarray(0, 30_000), input.subarray(30_000)];

  test('several frames, and frames to skip between them', () => {
    const skip = Buffer.from('5a2a4d1803000000' + 'aabbcc', 'hex');
    const [first, second] = halves.map((half) => compress(ZSTD, half)) as [Buffer, Buffer];
    expect(decompress(ZSTD, Buffer.concat([first, second]), LIMITS).equals(input)).toBe(true);
    expect(decompress(ZSTD, Buffer.concat([skip, first, skip, second, skip]), LIMITS).equals(input)).toBe(true);
  });

  test.each([1, 3, 9, 19, 22])('level %i, with a checksum and with its content size', (level) => {
    const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
    expect(decompress(ZSTD, zstdCompressSync(input, { params, pledgedSrcSize: input.length }), LIMITS).equals(input)).toBe(true);
  });

  test('single segments of every size of the content size field', () => {
    for (const bytes of [0, 1, 255, 256, 65_791, 65_792, 100_000]) {
      const part = input.subarray(0, bytes);
      expect(decompress(ZSTD, zstdCompressSync(part, { pledgedSrcSize: bytes }), LIMITS).equals(part)).toBe(true);
    }
  });

  test.each([
    ['bytes after the last frame', Buffer.concat([compress(ZSTD, input), Buffer.from('anything')])],
    ['a skippable frame that is cut short', Buffer.from('502a4d1804000000aabbcc', 'hex')],
    ['a block of the reserved type', Buffer.from('28b52ffd0038' + '070000', 'hex')],
    ['a compressed block of more than 128 KiB', Buffer.concat([Buffer.from('28b52ffd0038' + '0d0010', 'hex'), Buffer.alloc(140_000)])],
    ['a window of 2 GiB', Buffer.from('28b52ffd00a8' + '0b0000' + '41', 'hex')],
  ])('%s is refused', (_name, bytes) => {
    expect(faultOf(() => decompress(ZSTD, bytes, LIMITS))).toBe('malformed');
  });

  test('no bytes are no output', () => {
    expect(decompress(ZSTD, Buffer.alloc(0), LIMITS).length).toBe(0);
  });
});

describe('gzip', () => {
  const input = text(50_000);
  const member = (flags: number, fields: Buffer): Buffer => {
    const header = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3]), fields]);
    const checksum = Buffer.alloc(2);
    checksum.writeUInt16LE(crc32(header) & 0xffff);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc32(input), 0);
    trailer.writeUInt32LE(input.length, 4);
    return Buffer.concat([header, (flags & 2) === 0 ? Buffer.alloc(0) : checksum, deflateRawSync(input), trailer]);
  };
  const extra = Buffer.from('0300aabbcc', 'hex');
  const name = Buffer.from('name\0');
  const comment = Buffer.from('comment\0');

  test.each([
    ['extra', 0x04, extra],
    ['name', 0x08, name],
    ['comment', 0x10, comment],
    ['header checksum', 0x02, Buffer.alloc(0)],
    ['all of them', 0x1e, Buffer.concat([extra, name, comment])],
  ])('%s in the header', (_name, flags, fields) => {
    const bytes = member(flags, fields);
    expect(decompress(GZIP, bytes, LIMITS).equals(input)).toBe(true);
    for (let length = 0; length < 10 + fields.length + 2; length++) expect(faultOf(() => decompress(GZIP, bytes.subarray(0, length), LIMITS))).toBe('malformed');
  });

  test('several members, and whatever follows the last', () => {
    const two = Buffer.concat([gzipSync(input.subarray(0, 20_000)), gzipSync(input.subarray(20_000))]);
    expect(decompress(GZIP, two, LIMITS).equals(input)).toBe(true);
    for (const tail of ['\0\0\0\0', 'anything', '\x1f\x8b']) expect(decompress(GZIP, Buffer.concat([two, Buffer.from(tail, 'latin1')]), LIMITS).equals(input)).toBe(true);
  });

  test('a wrong trailer is told apart, and comes with what was decoded', () => {
    for (const at of [-8, -1]) {
      const bytes = gzipSync(input);
      bytes[bytes.length + at]! ^= 1;
      let caught: unknown;
      try {
        decompress(GZIP, bytes, LIMITS);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(DecompressionError);
      expect((caught as DecompressionError).fault).toBe('checksum');
      expect((caught as DecompressionError).output!.equals(input)).toBe(true);
    }
  });

  test('a wrong header checksum is refused', () => {
    const bytes = member(0x02, Buffer.alloc(0));
    bytes[10]! ^= 1;
    expect(faultOf(() => decompress(GZIP, bytes, LIMITS))).toBe('malformed');
  });
});
