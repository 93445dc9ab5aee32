/** What encoders refuse, what decoders refuse beyond lengths and counts, and what passes by reference. */
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { decode, decodeBuffer, encode, encodeBuffer } from '../../protocol/compile.ts';
import { encodeResponseFrame } from '../../protocol/frame.ts';
import {
  Fetch,
  FetchRequest,
  FetchResponse,
  HeartbeatRequest,
  MetadataRequest,
  OffsetCommitRequest,
  ProduceRequest,
} from '../../protocol/messages/index.ts';
import { array, bool, bytes, float64, int16, int32, int64, int64Exact, int8, message, records, string, struct, uint16, uint32, uuid } from '../../protocol/schema.ts';
import type { Input, PrimitiveKind } from '../../protocol/schema.ts';
import { Reader } from '../../protocol/reader.ts';
import { REFERENCE_BYTES_MIN, Writer } from '../../protocol/writer.ts';

const builders = { int8, int16, int32, int64, int64Exact, uint16, uint32, float64, bool, string, bytes, uuid };

function one(kind: keyof typeof builders, value: any): Buffer {
  const of = message({ name: 'One', versions: '0', flexible: '0+', fields: { field: builders[kind]() } });
  return encodeBuffer(of as any, 0, { field: value } as never);
}

const fits: [PrimitiveKind, unknown[]][] = [
  ['int8', [-128, 127]],
  ['int16', [-32768, 32767]],
  ['uint16', [0, 65535]],
  ['int32', [-(2 ** 31), 2 ** 31 - 1]],
  ['uint32', [0, 2 ** 32 - 1]],
  ['int64', [-(2 ** 53) + 1, 2 ** 53 - 1, -1]],
  ['int64Exact', [-(2n ** 63n), 2n ** 63n - 1n]],
  ['float64', [0.1, -0, NaN, Infinity]],
  ['bool', [true, false]],
  ['string', ['', 'x'.repeat(32767), '\ufeff\0\u2028é🎣', '\ufeff'.repeat(40)]],
  ['uuid', ['AAAAAAAAAAAAAAAAAAAAAA', '_____________________w']],
];

test.each(fits)('%s comes back', (kind, values) => {
  const of = message({ name: 'One', versions: '0', flexible: '0+', fields: { field: builders[kind as keyof typeof builders]() } });
  for (const value of values) expect((decodeBuffer(of as any, 0, one(kind as never, value)) as any).field).toBe(value);
});

const misfits: [keyof typeof builders, unknown[]][] = [
  ['int8', [-129, 128, 1.5, NaN, '1', undefined, null]],
  ['int16', [-32769, 32768, undefined]],
  ['uint16', [-1, 65536]],
  ['int32', [-(2 ** 31) - 1, 2 ** 31, 0.5, undefined]],
  ['uint32', [-1, 2 ** 32]],
  ['int64', [2 ** 53, -(2 ** 53), 1.5, 5n, undefined]],
  ['int64Exact', [2n ** 63n, -(2n ** 63n) - 1n, 5, undefined]],
  ['float64', ['1', undefined]],
  ['bool', [0, 'true', undefined]],
  ['string', ['x'.repeat(32768), 'é'.repeat(16384), 'lone \ud800', '\udc00'.repeat(80), 5, null, undefined]],
  ['bytes', ['text', null, undefined, new Uint8Array(2)]],
  ['uuid', ['', 'AAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAB', 'AAAAAAAAAAAAAAAAAAAA+A', 'AAAAAAAAAAAAAAAAAAAA\u00c1A', undefined]],
];

test.each(misfits)('%s refuses what it is not', (kind, values) => {
  for (const value of values) expect(() => one(kind, value), String(value)).toThrow(TypeError);
});

test('an error says where', () => {
  const input = { groupId: 'g', generationId: 2 ** 31, memberId: 'm' };
  expect(() => encodeBuffer(HeartbeatRequest, 4, input)).toThrow('HeartbeatRequest v4 generationId: 2147483648 is not int32');
  expect(() => decodeBuffer(HeartbeatRequest, 4, Buffer.from([5]))).toThrow('HeartbeatRequest v4 groupId has length 4, 0 bytes are left');
});

