/** kafkajs's producer and what a consumer then sees: codecs, keys, headers, times, acks, idempotence, sizes. */
import { CompressionTypes } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { installCodecs } from './codecs.ts';
import { readAll, uniqueName, useBroker } from './kafkajs-fixture.ts';

const fixture = useBroker();

describe('compression', () => {
  test.each([
    ['none', CompressionTypes.None, {}],
    ['gzip', CompressionTypes.GZIP, {}],
    ['snappy', CompressionTypes.Snappy, {}],
    ['snappy without xerial frames', CompressionTypes.Snappy, { rawSnappy: true }],
    ['lz4', CompressionTypes.LZ4, {}],
    ['zstd', CompressionTypes.ZSTD, {}],
  ])('%s', async (name, compression, options) => {
    installCodecs(options);
    const topic = await fixture.topic(2),
      producer = await fixture.producer();
    const values = Array.from({ length: 500 }, (_, i) => `${name} ${i} ${'text that repeats '.repeat(i % 20)}`);
    for (let from = 0; from < values.length; from += 100) {
      await producer.send({
        topic,
        compression,
        messages: values.slice(from, from + 100).map((value, i) => ({ value, key: `${i}`, headers: { codec: name } })),
      });
    }
    const { messages } = await readAll(fixture, topic, values.length);
    expect(messages.map(({ message }) => message.value!.toString()).sort()).toEqual([...values].sort());
    expect(messages.every(({ message }) => message.headers!['codec']!.toString() === name)).toBe(true);
    for (const partition of [0, 1]) {
      const offsets = messages.filter((each) => each.partition === partition).map(({ message }) => Number(message.offset));
      expect(offsets).toEqual(offsets.map((_, i) => i));
    }
  });
});

test('keys, headers, times and nulls come back as they went', async () => {
  const topic = await fixture.topic(),
    producer = await fixture.producer();
  await producer.send({
    topic,
    messages: [
      { key: 'key', value: 'value', headers: { one: '1', many: ['a', 'b'], bytes: Buffer.from([0, 255]) }, timestamp: '1500000000000' },
      { key: null, value: 'no key' },
      { key: 'gone', value: null },
      { key: '', value: '' },
      { value: Buffer.from([0, 1, 254, 255]) },
    ],
  });
  const messages = (await readAll(fixture, topic, 5)).messages.map(({ message }) => message);
  expect(messages.map(({ key, value }) => [key?.toString('latin1') ?? null, value?.toString('latin1') ?? null])).toEqual([
    ['key', 'value'],
    [null, 'no key'],
    ['gone', null],
    ['', ''],
    [null, '\0\x01\xfe\xff'],
  ]);
  expect(messages[0]).toMatchObject({
    timestamp: '1500000000000',
    headers: { one: Buffer.from('1'), many: [Buffer.from('a'), Buffer.from('b')], bytes: Buffer.from([0, 255]) },
  });
  expect(messages.map(({ offset }) => offset)).toEqual(['0', '1', '2', '3', '4']);
});

