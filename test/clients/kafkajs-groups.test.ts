/** kafkajs's consumers: sharing partitions as members come and go, commits, seek, pause, and the positions they start from. */
import { describe, expect, test } from 'vitest';
import { Inbox, assignmentWhere, commit, uniqueName, useBroker } from './kafkajs-fixture.ts';

const fixture = useBroker();

const numbered = (count: number, partitions: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ partition: (from + i) % partitions, value: `${from + i}` }));

describe('rebalances', () => {
  test('a second member takes half, and gives it back when it leaves', async () => {
    const topic = await fixture.topic(4),
      groupId = uniqueName('group'),
      producer = await fixture.producer();
    const [first, second] = [await fixture.consumer({ groupId }), await fixture.consumer({ groupId })];
    const inboxes = [new Inbox(), new Inbox()];
    const all = assignmentWhere(first, topic, (partitions) => partitions.length === 4);
    await first.subscribe({ topic, fromBeginning: true });
    await first.run({ eachMessage: inboxes[0]!.eachMessage });
    expect(await all).toEqual([0, 1, 2, 3]);

    const halves = Promise.all([first, second].map((consumer) => assignmentWhere(consumer, topic, (partitions) => partitions.length === 2)));
    await second.subscribe({ topic, fromBeginning: true });
    await second.run({ eachMessage: inboxes[1]!.eachMessage });
    const [of0, of1] = await halves;
    expect([...of0!, ...of1!].sort()).toEqual([0, 1, 2, 3]);

    await producer.send({ topic, messages: numbered(40, 4) });
    await Promise.all(inboxes.map((inbox) => inbox.count(20)));
    expect([...new Set(inboxes[0]!.messages.map(({ partition }) => partition))].sort()).toEqual(of0);
    expect([...new Set(inboxes[1]!.messages.map(({ partition }) => partition))].sort()).toEqual(of1);
    expect(inboxes.flatMap((inbox) => inbox.values).sort()).toEqual(
      numbered(40, 4)
        .map(({ value }) => value)
        .sort(),
    );

    const allAgain = assignmentWhere(first, topic, (partitions) => partitions.length === 4);
    await second.disconnect();
    expect(await allAgain).toEqual([0, 1, 2, 3]);
    await producer.send({ topic, messages: numbered(8, 4, 40) });
    await inboxes[0]!.when((messages) => numbered(8, 4, 40).every(({ value }) => messages.some(({ message }) => message.value!.toString() === value)));
  });

  test('five members come at once and each record is read once', async () => {
    const topic = await fixture.topic(10),
      groupId = uniqueName('group'),
      producer = await fixture.producer();
    const inbox = new Inbox();
    const consumers = await Promise.all(Array.from({ length: 5 }, () => fixture.consumer({ groupId })));
    const settled = Promise.all(consumers.map((consumer) => assignmentWhere(consumer, topic, (partitions) => partitions.length === 2)));
    await Promise.all(
      consumers.map(async (consumer) => {
        await consumer.subscribe({ topic, fromBeginning: true });
        await consumer.run({ eachMessage: inbox.eachMessage });
      }),
    );
    expect((await settled).flat().sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await producer.send({ topic, messages: numbered(200, 10) });
    await inbox.count(200);
    expect(new Set(inbox.values).size).toBe(200);
    expect(inbox.values).toHaveLength(200);
  });

  test('two groups read the same records', async () => {
    const topic = await fixture.topic(2),
      producer = await fixture.producer();
    const inboxes = [new Inbox(), new Inbox()];
    for (const inbox of inboxes) {
      const consumer = await fixture.consumer();
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({ eachMessage: inbox.eachMessage });
    }
    await producer.send({ topic, messages: numbered(10, 2) });
    await Promise.all(inboxes.map((inbox) => inbox.count(10)));
    for (const inbox of inboxes)
      expect([...inbox.values].sort()).toEqual(
        numbered(10, 2)
          .map(({ value }) => value)
          .sort(),
      );
  });
});

describe('offsets', () => {
  test('the next member goes on behind what was committed', async () => {
    const topic = await fixture.topic(),
      groupId = uniqueName('group'),
      producer = await fixture.producer(),
      admin = await fixture.admin();
    await producer.send({ topic, messages: numbered(10, 1) });
    const first = await fixture.consumer({ groupId }),
      inbox = new Inbox();
    await first.subscribe({ topic, fromBeginning: true });
    await first.run({ autoCommit: false, eachMessage: inbox.eachMessage });
    await inbox.count(10);
    await first.commitOffsets([{ topic, partition: 0, offset: '7', metadata: 'seven of ten' }]);
    await first.disconnect();
    expect((await admin.fetchOffsets({ groupId, topics: [topic] }))[0]!.partitions).toEqual([{ partition: 0, offset: '7', metadata: 'seven of ten' }]);

    const second = await fixture.consumer({ groupId }),
      rest = new Inbox();
    await second.subscribe({ topic, fromBeginning: true });
    await second.run({ eachMessage: rest.eachMessage });
    await rest.count(3);
    expect(rest.values).toEqual(['7', '8', '9']);
  });

  test('commits of themselves: nothing is read twice', async () => {
    const topic = await fixture.topic(3),
      groupId = uniqueName('group'),
      producer = await fixture.producer();
    for (let round = 0; round < 3; round++) {
      await producer.send({ topic, messages: numbered(30, 3, round * 30) });
      const consumer = await fixture.consumer({ groupId }),
        inbox = new Inbox();
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({ eachMessage: inbox.eachMessage });
      await inbox.count(30);
      await consumer.disconnect();
      expect([...inbox.values].sort()).toEqual(
        numbered(30, 3, round * 30)
          .map(({ value }) => value)
          .sort(),
      );
    }
  });

  test('without fromBeginning only what comes later', async () => {
    const topic = await fixture.topic(),
      producer = await fixture.producer();
    await producer.send({ topic, messages: numbered(5, 1) });
    const consumer = await fixture.consumer(),
      inbox = new Inbox();
    await consumer.subscribe({ topic });
    // The position is known once a fetch has been answered with nothing in it.
    const fetched = new Promise<void>((done) => {
      const off = consumer.on(consumer.events.FETCH, () => {
        off();
        done();
      });
    });
    await consumer.run({ eachMessage: inbox.eachMessage });
    await fetched;
    await producer.send({ topic, messages: numbered(2, 1, 5) });
    await inbox.count(2);
    expect(inbox.values).toEqual(['5', '6']);
  });

  test('seek: back, forward, to the beginning and to the end', async () => {
    const topic = await fixture.topic(),
      producer = await fixture.producer();
    await producer.send({ topic, messages: numbered(10, 1) });
    const consumer = await fixture.consumer(),
      inbox = new Inbox();
    const at = async (offset: string, expected: string[]) => {
      const before = inbox.messages.length;
      consumer.seek({ topic, partition: 0, offset });
      await inbox.count(before + expected.length);
      expect(inbox.values.slice(before, before + expected.length)).toEqual(expected);
    };
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachMessage: inbox.eachMessage });
    await inbox.count(10);
    await at('4', ['4', '5', '6', '7', '8', '9']);
    await at('8', ['8', '9']);
    await at('-2', ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('an offset that is out of range is reset', async () => {
    const topic = await fixture.topic(),
      groupId = uniqueName('group'),
      producer = await fixture.producer();
    await producer.send({ topic, messages: numbered(3, 1) });
    await commit(await fixture.consumer({ groupId }), topic, [{ partition: 0, offset: '1000' }]);
    const consumer = await fixture.consumer({ groupId }),
      inbox = new Inbox();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: inbox.eachMessage });
    await inbox.count(3);
    expect(inbox.values).toEqual(['0', '1', '2']);
  });
});