test('a version that the message does not have is our error', () => {
  for (const version of [-1, 5, 1.5, NaN]) {
    expect(() => encodeBuffer(HeartbeatRequest, version, { groupId: 'g', generationId: 1, memberId: 'm' })).toThrow(TypeError);
    expect(() => decodeBuffer(HeartbeatRequest, version, Buffer.alloc(20))).toThrow(TypeError);
  }
});

test('a field that the version lacks may only be at its default', () => {
  const input = { groupId: 'g', generationId: 1, memberId: 'm' };
  const error = 'HeartbeatRequest v2 groupInstanceId is set, and that version does not have it';
  expect(() => encodeBuffer(HeartbeatRequest, 2, { ...input, groupInstanceId: 'static' })).toThrow(new TypeError(error));
  expect(encodeBuffer(HeartbeatRequest, 2, { ...input, groupInstanceId: null })).toEqual(encodeBuffer(HeartbeatRequest, 2, input));
});

test('unless it is ignorable', () => {
  const partition = { partitionIndex: 0, committedOffset: 5n, committedMetadata: null };
  const input = { groupId: 'g', generationIdOrMemberEpoch: 1, memberId: 'm', topics: [{ name: 't', partitions: [partition] }] };
  const withEpoch = { ...input, topics: [{ name: 't', partitions: [{ ...partition, committedLeaderEpoch: 7 }] }] };
  expect(encodeBuffer(OffsetCommitRequest, 5, withEpoch)).toEqual(encodeBuffer(OffsetCommitRequest, 5, input));
  expect(encodeBuffer(OffsetCommitRequest, 6, withEpoch)).not.toEqual(encodeBuffer(OffsetCommitRequest, 6, input));
});

test('a struct that the version lacks is looked into', () => {
  const input = { maxWaitMs: 1, minBytes: 1, topics: [], forgottenTopicsData: [] };
  const state = (replicaId: number) => ({ ...input, replicaState: { replicaId } });
  expect(encodeBuffer(FetchRequest, 12, state(-1))).toEqual(encodeBuffer(FetchRequest, 12, input));
  expect(() => encodeBuffer(FetchRequest, 12, state(3))).toThrow('FetchRequest v12 replicaState is set');
});

test('null goes where the version allows it', () => {
  expect(decodeBuffer(MetadataRequest, 1, encodeBuffer(MetadataRequest, 1, { topics: null })).topics).toBe(null);
  expect(() => encodeBuffer(MetadataRequest, 0, { topics: null })).toThrow('MetadataRequest v0 topics: null is not array');
  expect(() => decodeBuffer(MetadataRequest, 0, Buffer.from('ffffffff', 'hex'))).toThrow(RangeError);
});

test('an absent field has its default, and all versions give the same keys', () => {
  const old = decodeBuffer(HeartbeatRequest, 0, encodeBuffer(HeartbeatRequest, 0, { groupId: 'g', generationId: 1, memberId: 'm' }));
  expect(old).toEqual({ groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null });
  expect(Object.keys(old)).toEqual(Object.keys(HeartbeatRequest.fields));
});

test('all versions share one hidden class', () => {
  setFlagsFromString('--allow-natives-syntax');
  const haveSameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: unknown, b: unknown) => boolean;
  setFlagsFromString('--no-allow-natives-syntax');
  const input = { maxWaitMs: 1, minBytes: 1, topics: [], forgottenTopicsData: [] };
  const decodeAll = () => [4, 7, 12, 18].map((version) => decodeBuffer(FetchRequest, version, encodeBuffer(FetchRequest, version, input)));
  decodeAll();
  const [first, ...rest] = decodeAll();
  for (const each of rest) expect(haveSameMap(first, each)).toBe(true);
});

test('bytes behind the message are left to the caller, and an error where there must be none', () => {
  const frame = Buffer.concat([encodeBuffer(HeartbeatRequest, 4, { groupId: 'g', generationId: 1, memberId: 'm' }), Buffer.from('rest')]);
  const reader = new Reader(frame);
  decode(HeartbeatRequest, 4, reader);
  expect(reader.bytes(reader.remaining).toString()).toBe('rest');
  expect(() => decodeBuffer(HeartbeatRequest, 4, frame)).toThrow('4 bytes behind HeartbeatRequest v4');
});

