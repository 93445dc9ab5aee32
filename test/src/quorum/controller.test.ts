/**
 * The controller's decisions, a request a case. Codes and texts are what Apache Kafka 4.3.1 answered to the same request.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ErrorCode, errorName } from '../../../protocol/errors.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import type { NewTopic } from '../../../src/quorum/topic-creation.ts';
import { newTopic, QuorumWorld, topicNames } from './world.ts';

let world: QuorumWorld;
let quorum: Quorum;
let epoch: number;

beforeEach(async () => {
  world = new QuorumWorld();
  ({ quorum, epoch } = await world.start());
});

afterEach(async () => {
  await quorum.close();
});

async function create(topic: NewTopic): Promise<string> {
  const [result] = await quorum.controller!.createTopics([topic]);
  return `${errorName(result!.errorCode)}: ${result!.errorMessage}`;
}

const assigned = (...brokers: [number, number[]][]): Partial<NewTopic> => ({
  numPartitions: -1, replicationFactor: -1, assignments: brokers.map(([partitionIndex, brokerIds]) => ({ partitionIndex, brokerIds })),
});

describe('creating topics', () => {
  it.each<[string, NewTopic, string]>([
    ['more replicas than brokers', newTopic('t', { replicationFactor: 3 }), 'INVALID_REPLICATION_FACTOR: Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.'],
    ['no replica', newTopic('t', { replicationFactor: 0 }), 'INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.'],
    ['less than none', newTopic('t', { replicationFactor: -2, numPartitions: 0 }), 'INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.'],
    ['no partition', newTopic('t', { numPartitions: 0 }), 'INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value.'],
    ['no name', newTopic(''), 'INVALID_TOPIC_EXCEPTION: Topic name is invalid: the empty string is not allowed'],
    ['the parent directory', newTopic('..'), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '..' is not allowed"],
    ['a blank', newTopic('a b'), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"],
    ['250 characters', newTopic('x'.repeat(250)), `INVALID_TOPIC_EXCEPTION: Topic name is invalid: the length of '${'x'.repeat(250)}' is longer than the max allowed length 249`],
    ['249 characters', newTopic('x'.repeat(249)), 'NONE: null'],
    ['an unknown setting', newTopic('t', { configs: [{ name: 'nope', value: 'x' }] }), 'INVALID_CONFIG: Unknown topic config name: nope'],
    ['a bad value', newTopic('t', { configs: [{ name: 'retention.ms', value: 'x' }] }), 'INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG'],
    ['a null', newTopic('t', { configs: [{ name: 'retention.ms', value: null }, { name: 'segment.ms', value: null }] }), 'INVALID_CONFIG: Null value not supported for topic configs: retention.ms,segment.ms'],
    ['an assignment', newTopic('t', assigned([1, [1]], [0, [1]])), 'NONE: null'],
    ['an assignment and a factor', newTopic('t', { ...assigned([0, [1]]), replicationFactor: 1 }), 'INVALID_REQUEST: A manual partition assignment was specified, but replication factor was not set to -1.'],
    ['an assignment and a number', newTopic('t', { ...assigned([0, [1]]), numPartitions: 1 }), 'INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1.'],
    ['an unknown broker', newTopic('t', assigned([0, [2]])), 'INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 2, but no such broker is registered.'],
    ['a broker twice', newTopic('t', assigned([0, [1, 1]])), 'INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.'],
    ['no broker', newTopic('t', assigned([0, []])), 'INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list.'],
    ['a gap', newTopic('t', assigned([0, [1]], [2, [1]])), 'INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence'],
    ['a partition twice', newTopic('t', assigned([0, [1]], [0, [1]])), 'INVALID_REPLICA_ASSIGNMENT: Found multiple manual partition assignments for partition 0'],
  ])('%s', async (_name, topic, expected) => {
    expect(await create(topic)).toBe(expected);
    expect(topicNames(quorum)).toEqual(expected.startsWith('NONE') ? [topic.name] : []);
  });

  it('refuses names that exist, and those that metrics could not tell apart, but not within one request', async () => {
    expect(await create(newTopic('a.b'))).toBe('NONE: null');
    expect(await create(newTopic('a_b'))).toBe("INVALID_TOPIC_EXCEPTION: Topic 'a_b' collides with existing topic: a.b");
    expect(await create(newTopic('a.b'))).toBe("TOPIC_ALREADY_EXISTS: Topic 'a.b' already exists.");
    const both = await quorum.controller!.createTopics([newTopic('c.d'), newTopic('c_d')]);
    expect(both.map((result) => result.errorCode)).toEqual([ErrorCode.NONE, ErrorCode.NONE]);
  });

  it('answers with the settings in force and where they come from', async () => {
    const [result] = await quorum.controller!.createTopics([newTopic('t', { configs: [{ name: 'retention.ms', value: ' 5 ' }] })]);
    const configs = new Map(result!.configs!.map(({ name, value, configSource }) => [name, [value, configSource]]));
    expect(configs.get('retention.ms')).toEqual([' 5 ', 1]);
    expect(configs.get('min.insync.replicas')).toEqual(['1', 3]);
    expect(configs.get('cleanup.policy')).toEqual(['delete', 5]);
    expect([...configs.keys()]).toEqual([...configs.keys()].sort());
    expect(result).toMatchObject({ numPartitions: 1, replicationFactor: 1, topicConfigErrorCode: 0 });
    expect(result!.topicId).toBe(quorum.image().topic('t')!.id);
  });

  it('only says what it would do when it is to validate', async () => {
    const [result] = await quorum.controller!.createTopics([newTopic('t', { numPartitions: 3 })], { validateOnly: true });
    expect(result).toMatchObject({ errorCode: ErrorCode.NONE, numPartitions: 3 });
    expect(topicNames(quorum)).toEqual([]);
  });

  it('refuses more than one request may ask', async () => {
    const excess = 'Excessively large number of partitions per request.';
    await expect(quorum.controller!.createTopics([newTopic('a', { numPartitions: 6000 }), newTopic('b', { numPartitions: 6000 })])).rejects.toThrow(excess);
    // 10,000 partitions are allowed, but with the topic's own record they are one record too many.
    await expect(quorum.controller!.createTopics([newTopic('a', { numPartitions: 10_000 })])).rejects.toThrow('Unable to perform excessively large batch operation.');
    expect(topicNames(quorum)).toEqual([]);
    const [most] = await quorum.controller!.createTopics([newTopic('a', { numPartitions: 9_999 })]);
    expect(most!.errorCode).toBe(ErrorCode.NONE);
  });

  it('asks for no broker that cannot lead', async () => {
    await quorum.controller!.brokerHeartbeat({ brokerId: 1, brokerEpoch: epoch, currentMetadataOffset: 99, wantFence: true, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: null });
    expect(await create(newTopic('t'))).toBe('INVALID_REPLICATION_FACTOR: Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log directories cordoned.');
    expect(await create(newTopic('t', assigned([0, [1]])))).toBe('INVALID_REPLICA_ASSIGNMENT: All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.');
  });
});

describe('adding partitions', () => {
  beforeEach(async () => {
    await create(newTopic('t', { numPartitions: 2 }));
  });

  it.each<[string, number, number[][] | null, string]>([
    ['two more', 4, null, 'NONE: null'],
    ['as many', 2, null, 'INVALID_PARTITIONS: Topic already has 2 partition(s).'],
    ['fewer', 1, null, 'INVALID_PARTITIONS: The topic t currently has 2 partition(s); 1 would not be an increase.'],
    ['assigned', 3, [[1]], 'NONE: null'],
    ['too few assigned', 4, [[1]], 'INVALID_REPLICA_ASSIGNMENT: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.'],
    ['two brokers', 3, [[1, 2]], 'INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 2, but no such broker is registered.'],
  ])('%s', async (_name, count, assignments, expected) => {
    const [result] = await quorum.controller!.createPartitions([{ name: 't', count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null }]);
    expect(`${errorName(result!.errorCode)}: ${result!.errorMessage}`).toBe(expected);
    expect(quorum.image().topic('t')!.partitions.length).toBe(expected.startsWith('NONE') ? count : 2);
  });

  it('to a topic that does not exist is told without a text', async () => {
    const [result] = await quorum.controller!.createPartitions([{ name: 'nosuch', count: 3, assignments: null }]);
    expect(result).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: null });
  });
});

describe('topics that are there when they are needed', () => {
  it('get the settings of the broker, or those that internal ones must have', async () => {
    const outcomes = await quorum.controller!.ensureTopics(['mine', '__consumer_offsets', '__transaction_state', '__share_group_state', 'not a name']);
    expect([...outcomes].map(([name, { errorCode }]) => `${name} ${errorName(errorCode)}`).sort()).toEqual([
      '__consumer_offsets INVALID_REPLICATION_FACTOR', '__share_group_state INVALID_REPLICATION_FACTOR', '__transaction_state INVALID_REPLICATION_FACTOR',
      'mine NONE', 'not a name INVALID_TOPIC_EXCEPTION',
    ]);
    await quorum.close();
    world = new QuorumWorld({ settings: { 'offsets.topic.replication.factor': 1, 'transaction.state.log.replication.factor': 1, 'transaction.state.log.min.isr': 1, 'num.partitions': 7 } });
    ({ quorum } = await world.start());
    await quorum.controller!.ensureTopics(['mine', '__consumer_offsets', '__transaction_state']);
    const image = quorum.image();
    expect(['mine', '__consumer_offsets', '__transaction_state'].map((name) => image.topic(name)!.partitions.length)).toEqual([7, 50, 50]);
    expect(Object.fromEntries(image.topicConfig('__consumer_offsets'))).toEqual({ 'compression.type': 'producer', 'cleanup.policy': 'compact', 'segment.bytes': '104857600' });
    expect(Object.fromEntries(image.topicConfig('__transaction_state'))).toEqual({
      'compression.type': 'uncompressed', 'cleanup.policy': 'compact', 'min.insync.replicas': '1', 'segment.bytes': '104857600', 'unclean.leader.election.enable': 'false',
    });
  });

  it('are created once, however many ask', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => quorum.controller!.ensureTopics(['mine'])));
    expect(topicNames(quorum)).toEqual(['mine']);
    expect(answers.flatMap((answer) => [...answer.values()]).filter(({ errorCode }) => errorCode !== ErrorCode.NONE)).toEqual([]);
  });
});

describe('deleting', () => {
  it('is by id, and told id by id', async () => {
    await create(newTopic('t'));
    const id = quorum.image().topic('t')!.id;
    const outcomes = await quorum.controller!.deleteTopics([id, 'AAAAAAAAAAAAAAAAAAAACg', id]);
    expect([...outcomes].map(([one, { errorCode }]) => [one, errorName(errorCode)])).toEqual([[id, 'NONE'], ['AAAAAAAAAAAAAAAAAAAACg', 'UNKNOWN_TOPIC_ID']]);
    expect(topicNames(quorum)).toEqual([]);
  });
});

describe('brokers', () => {
  const second = () => world.registration({ brokerId: 2, logDirs: [world.runtime.random.uuid()], incarnationId: world.runtime.random.uuid() });
  const beat = (brokerId: number, brokerEpoch: number, changes: object = {}) =>
    quorum.controller!.brokerHeartbeat({ brokerId, brokerEpoch, currentMetadataOffset: 1_000_000, wantFence: false, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: [], ...changes });

  it('are fenced until they have caught up', async () => {
    const mine = await quorum.controller!.registerBroker(second());
    expect(quorum.image().brokers.get(2)).toMatchObject({ epoch: mine, fenced: true });
    expect(await beat(2, mine, { currentMetadataOffset: mine - 1 })).toMatchObject({ isCaughtUp: false, isFenced: true });
    expect(await beat(2, mine)).toMatchObject({ isCaughtUp: true, isFenced: false });
    expect(quorum.image().isActive(2)).toBe(true);
  });

  it('of an earlier life are stale', async () => {
    const mine = await quorum.controller!.registerBroker(second());
    await expect(beat(2, mine + 1)).rejects.toThrow(`Expected broker epoch ${mine}, but got broker epoch ${mine + 1}`);
    await expect(beat(3, 1)).rejects.toThrow('No broker registration found for broker id 3');
    await expect(quorum.controller!.allocateProducerIds(2, mine + 1)).rejects.toThrow('Expected broker epoch');
  });

  it.each<[string, object, string]>([
    ['another cluster', { clusterId: 'x' }, 'Expected cluster ID mf1aHZOZRh-ZUFscZonG_A, but got cluster ID x'],
    ['no directory', { logDirs: [] }, 'No directories specified in request'],
    ['a reserved directory', { logDirs: ['AAAAAAAAAAAAAAAAAAAAAQ'] }, 'Reserved directory ID in request'],
    ['a directory twice', { logDirs: ['BBBBBBBBBBBBBBBBBBBBBg', 'BBBBBBBBBBBBBBBBBBBBBg'] }, 'Duplicate directory ID in request'],
    ['no metadata.version', { features: [] }, "Request features do not contain 'metadata.version'"],
    ['an old metadata.version', { features: [{ name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: 29 }] }, 'Unable to register because the broker does not support finalized version 30 of metadata.version. The broker wants a version between 7 and 29, inclusive.'],
    ['no id', { brokerId: -1 }, '-1 is no broker id'],
    ['ZooKeeper', { isMigratingZkBroker: true }, 'Controller does not support registering ZK brokers.'],
  ])('cannot register with %s', async (_name, changes, message) => {
    await expect(quorum.controller!.registerBroker({ ...second(), ...changes })).rejects.toThrow(message);
  });

  it('cannot take the place of one that is alive, nor its directory', async () => {
    await expect(quorum.controller!.registerBroker(world.registration())).rejects.toThrow('Another broker is registered with that broker id.');
    await expect(quorum.controller!.registerBroker({ ...second(), logDirs: [world.directoryId()] })).rejects.toThrow(`Broker 1 is already registered with directory ${world.directoryId()}`);
  });

  it('hand their partitions over before they go', async () => {
    const mine = await quorum.controller!.registerBroker(second());
    await beat(2, mine);
    await quorum.controller!.createTopics([newTopic('t', assigned([0, [2, 1]], [1, [1, 2]]))]);
    expect(await beat(2, mine, { wantShutDown: true })).toMatchObject({ inControlledShutdown: true, shouldShutDown: false });
    expect(quorum.image().topic('t')!.partitions.map(({ leader, isr }) => [leader, isr])).toEqual([[1, [1]], [1, [1]]]);
    // The other broker has not said that it knows yet.
    expect(await beat(2, mine, { wantShutDown: true })).toMatchObject({ shouldShutDown: false });
    await beat(1, epoch);
    expect(await beat(2, mine, { wantShutDown: true })).toMatchObject({ shouldShutDown: true });
    expect(quorum.image().brokers.get(2)!.fenced).toBe(true);
  });

  it('that are fenced lead nothing, and lead again when they are back', async () => {
    await quorum.controller!.createTopics([newTopic('t')]);
    await beat(1, epoch, { wantFence: true });
    expect(quorum.image().partition('t', 0)).toMatchObject({ leader: -1, isr: [], elr: [1], lastKnownElr: [1], leaderEpoch: 1 });
    await beat(1, epoch);
    expect(quorum.image().partition('t', 0)).toMatchObject({ leader: 1, isr: [1], elr: [], lastKnownElr: [], leaderEpoch: 2, leaderRecoveryState: 0 });
  });

  it('that lose a directory lose what lies in it', async () => {
    const [lost, kept] = [world.runtime.random.uuid(), world.runtime.random.uuid()];
    const mine = await quorum.controller!.registerBroker({ ...second(), logDirs: [lost] });
    await beat(2, mine);
    await quorum.controller!.createTopics([newTopic('t', assigned([0, [2, 1]], [1, [1, 2]]))]);
    const again = await quorum.controller!.registerBroker({ ...second(), incarnationId: quorum.image().brokers.get(2)!.incarnationId, logDirs: [lost, kept] });
    expect(again).toBe(mine);
    await beat(2, mine, { offlineLogDirs: [lost, world.runtime.random.uuid()] });
    expect(quorum.image().topic('t')!.partitions.map(({ leader, isr }) => [leader, isr])).toEqual([[1, [1]], [1, [1]]]);
    expect(quorum.image().brokers.get(2)).toMatchObject({ logDirs: [kept], fenced: false });
  });

  it('do not lead again what lies in a directory that failed while they were fenced', async () => {
    const [lost, kept] = [world.runtime.random.uuid(), world.runtime.random.uuid()];
    const mine = await quorum.controller!.registerBroker({ ...second(), logDirs: [lost, kept] });
    await beat(2, mine);
    await quorum.controller!.createTopics([newTopic('t', assigned([0, [2]], [1, [2]]))]);
    const topicId = quorum.image().topic('t')!.id;
    await quorum.controller!.assignReplicasToDirectories({
      brokerId: 2, brokerEpoch: mine, directories: [lost, kept].map((id, partitionIndex) => ({ id, topics: [{ topicId, partitions: [{ partitionIndex }] }] })),
    });
    await beat(2, mine, { wantFence: true });
    await beat(2, mine, { offlineLogDirs: [lost] });
    expect(quorum.image().topic('t')!.partitions.map(({ leader }) => leader)).toEqual([-1, 2]);
  });

  it('that are taken out of the cluster leave their partitions to others', async () => {
    const mine = await quorum.controller!.registerBroker(second());
    await beat(2, mine);
    await quorum.controller!.createTopics([newTopic('t', assigned([0, [2, 1]]))]);
    await quorum.controller!.unregisterBroker(2);
    expect(quorum.image().brokers.has(2)).toBe(false);
    expect(quorum.image().partition('t', 0)).toMatchObject({ leader: 1, isr: [1] });
    await expect(quorum.controller!.unregisterBroker(2)).rejects.toThrow('Broker ID 2 is not currently registered');
  });
});

it('producer ids come in blocks of a thousand', async () => {
  const blocks = await Promise.all([1, 2, 3].map(() => quorum.controller!.allocateProducerIds(1, epoch)));
  expect(blocks.map((block) => block.firstProducerId)).toEqual([0, 1000, 2000]);
});

it('nothing is decided after it was closed', async () => {
  await quorum.close();
  await expect(quorum.controller!.createTopics([newTopic('t')])).rejects.toThrow(expect.objectContaining({ code: ErrorCode.NOT_CONTROLLER }));
  ({ quorum } = await world.start());
});