test('equal keys go to one partition, in order', async () => {
  const topic = await fixture.topic(6),
    producer = await fixture.producer();
  const messages = Array.from({ length: 300 }, (_, i) => ({ key: `key ${i % 25}`, value: `${i}` }));
  for (let from = 0; from < 300; from += 50) await producer.send({ topic, messages: messages.slice(from, from + 50) });
  const got = (await readAll(fixture, topic, 300)).messages;
  const byKey = Map.groupBy(got, ({ message }) => message.key!.toString());
  expect(byKey.size).toBe(25);
  for (const records of byKey.values()) {
    expect(new Set(records.map(({ partition }) => partition)).size).toBe(1);
    const numbers = records.map(({ message }) => Number(message.value!.toString()));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
  expect(new Set(got.map(({ partition }) => partition)).size).toBeGreaterThan(1);
});

test('several topics in one request', async () => {
  const [a, b] = [await fixture.topic(2), await fixture.topic(1)],
    producer = await fixture.producer();
  const sent = await producer.sendBatch({
    topicMessages: [
      {
        topic: a,
        messages: [
          { partition: 0, value: 'a0' },
          { partition: 1, value: 'a1' },
        ],
      },
      { topic: b, messages: [{ value: 'b' }, { value: 'c' }] },
    ],
  });
  expect(
    sent
      .map(({ topicName, partition, errorCode, baseOffset }) => ({ topicName, partition, errorCode, baseOffset }))
      .sort((x, y) => x.topicName.localeCompare(y.topicName) || x.partition - y.partition),
  ).toEqual(
    [
      [a, 0],
      [a, 1],
      [b, 0],
    ].map(([topicName, partition]) => ({ topicName, partition, errorCode: 0, baseOffset: '0' })),
  );
  expect((await readAll(fixture, b, 2)).values).toEqual(['b', 'c']);
});

test('acks 1 gives offsets; acks 0 gives nothing, and the record is there', async () => {
  const topic = await fixture.topic(),
    producer = await fixture.producer();
  expect(await producer.send({ topic, acks: 1, messages: [{ value: 'one' }] })).toMatchObject([{ baseOffset: '0' }]);
  expect(await producer.send({ topic, acks: 0, messages: [{ value: 'zero' }] })).toEqual([]);
  expect((await readAll(fixture, topic, 2)).values).toEqual(['one', 'zero']);
});

test('a topic is made by the first record', async () => {
  const topic = uniqueName('auto'),
    producer = await fixture.producer({ allowAutoTopicCreation: true });
  expect(await producer.send({ topic, messages: [{ value: 'first' }] })).toMatchObject([{ topicName: topic, partition: 0, errorCode: 0, baseOffset: '0' }]);
});

test('a record larger than max.message.bytes is refused, the connection stays', async () => {
  const topic = await fixture.topic(1, { 'max.message.bytes': '10000' }),
    producer = await fixture.producer();
  await expect(producer.send({ topic, messages: [{ value: Buffer.alloc(20_000) }] })).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
  expect(await producer.send({ topic, messages: [{ value: Buffer.alloc(5_000) }] })).toMatchObject([{ baseOffset: '0' }]);
});

test('a large record, and many at once', async () => {
  const topic = await fixture.topic(3),
    producer = await fixture.producer();
  await producer.send({ topic, messages: [{ value: Buffer.alloc(900_000, 'x') }] });
  await Promise.all(Array.from({ length: 100 }, (_, i) => producer.send({ topic, messages: Array.from({ length: 20 }, (_, j) => ({ value: `${i} ${j}` })) })));
  const { messages } = await readAll(fixture, topic, 2001);
  expect(new Set(messages.map(({ message }) => message.value!.toString())).size).toBe(2001);
});

describe('idempotent producer', () => {
  test('contiguous offsets, every record once', async () => {
    const topic = await fixture.topic(2),
      producer = await fixture.producer({ idempotent: true, maxInFlightRequests: 1 });
    for (let i = 0; i < 20; i++) {
      const sent = await producer.send({
        topic,
        messages: [0, 1].flatMap((partition) => [0, 1, 2].map((j) => ({ partition, value: `${partition} ${i * 3 + j}` }))),
      });
      expect(sent.map(({ partition, baseOffset }) => [partition, baseOffset]).sort()).toEqual([
        [0, `${i * 3}`],
        [1, `${i * 3}`],
      ]);
    }
    const { messages } = await readAll(fixture, topic, 120);
    for (const partition of [0, 1]) {
      expect(messages.filter((each) => each.partition === partition).map(({ message }) => message.value!.toString())).toEqual(
        Array.from({ length: 60 }, (_, i) => `${partition} ${i}`),
      );
    }
  });

  test('two of them do not disturb each other', async () => {
    const topic = await fixture.topic(),
      producers = [await fixture.producer({ idempotent: true }), await fixture.producer({ idempotent: true })];
    await Promise.all(
      producers.map(async (producer, who) => {
        for (let i = 0; i < 25; i++) await producer.send({ topic, messages: [{ value: `${who} ${i}` }] });
      }),
    );
    const { values } = await readAll(fixture, topic, 50);
    for (const who of [0, 1]) expect(values.filter((value) => value!.startsWith(`${who} `))).toEqual(Array.from({ length: 25 }, (_, i) => `${who} ${i}`));
  });
});