test('a frame has a budget of elements, nested arrays together', () => {
  const nested = message({
    name: 'Nested',
    versions: '0',
    flexible: 'none',
    fields: { outer: array(struct({ inner: array(int32()) })), names: array(string()) },
  });
  const frame = encodeBuffer(nested, 0, { outer: [{ inner: [1, 2, 3] }, { inner: [4] }], names: ['a', 'b'] });
  const within = (elementsMax: number) => () => decode(nested, 0, new Reader(frame, 0, frame.length, { elementsMax, tagsMax: 64 }));
  expect(within(8)().outer).toHaveLength(2);
  expect(within(7)).toThrow('Nested v0 names with its 2 elements is over the limit of the frame');
  expect(within(3)).toThrow(RangeError);
});

const tagged = message({
  name: 'Tagged',
  versions: '0',
  flexible: '0+',
  fields: { known: int32().default(0).tagged(1, '0+'), last: string().default('').tagged(200, '0+') },
});

test.each([
  ['known and unknown', '04 00 02 abcd 01 04 00000007 05 00 c801 02 0261', { known: 7, last: 'a' }],
  ['none', '00', { known: 0, last: '' }],
  ['unknown alone', '01 32 00', { known: 0, last: '' }],
])('tagged fields: %s', (_, hex, value) => {
  expect(decodeBuffer(tagged, 0, Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toEqual(value);
});

test.each([
  ['one twice', '02 01 04 00000007 01 04 00000007', /1 comes after 1/],
  ['out of order', '02 03 00 01 04 00000007', /1 comes after 3/],
  ['unknown out of order', '02 07 00 06 00', /6 comes after 7/],
  ['longer than its value', '01 01 05 00000007 00', /known is said to have 5 bytes, 1 were not read/],
  ['shorter than its value', '01 01 03 000000', /needs 4 bytes, 3 are left/],
  ['longer than the frame', '01 05 03 0000', /5 has 3 bytes, 2 are left/],
  ['more than the bytes', '03 05 00 06 00', /3 elements of at least 2 bytes/],
  ['a varint without end', '8080808080', /varint of more than 5 bytes/],
])('tagged fields: %s', (_, hex, error) => {
  const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  expect(() => decodeBuffer(tagged, 0, frame)).toThrow(RangeError);
  expect(() => decodeBuffer(tagged, 0, frame)).toThrow(error);
});

test('tagged fields: the same rules where none is known', () => {
  const heartbeat = encodeBuffer(HeartbeatRequest, 4, { groupId: 'g', generationId: 1, memberId: 'm' });
  const withTags = (hex: string) => Buffer.concat([heartbeat.subarray(0, -1), Buffer.from(hex, 'hex')]);
  expect(decodeBuffer(HeartbeatRequest, 4, withTags('0203000402abcd')).memberId).toBe('m');
  for (const hex of ['0203000300', '0204000300', '010302ab', '02030002']) {
    expect(() => decodeBuffer(HeartbeatRequest, 4, withTags(hex)), hex).toThrow(RangeError);
  }
});

test('tagged fields: large bytes are copied behind their length', () => {
  const fields = { data: bytes().default(Buffer.alloc(0)).tagged(0, '0+'), after: records().nullable().tagged(1, '0+') };
  const of = message({ name: 'Large', versions: '0', flexible: '0+', fields });
  const data = Buffer.alloc(3 * REFERENCE_BYTES_MIN, 5);
  const writer = new Writer();
  encode(of, 0, { data, after: [data, data] }, writer);
  const frame = Buffer.concat(writer.finish());
  expect(frame.subarray(0, 6).toString('hex')).toBe('02' + '00' + '8218' + '8118');
  expect(decodeBuffer(of, 0, frame)).toEqual({ data, after: Buffer.concat([data, data]) });
});

test('tagged fields: at most so many of a struct', () => {
  const many = (count: number) => Buffer.from([count, ...Array.from({ length: count }, (_, index) => [index + 2, 0]).flat()]);
  const within = (count: number, tagsMax: number) => () => decode(tagged, 0, new Reader(many(count), 0, 1 + 2 * count, { elementsMax: 10, tagsMax }));
  expect(within(64, 64)()).toEqual({ known: 0, last: '' });
  expect(within(65, 64)).toThrow('Tagged v0 tagged fields are 65, more than 64');
  expect(() => decodeBuffer(tagged, 0, many(65))).toThrow(RangeError);
});

test.each([
  ['a lone continuation byte', '80'],
  ['an overlong slash', 'c0af'],
  ['a surrogate', 'eda080'],
  ['beyond U+10FFFF', 'f4908080'],
  ['cut short', 'e697'],
  ['Latin-1', 'e9e8'],
])('ill-formed UTF-8, short and long: %s', (_, hex) => {
  for (const before of [0, 40, 100]) {
    const text = Buffer.concat([Buffer.alloc(before, 'a'), Buffer.from(hex, 'hex')]);
    const frame = Buffer.concat([Buffer.from([0, text.length]), text]);
    const of = message({ name: 'Text', versions: '0', flexible: 'none', fields: { text: string() } });
    expect(() => decodeBuffer(of, 0, frame)).toThrow(RangeError);
  }
});

test('U+FFFD itself is a character like any other', () => {
  const of = message({ name: 'Text', versions: '0', flexible: '0+', fields: { text: string() } });
  for (const text of ['\ufffd', 'a'.repeat(100) + '\ufffd', '\ufffd'.repeat(60)]) {
    expect(decodeBuffer(of, 0, encodeBuffer(of, 0, { text })).text).toBe(text);
  }
});

test('large records go out and come in by reference, small ones are copied', () => {
  const large = Buffer.alloc(REFERENCE_BYTES_MIN, 1);
  const small = Buffer.alloc(REFERENCE_BYTES_MIN - 1, 2);
  const partition = { errorCode: 0, highWatermark: 5, abortedTransactions: null };
  const buffers = encodeResponseFrame(Fetch, 12, 9, {
    throttleTimeMs: 0,
    responses: [
      {
        topic: 't',
        partitions: [
          { ...partition, partitionIndex: 0, records: large },
          { ...partition, partitionIndex: 1, records: small },
          { ...partition, partitionIndex: 2, records: [large, small, large] },
        ],
      },
    ],
  });
  expect(buffers.filter((buffer) => buffer === large)).toHaveLength(3);
  expect(buffers).toHaveLength(7);
  const frame = Buffer.concat(buffers);
  const reader = new Reader(frame, 9);
  const [first, second, third] = decode(FetchResponse, 12, reader).responses[0]!.partitions;
  expect(first!.records).toEqual(large);
  expect(second!.records).toEqual(small);
  expect(third!.records).toEqual(Buffer.concat([large, small, large]));
  frame.fill(7);
  expect(first!.records![0]).toBe(7);
  expect(reader.remaining).toBe(0);
});

test('writers that are alive at once share nothing', () => {
  const write = (writer: Writer, byte: number, count: number) => {
    for (let i = 0; i < count; i++) writer.int8(byte);
  };
  new Writer().finish();
  const [a, b] = [new Writer(), new Writer()];
  write(a, 1, 3000);
  write(b, 2, 3000);
  write(a, 1, 20_000);
  const fromA = a.finish();
  const c = new Writer();
  write(c, 3, 3000);
  write(b, 2, 10);
  for (const [buffers, byte, length] of [
    [fromA, 1, 23_000],
    [b.finish(), 2, 3010],
    [c.finish(), 3, 3000],
  ] as const) {
    expect(Buffer.concat(buffers).equals(Buffer.alloc(length, byte))).toBe(true);
  }
});

test('a writer whose encoding failed spoils nothing', () => {
  const writer = new Writer();
  expect(() => encode(HeartbeatRequest, 4, { groupId: 'g', generationId: 0.5, memberId: 'm' }, writer)).toThrow(TypeError);
  const input: Input<typeof HeartbeatRequest> = { groupId: 'g', generationId: 1, memberId: 'm' };
  expect(decodeBuffer(HeartbeatRequest, 4, encodeBuffer(HeartbeatRequest, 4, input))).toMatchObject(input);
});

test('names from the wire are never keys', () => {
  const names = ['__proto__', 'constructor', 'toString'];
  const input = { acks: 1, timeoutMs: 1, topicData: names.map((name) => ({ name, partitionData: [] })) };
  const { topicData } = decodeBuffer(ProduceRequest, 9, encodeBuffer(ProduceRequest, 9, input));
  expect(topicData.map((topic) => topic.name)).toEqual(names);
});
