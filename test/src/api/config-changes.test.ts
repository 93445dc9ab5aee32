/** Settings changed through a broker's listener. Codes and texts are what Apache Kafka 4.3.1 answered to the same requests. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import { errorName } from '../../../protocol/errors.ts';
import { AlterConfigs, DescribeConfigs, IncrementalAlterConfigs } from '../../../protocol/messages/configs.ts';
import type { Api, Input, Value } from '../../../protocol/schema.ts';
import { configChangeApis } from '../../../src/api/config-changes.ts';
import { configApis } from '../../../src/api/configs.ts';
import { innerAnswer } from '../../../src/api/inner.ts';
import type { Node } from '../../../src/api/node.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { newTopic, QuorumWorld } from '../quorum/world.ts';

const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3];
const [TOPIC, BROKER, LOGGER, METRICS, GROUP] = [2, 4, 8, 16, 32];

let world: QuorumWorld;
let quorum: Quorum;
let node: Node;

beforeEach(async () => {
  world = new QuorumWorld({ settings: { 'log.dirs': '/data' } });
  ({ quorum } = await world.start());
  node = { runtime: world.runtime, settings: world.settings, nodeId: 1, image: () => quorum.image(), controller: quorum.controller!, quorum } as unknown as Node;
  await quorum.controller!.createTopics([newTopic('t')]);
});

afterEach(() => quorum.close());

async function ask<A extends Api<any, any>>(api: A, apiVersion: number, input: Input<A['request']>): Promise<Value<A['response']>> {
  const served = [...configChangeApis, ...configApis].find((one) => one.api === api && one.listeners !== 'controller')!;
  const request = decodeBuffer(api.request, apiVersion, encodeBuffer(api.request, apiVersion, input));
  const context = { apiVersion, connection: { listenerKind: 'broker' }, node } as unknown as RequestContext;
  return decodeBuffer(api.response, apiVersion, encodeBuffer(api.response, apiVersion, (await innerAnswer(served, request, context)) as never));
}

type Change = readonly [name: string, operation: number, value: string | null];
type Resource = readonly [type: number, name: string, ...changes: Change[]];

async function change(resources: readonly Resource[], validateOnly = false): Promise<string[]> {
  const { responses } = await ask(IncrementalAlterConfigs, 1, {
    resources: resources.map(([resourceType, resourceName, ...changes]) => ({
      resourceType, resourceName, configs: changes.map(([name, configOperation, value]) => ({ name, configOperation, value })),
    })),
    validateOnly,
  });
  return responses.map(({ errorCode, errorMessage }) => (errorCode === 0 && errorMessage === null ? 'NONE' : `${errorName(errorCode)}: ${errorMessage}`));
}

async function replace(resourceType: number, resourceName: string, configs: Readonly<Record<string, string | null>>): Promise<string> {
  const { responses } = await ask(AlterConfigs, 2, {
    resources: [{ resourceType, resourceName, configs: Object.entries(configs).map(([name, value]) => ({ name, value })) }], validateOnly: false,
  });
  const { errorCode, errorMessage } = responses[0]!;
  return errorCode === 0 ? 'NONE' : `${errorName(errorCode)}: ${errorMessage}`;
}

async function described(resourceType: number, resourceName: string, name: string): Promise<readonly [string | null, number] | undefined> {
  const { results } = await ask(DescribeConfigs, 4, { resources: [{ resourceType, resourceName, configurationKeys: [name] }] });
  const found = results[0]!.configs[0];
  return found && [found.value, found.configSource];
}

describe('one resource', () => {
  it.each<[string, Resource, string]>([
    ['a setting', [TOPIC, 't', ['retention.ms', SET, '5']], 'NONE'],
    ['no value', [TOPIC, 't', ['retention.ms', SET, null]], 'INVALID_REQUEST: Null value not supported for : retention.ms'],
    ['a setting twice', [TOPIC, 't', ['retention.ms', SET, '5'], ['retention.ms', SET, '6']], 'INVALID_REQUEST: Error due to duplicate config keys'],
    ['no operation', [TOPIC, 't', ['retention.ms', 7, '5']], 'UNKNOWN_SERVER_ERROR: null'],
    ['all topics', [TOPIC, '', ['retention.ms', SET, '5']], 'INVALID_REQUEST: Default topic resources are not allowed.'],
    ['a topic that is not there', [TOPIC, 'zz', ['retention.ms', SET, '5']], "UNKNOWN_TOPIC_OR_PARTITION: The topic 'zz' does not exist."],
    ['an element of no list', [TOPIC, 't', ['retention.ms', APPEND, '5']], "INVALID_CONFIG: Can't APPEND to key retention.ms because its type is not LIST."],
    ['an unknown type', [99, '', ['retention.ms', SET, '5']], 'INVALID_REQUEST: Unknown resource type 99'],
    ['a throttle of this broker', [BROKER, '1', ['leader.replication.throttled.rate', SET, '100']], 'NONE'],
    ['a throttle of another', [BROKER, '2', ['leader.replication.throttled.rate', SET, '100']], 'INVALID_REQUEST: Unexpected broker id, expected 1, but received 2'],
    ['a broker that is no number', [BROKER, 'x', ['leader.replication.throttled.rate', SET, '100']], 'INVALID_REQUEST: Node id must be an integer, but it is: x'],
    ['what is read at the start', [BROKER, '1', ['num.partitions', SET, '3']], 'INVALID_REQUEST: Cannot update these configs dynamically: [num.partitions]'],
    ['what is each broker\'s own, for all', [BROKER, '', ['cordoned.log.dirs', SET, '/x']], 'INVALID_REQUEST: Cannot update these configs at default cluster level, broker id must be specified: [cordoned.log.dirs]'],
    ['a key store for all listeners', [BROKER, '', ['ssl.keystore.password', SET, 'x']], 'INVALID_REQUEST: These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.password]'],
    ['a bad value', [BROKER, '1', ['unclean.leader.election.enable', SET, 'maybe']], 'INVALID_REQUEST: Invalid value maybe for configuration unclean.leader.election.enable: Expected value to be either true or false'],
    ['a directory that is not there', [BROKER, '1', ['cordoned.log.dirs', SET, '/nope']], 'INVALID_REQUEST: requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : /nope'],
    ['a name that nobody knows', [BROKER, '1', ['nosuch.thing', SET, 'x']], 'NONE'],
    ['an element of what nobody knows', [BROKER, '1', ['nosuch.thing', APPEND, 'x']], 'INVALID_CONFIG: Unknown config name: nosuch.thing'],
    ['an element of a number', [BROKER, '1', ['log.retention.ms', SUBTRACT, 'x']], 'INVALID_CONFIG: Config value subtract is not allowed for config key: log.retention.ms'],
    ['the minimum in sync of one broker', [BROKER, '1', ['min.insync.replicas', SET, '1']], 'INVALID_CONFIG: Broker-level min.insync.replicas cannot be altered while ELR is enabled.'],
    ['no minimum in sync', [BROKER, '', ['min.insync.replicas', DELETE, null]], 'INVALID_CONFIG: Cluster-level min.insync.replicas cannot be removed while ELR is enabled.'],
    ['the level that the logger has', [LOGGER, '1', ['root', SET, 'INFO']], 'NONE'],
    ['a level that is none', [LOGGER, '1', ['root', SET, 'INFOO']], 'INVALID_CONFIG: Cannot set the log level of root to INFOO as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN'],
    ['a logger that is none', [LOGGER, '1', ['nono', SET, 'INFO']], 'INVALID_CONFIG: Logger nono does not exist!'],
    ['the logger of another node', [LOGGER, '2', ['root', SET, 'INFO']], 'INVALID_REQUEST: Unexpected node id. Expected 1, but received 2'],
    ['no level', [LOGGER, '1', ['root', DELETE, null]], 'INVALID_REQUEST: Removing the log level of the root logger is not allowed'],
    ['more of a level', [LOGGER, '1', ['root', APPEND, 'INFO']], 'INVALID_REQUEST: APPEND operation is not allowed for the BROKER_LOGGER resource'],
    ['a subscription', [METRICS, 'm', ['interval.ms', SET, '1000']], 'NONE'],
    ['one that asks too often', [METRICS, 'm', ['interval.ms', SET, '10']], 'INVALID_REQUEST: Invalid value 10 for interval.ms, interval must be between 100 and 3600000 (1 hour)'],
    ['a group', [GROUP, 'g', ['consumer.session.timeout.ms', SET, '50000']], 'NONE'],
    ['beyond what brokers allow', [GROUP, 'g', ['consumer.session.timeout.ms', SET, '1']], 'INVALID_CONFIG: consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms'],
  ])('%s', async (_name, resource, expected) => {
    const { offset } = quorum.image();
    expect(await change([resource])).toEqual([expected]);
    expect(quorum.image().offset > offset).toBe(expected === 'NONE' && resource[0] !== LOGGER);
  });
});

it('what is named twice is refused, and the rest is done', async () => {
  expect(await change([[TOPIC, 't', ['retention.ms', SET, '5']], [GROUP, 'g', ['consumer.session.timeout.ms', SET, '50000']], [TOPIC, 't', ['segment.ms', SET, '5']]])).toEqual([
    'INVALID_REQUEST: Each resource must appear at most once.', 'NONE', 'INVALID_REQUEST: Each resource must appear at most once.',
  ]);
});

it('what was set is described, from where it is set', async () => {
  expect(await described(BROKER, '1', 'leader.replication.throttled.rate')).toBeUndefined();
  await change([[BROKER, '', ['leader.replication.throttled.rate', SET, '200']]]);
  expect(await described(BROKER, '1', 'leader.replication.throttled.rate')).toEqual(['200', 3]);
  await change([[BROKER, '1', ['leader.replication.throttled.rate', SET, '100']]]);
  expect(await described(BROKER, '1', 'leader.replication.throttled.rate')).toEqual(['100', 2]);
  await change([[TOPIC, 't', ['cleanup.policy', APPEND, 'compact']]]);
  expect(await described(TOPIC, 't', 'cleanup.policy')).toEqual(['delete,compact', 1]);
  await change([[TOPIC, 't', ['cleanup.policy', SUBTRACT, 'delete']]]);
  expect(await described(TOPIC, 't', 'cleanup.policy')).toEqual(['compact', 1]);
  await change([[TOPIC, 't', ['cleanup.policy', DELETE, null]]]);
  expect(await described(TOPIC, 't', 'cleanup.policy')).toEqual(['delete', 5]);
});

it('only to validate changes nothing', async () => {
  expect(await change([[TOPIC, 't', ['retention.ms', SET, '5']]], true)).toEqual(['NONE']);
  expect(await change([[TOPIC, 't', ['retention.ms', SET, 'x']]], true)).toEqual(['INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG']);
  expect(quorum.image().topicConfig('t').size).toBe(0);
});

it('AlterConfigs replaces all that a resource has', async () => {
  await change([[TOPIC, 't', ['retention.ms', SET, '5'], ['segment.ms', SET, '100000']]]);
  expect(await replace(TOPIC, 't', { 'retention.ms': '77' })).toBe('NONE');
  expect([...quorum.image().topicConfig('t')]).toEqual([['retention.ms', '77']]);
  expect(await replace(TOPIC, 't', { 'retention.ms': null })).toBe('INVALID_REQUEST: Null value not supported for : retention.ms');
  expect(await replace(LOGGER, '1', { root: 'INFO' })).toBe('INVALID_REQUEST: Unknown resource type 8');
  expect(await replace(BROKER, '', {})).toBe('INVALID_CONFIG: Cluster-level min.insync.replicas cannot be removed while ELR is enabled.');
  expect(await replace(TOPIC, 't', {})).toBe('NONE');
  expect(quorum.image().topicConfig('t').size).toBe(0);
});
