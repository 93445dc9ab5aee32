/** Headers that must be understood although nobody knows the API or the version, and those that cannot be. */
import { expect, test } from 'vitest';
import { decodeRequestHeader, decodeResponseFrame, encodeRequestFrame, encodeResponseFrame } from '../../protocol/frame.ts';
import { ApiVersions, Heartbeat, Metadata } from '../../protocol/messages/index.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('ApiVersions from the future still has a header', () => {
  // v99: flexible header with an unknown tagged field, and a body that nobody can read.
  const header = decodeRequestHeader(hex('0012 0063 00000007 0003 616263 01 05 02 ffff deadbeef'));
  expect(header).toMatchObject({ apiKey: 18, apiVersion: 99, correlationId: 7, clientId: 'abc', isVersionKnown: false, api: ApiVersions });
  expect(header.reader.remaining).toBe(4);
});

test('an unknown API has a header as far as all headers are alike', () => {
  const header = decodeRequestHeader(hex('03e8 0000 0000002a ffff 00'));
  expect(header).toMatchObject({ apiKey: 1000, correlationId: 42, clientId: null, api: undefined, isVersionKnown: false });
  expect(decodeRequestHeader(hex('ffff 0000 00000001 0001 78'))).toMatchObject({ apiKey: -1, clientId: 'x', api: undefined });
});

test.each([
  [4, 'removed with ZooKeeper'],
  [7, 'removed with ZooKeeper'],
])('API %d was %s', (apiKey) => {
  const frame = hex('0000 0000 00000001 ffff');
  frame.writeInt16BE(apiKey, 0);
  expect(decodeRequestHeader(frame).api).toBe(undefined);
});

test('a version below the first is known by its header', () => {
  const old = decodeRequestHeader(hex('0000 0000 00000005 0001 78'));
  expect(old).toMatchObject({ apiKey: 0, apiVersion: 0, correlationId: 5, clientId: 'x', isVersionKnown: false });
  expect(decodeRequestHeader(hex('0000 ffff 00000005 0001 78'))).toMatchObject({ apiVersion: -1, isVersionKnown: false });
});

test.each([
  '',
  '0012',
  '0012 0003 000000',
  '0012 0003 00000001 0003 6162',
  '0012 0003 00000001 fffe',
  '0012 0003 00000001 0000 05',
  '0012 0000 00000001 0002 c080',
])('no header: %s', (bytes) => {
  expect(() => decodeRequestHeader(hex(bytes))).toThrow(RangeError);
});

test('the response header of ApiVersions is version 0 in every version, others follow the body', () => {
  const body = { errorCode: 0, apiKeys: [], throttleTimeMs: 0 };
  const frame = (buffers: Buffer[]) => Buffer.concat(buffers).toString('hex');
  expect(frame(encodeResponseFrame(ApiVersions, 4, 7, body))).toBe('0000000c' + '00000007' + '0000' + '01' + '00000000' + '00');
  expect(frame(encodeResponseFrame(Heartbeat, 4, 7, { errorCode: 27 }))).toBe('0000000c' + '00000007' + '00' + '00000000' + '001b' + '00');
  expect(frame(encodeResponseFrame(Heartbeat, 3, 7, { errorCode: 27 }))).toBe('0000000a' + '00000007' + '00000000' + '001b');
});

test('a request of ours is what a broker reads', () => {
  const frame = Buffer.concat(encodeRequestFrame(Metadata, 12, { correlationId: 3, clientId: 'é' }, { topics: null }));
  expect(frame.readInt32BE(0)).toBe(frame.length - 4);
  expect(decodeRequestHeader(frame.subarray(4))).toMatchObject({ apiKey: 3, apiVersion: 12, correlationId: 3, clientId: 'é', isVersionKnown: true });
});

test('bytes behind a response are an error', () => {
  const frame = Buffer.concat([...encodeResponseFrame(Heartbeat, 4, 1, { errorCode: 0 }), Buffer.from([0])]);
  expect(() => decodeResponseFrame(Heartbeat, 4, frame.subarray(4))).toThrow('1 bytes behind HeartbeatResponse v4');
});
