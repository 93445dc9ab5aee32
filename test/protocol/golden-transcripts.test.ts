/** Every frame that a cluster of Apache Kafka exchanged, decoded and encoded again to the same bytes. */
import { expect, test } from 'vitest';
import { decode } from '../../protocol/compile.ts';
import { decodeRequestHeader, decodeResponseFrame, encodeRequestFrame, encodeResponseFrame } from '../../protocol/frame.ts';
import { apis } from '../../protocol/messages/index.ts';
import type { AnyApi } from '../../protocol/schema.ts';
import { describeGolden, hasGoldenFile } from './golden.ts';
import { TRANSCRIPT, transcriptFrames } from './transcript.ts';
import type { TranscriptFrame } from './transcript.ts';

function again(line: TranscriptFrame, api: AnyApi, frame: Buffer): Buffer[] {
  if (line.dir === 'response') {
    const { correlationId, body } = decodeResponseFrame(api, line.version, frame);
    expect(correlationId).toBe(line.correlationId);
    return encodeResponseFrame(api, line.version, correlationId, body);
  }
  const { apiVersion, correlationId, clientId, reader } = decodeRequestHeader(frame);
  expect({ apiVersion, correlationId, clientId }).toEqual({ apiVersion: line.version, correlationId: line.correlationId, clientId: line.clientId });
  const body = decode(api.request, apiVersion, reader);
  expect(reader.remaining).toBe(0);
  return encodeRequestFrame(api, apiVersion, { correlationId, clientId }, body);
}

describeGolden(() => {
  // The usual set has it; another one may be of encodings alone.
  test.skipIf(!hasGoldenFile(TRANSCRIPT))(TRANSCRIPT, () => {
    const lines = transcriptFrames();
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      const frame = Buffer.from(line.hex, 'hex');
      const title = `${line.dir} ${line.apiKey} v${line.version} ${line.correlationId}`;
      // The tap cuts frames over 64 KiB; none of these is.
      expect(frame.length, title).toBe(line.size);
      expect(Buffer.concat(again(line, apis.get(line.apiKey)!, frame)).subarray(4).toString('hex'), title).toBe(line.hex);
    }
  });
});