test('pause holds one partition, resume goes on without a gap', async () => {
  const topic = await fixture.topic(2),
    producer = await fixture.producer();
  const consumer = await fixture.consumer(),
    inbox = new Inbox();
  const of = (partition: number) => inbox.messages.filter((each) => each.partition === partition).map(({ message }) => message.value!.toString());
  await consumer.subscribe({ topic, fromBeginning: true });
  await producer.send({ topic, messages: numbered(2, 2) });
  await consumer.run({ eachMessage: inbox.eachMessage });
  await inbox.count(2);
  consumer.pause([{ topic, partitions: [1] }]);
  expect(consumer.paused()).toEqual([{ topic, partitions: [1] }]);
  for (let round = 1; round <= 3; round++) {
    await producer.send({ topic, messages: numbered(2, 2, round * 2) });
    await inbox.when(() => of(0).length === round + 1);
  }
  expect(of(1)).toEqual(['1']);
  consumer.resume([{ topic, partitions: [1] }]);
  await inbox.count(8);
  expect(of(0)).toEqual(['0', '2', '4', '6']);
  expect(of(1)).toEqual(['1', '3', '5', '7']);
});

test('topics by pattern', async () => {
  const stem = uniqueName('pattern'),
    admin = await fixture.admin(),
    producer = await fixture.producer();
  await admin.createTopics({ topics: ['a', 'b'].map((end) => ({ topic: `${stem}.${end}` })), waitForLeaders: true });
  const consumer = await fixture.consumer(),
    inbox = new Inbox();
  await consumer.subscribe({ topic: new RegExp(`^${stem}\\.`), fromBeginning: true });
  await consumer.run({ eachMessage: inbox.eachMessage });
  await producer.sendBatch({ topicMessages: ['a', 'b'].map((end) => ({ topic: `${stem}.${end}`, messages: [{ value: end }] })) });
  await inbox.count(2);
  expect([...inbox.values].sort()).toEqual(['a', 'b']);
});
