/** Snappy, LZ4 and zstd for kafkajs, which brings gzip alone: codec plug-ins as its documentation asks for. Does not: bound what it expands. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import { CompressionCodecs, CompressionTypes } from 'kafkajs';
import { compressSync, uncompressSync } from 'snappy';

// magic:8 version:4=1 compatible:4=1, then blocks of length:4 and raw snappy. What Java's clients and librdkafka write.
const XERIAL = Buffer.from('82534e415050590000000001' + '00000001', 'hex');

function unxerial(data: Buffer): Buffer {
  if (!data.subarray(0, 8).equals(XERIAL.subarray(0, 8))) return uncompressSync(data) as Buffer;
  const blocks: Buffer[] = [];
  for (let at = XERIAL.length; at < data.length; at += 4 + data.readInt32BE(at))
    blocks.push(uncompressSync(data.subarray(at + 4, at + 4 + data.readInt32BE(at))) as Buffer);
  return Buffer.concat(blocks);
}

function xerial(data: Buffer): Buffer {
  const parts: Buffer[] = [XERIAL];
  for (let at = 0; at < data.length; at += 32768) {
    const block: Buffer = compressSync(data.subarray(at, at + 32768)),
      length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

interface Codec {
  compress(data: Buffer): Buffer;
  decompress(data: Buffer): Buffer;
}

function install(type: CompressionTypes, codec: Codec): void {
  (CompressionCodecs as Record<number, unknown>)[type] = () => ({
    compress: async (encoder: { buffer: Buffer }) => codec.compress(encoder.buffer),
    decompress: async (buffer: Buffer) => codec.decompress(buffer),
  });
}

/** `rawSnappy`: one block without xerial's frame, as the plug-in that most people use writes it. */
export function installCodecs(options: { rawSnappy?: boolean } = {}): void {
  install(CompressionTypes.Snappy, { compress: options.rawSnappy ? (data) => compressSync(data) : xerial, decompress: unxerial });
  install(CompressionTypes.LZ4, { compress: (data) => compressFrameSync(data), decompress: (data) => decompressFrameSync(data) });
  install(CompressionTypes.ZSTD, { compress: (data) => zstdCompressSync(data), decompress: (data) => zstdDecompressSync(data) });
}
