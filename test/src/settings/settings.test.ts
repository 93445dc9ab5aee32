/** Settings: sources, precedence, errors for people, listeners, and what DescribeConfigs shows. The texts are those Kafka 4.3.1 gave for the same input. */
import { describe, expect, it } from 'vitest';
import { ConfigSource } from '../../../src/settings/description.ts';
import { DEVELOPMENT } from '../../../src/settings/preset.ts';
import { Settings, SettingError } from '../../../src/settings.ts';
import type { SettingsSources } from '../../../src/settings.ts';

const fault = (sources: SettingsSources): string => {
  try {
    Settings.from(sources);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingError);
    return (error as Error).message;
  }
  throw new Error('it was taken');
};

describe('sources', () => {
  it('lets the later source win: preset, file, environment, set, values', () => {
    const file = { name: 'server.properties', text: 'num.partitions=2\ngroup.initial.rebalance.delay.ms=7' };
    const get = (sources: SettingsSources) => Settings.from(sources).get('num.partitions');
    expect(get({})).toBe(1);
    expect(get({ file })).toBe(2);
    expect(get({ file, environment: { KAFKA_NUM_PARTITIONS: '3' } })).toBe(3);
    expect(get({ file, environment: { KAFKA_NUM_PARTITIONS: '3' }, set: ['num.partitions=4'] })).toBe(4);
    expect(get({ file, set: ['num.partitions=4'], values: { 'num.partitions': 5 } })).toBe(5);
    expect(Settings.from({ file }).get('group.initial.rebalance.delay.ms')).toBe(7);
  });

  it('has the development preset unless production is asked for', () => {
    const [development, production] = [Settings.from(), Settings.from({ production: true })];
    for (const [name, text] of Object.entries(DEVELOPMENT)) expect(development.text(name as never)).toBe(text);
    expect(production.get('group.initial.rebalance.delay.ms')).toBe(3000);
    expect(production.get('offsets.topic.replication.factor')).toBe(3);
    expect(production.get('node.id')).toBe(1);
  });

  it('types values by name', () => {
    const settings = Settings.from({ set: ['log.cleaner.min.cleanable.ratio=1e-5', 'log.flush.interval.messages=+9223372036854775807', 'log.cleanup.policy=compact , delete', 'auto.create.topics.enable= FALSE '] });
    const ratio: number = settings.get('log.cleaner.min.cleanable.ratio');
    const policy: readonly string[] = settings.get('log.cleanup.policy');
    const creates: boolean = settings.get('auto.create.topics.enable');
    const rack: string | null = settings.get('broker.rack');
    expect([ratio, policy, creates, rack]).toEqual([1e-5, ['compact', 'delete'], false, null]);
    expect(settings.get('log.flush.interval.messages')).toBe(Number.MAX_SAFE_INTEGER);
    expect(settings.text('log.flush.interval.messages')).toBe('9223372036854775807');
    expect(settings.text('log.cleaner.min.cleanable.ratio')).toBe('1.0E-5');
    expect(settings.text('log.cleanup.policy')).toBe('compact,delete');
    expect(settings.text('log.cleaner.io.max.bytes.per.second')).toBe('1.7976931348623157E308');
  });
});

describe('errors', () => {
  it('name the setting, the value, the place and the nearest right name', () => {
    expect(fault({ set: ['num.partitons=3'] })).toBe('unknown setting num.partitons = 3 (--set); did you mean num.partitions?');
    expect(fault({ file: { name: 'a.properties', text: '# x\n\nlog.retention.hour=1' } })).toBe(
      'unknown setting log.retention.hour = 1 (a.properties line 3); did you mean log.retention.hours?',
    );
    expect(fault({ environment: { KAFKA_ADVERTISED_LISTENER: 'PLAINTEXT://a:1' } })).toBe(
      'unknown setting advertised.listener = PLAINTEXT://a:1 (KAFKA_ADVERTISED_LISTENER); did you mean advertised.listeners?',
    );
    expect(fault({ values: { 'quite.another.thing': 1 } })).toBe('unknown setting quite.another.thing = 1 (settings)');
    expect(fault({ set: ['num.partitions'] })).toBe('--set num.partitions: it should be NAME=VALUE');
    expect(fault({ set: ['listener.name.x.ssl.client.auht=none'] })).toContain('did you mean listener.name.x.ssl.client.auth?');
  });

  it('keep secrets out', () => {
    expect(fault({ set: ['ssl.keystore.passwrd=hunter2'] })).not.toContain('hunter2');
  });

  it.each([
    ['num.partitions=0', 'Invalid value 0 for configuration num.partitions: Value must be at least 1 (--set)'],
    ['log.segment.bytes=1000', 'Invalid value 1000 for configuration log.segment.bytes: Value must be at least 1048576 (--set)'],
    ['offsets.topic.replication.factor=40000', 'Invalid value 40000 for configuration offsets.topic.replication.factor: Not a number of type SHORT (--set)'],
    ['log.cleaner.enable=on', 'Invalid value on for configuration log.cleaner.enable: Expected value to be either true or false (--set)'],
    ['compression.type=ZSTD', 'Invalid value ZSTD for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer (--set)'],
    [
      'group.consumer.migration.policy=foo',
      'Invalid value foo for configuration group.consumer.migration.policy: String must be one of (case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL (--set)',
    ],
    ['process.roles=', "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller] (--set)"],
    ['log.dirs=', "Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value (--set)"],
    ['log.retention.hours=0', 'log.retention.ms must be unlimited (-1) or, greater than or equal to 1'],
    ['queued.max.request.bytes=5', 'queued.max.request.bytes = 5 must be larger or equal to socket.request.max.bytes = 104857600'],
    ['group.consumer.heartbeat.interval.ms=1', 'group.consumer.min.heartbeat.interval.ms = 5000 must not be greater than group.consumer.heartbeat.interval.ms = 1'],
    ['offsets.topic.compression.codec=9', 'offsets.topic.compression.codec = 9: Unknown compression type id: 9'],
    ['group.coordinator.rebalance.protocols=consumer', "group.coordinator.rebalance.protocols: Disabling the 'classic' protocol is not supported."],
    ['max.connections.per.ip=0', 'max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set'],
    ['max.connections.per.ip.overrides=a', "max.connections.per.ip.overrides: 'a' should be ADDRESS:COUNT"],
  ])('%s', (set, message) => {
    expect(fault({ set: [set] })).toBe(message);
  });

  it('lets nobody in whom an authorizer was to keep out', () => {
    const authorizer = 'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer';
    expect(fault({ set: [authorizer] })).toContain('ACLs are not served yet, and everybody would be let in');
    expect(fault({ set: [authorizer, 'super.users=User:admin'] })).toContain('ACLs are not served yet');
    for (const open of ['super.users=User:admin;User:ANONYMOUS', 'allow.everyone.if.no.acl.found=true']) expect(() => Settings.from({ set: [authorizer, open] })).not.toThrow();
  });

  it('makes node.id and broker.id one', () => {
    expect(Settings.from({ set: ['broker.id=5'] }).get('node.id')).toBe(5);
    expect(Settings.from({ set: ['node.id=5'] }).get('broker.id')).toBe(5);
    expect(fault({ set: ['broker.id=5', 'node.id=6'] })).toContain('you must set node.id to the same value as broker.id');
  });
});

describe('a real server.properties', () => {
  it('is taken as it is', () => {
    const text = [
      'process.roles=broker,controller',
      'node.id=1',
      'controller.quorum.bootstrap.servers=localhost:9093',
      'listeners=PLAINTEXT://:9092,CONTROLLER://:9093',
      'inter.broker.listener.name=PLAINTEXT',
      'advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093',
      'controller.listener.names=CONTROLLER',
      'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
      'num.network.threads=3',
      'socket.request.max.bytes=104857600',
      'log.dirs=/tmp/kraft-combined-logs',
      'log.retention.hours=168',
      'zookeeper.connect=localhost:2181',
      'super.users=User:admin;User:ops',
      'listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;',
    ].join('\n');
    const settings = Settings.from({ file: { name: 'server.properties', text } });
    expect(settings.listeners.broker.map((one) => one.port)).toEqual([9092]);
    expect(settings.listeners.controller.map((one) => one.port)).toEqual([9093]);
    expect(settings.listeners.advertised.get('PLAINTEXT')?.host).toBe('localhost');
    expect(settings.withoutEffect).toContain('zookeeper.connect');
    expect(settings.withoutEffect).toContain('num.network.threads');
    expect(settings.withoutEffect).not.toContain('log.retention.hours');
    expect(settings.listenerText('SASL_PLAINTEXT', 'scram-sha-256.sasl.jaas.config')).toContain('ScramLoginModule');
  });
});

describe('listeners', () => {
  const read = (...set: string[]) => Settings.from({ set }).listeners;

  it('reads hosts, ports and names', () => {
    expect(read().broker).toEqual([{ name: 'PLAINTEXT', host: '127.0.0.1', port: 9092, securityProtocol: 'PLAINTEXT' }]);
    expect(Settings.from({ production: true }).listeners.broker).toEqual([{ name: 'PLAINTEXT', host: '', port: 9092, securityProtocol: 'PLAINTEXT' }]);
    expect(read('listeners=plaintext://[::1]:9094').broker[0]).toMatchObject({ name: 'PLAINTEXT', host: '::1', port: 9094 });
    expect(read('listeners=PLAINTEXT://0.0.0.0:0').advertised.size).toBe(0);
    expect(read('listeners=IN://:1,OUT://:2', 'listener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT', 'inter.broker.listener.name=in').interBroker).toBe('IN');
    expect(read('listeners=PLAINTEXT://:9092,CONTROLLER://:9093').controller[0]).toMatchObject({ name: 'CONTROLLER', securityProtocol: 'PLAINTEXT' });
  });

  it('keeps closed what it cannot protect', () => {
    const { broker, unserved, advertised } = read('listeners=PLAINTEXT://:9092,SASL_PLAINTEXT://:9093', 'advertised.listeners=PLAINTEXT://a:9092,SASL_PLAINTEXT://a:9093');
    expect(broker.map(({ name }) => name)).toEqual(['PLAINTEXT']);
    expect(unserved.map(({ name }) => name)).toEqual(['SASL_PLAINTEXT']);
    expect(advertised.get('PLAINTEXT')?.host).toBe('a');
  });

  it.each([
    ['listeners=PLAINTEXT:9092', "unable to parse 'PLAINTEXT:9092'"],
    ['listeners=FOO://:9092', 'no security protocol defined for listener FOO'],
    ['listeners=PLAINTEXT://:99999', 'a port outside 0 to 65535'],
    ['listeners=PLAINTEXT://:9092,PLAINTEXT://:9093', 'a different name'],
    ['listeners=PLAINTEXT://:9092,SSL://:9092', 'a different port'],
    ['listeners=SASL_PLAINTEXT://:9093', 'SASL_PLAINTEXT is a SASL_PLAINTEXT listener, which is not served yet, and there is no PLAINTEXT one'],
    ['listeners=CONTROLLER://:9092', 'at least one broker listener'],
    ['advertised.listeners=PLAINTEXT://0.0.0.0:9092', 'nobody can connect to'],
    ['advertised.listeners=SSL://a:9092', 'SSL is not in listeners, which has PLAINTEXT'],
    ['listener.security.protocol.map=PLAINTEXT:PLAINTXT', "invalid security protocol 'PLAINTXT', did you mean PLAINTEXT?"],
    ['inter.broker.listener.name=FOO', 'FOO is not in listener.security.protocol.map'],
    ['security.inter.broker.protocol=SSL', "must be one of the broker's listeners, PLAINTEXT"],
  ])('refuses %s', (set, message) => {
    expect(fault({ set: [set] })).toContain(message);
  });
});

describe('environment', () => {
  it('follows the rules of the apache/kafka image', () => {
    const environment = {
      KAFKA_LISTENERS: 'PLAINTEXT://:7',
      KAFKA_LISTENER_NAME_SASL__PLAINTEXT_SCRAM___SHA___256_SASL_JAAS_CONFIG: 'x',
      KAFKA_HEAP_OPTS: '-Xmx1g',
      KAFKA_PORT_9092_TCP_ADDR: '10.0.0.1',
      KAFKA_SERVICE_HOST: '10.0.0.1',
      KAFKA_BOOTSTRAP_SERVERS: 'a:1',
      PATH: '/bin',
      CLUSTER_ID: 'x',
    };
    const settings = Settings.from({ environment });
    expect(settings.listeners.broker[0]?.port).toBe(7);
    expect(settings.listenerText('sasl_plaintext', 'scram-sha-256.sasl.jaas.config')).toBe('x');
  });
});

describe('dynamic overrides', () => {
  const none = new Map<string, string>();

  it('win over the file, the broker over the cluster', () => {
    const settings = Settings.from({ set: ['log.retention.ms=1000'] });
    const changed = settings.withOverrides({ broker: new Map([['log.retention.ms', '3000']]), cluster: new Map([['log.retention.ms', '2000']]) });
    expect(changed.get('log.retention.ms')).toBe(3000);
    expect(changed.topic.resolve().get('retention.ms')).toBe(3000);
    expect(changed.withOverrides({ broker: none, cluster: none }).get('log.retention.ms')).toBe(1000);
    expect(changed.describe().find((one) => one.name === 'log.retention.ms')).toEqual({
      name: 'log.retention.ms',
      value: '3000',
      source: ConfigSource.DYNAMIC_BROKER,
      readOnly: false,
      isSensitive: false,
      configType: 5,
      synonyms: [
        { name: 'log.retention.ms', value: '3000', source: ConfigSource.DYNAMIC_BROKER },
        { name: 'log.retention.ms', value: '2000', source: ConfigSource.DYNAMIC_DEFAULT_BROKER },
        { name: 'log.retention.ms', value: '1000', source: ConfigSource.STATIC_BROKER },
        { name: 'log.retention.hours', value: '168', source: ConfigSource.DEFAULT },
      ],
    });
    expect(changed.describeClusterOverrides().map((one) => [one.name, one.value])).toEqual([['log.retention.ms', '2000']]);
  });

  it('are told where they are, also of a setting that does nothing here', () => {
    const told = (settings: Settings) => settings.describe().filter(({ name }) => name === 'log.cleaner.threads').map(({ value, source }) => [value, source]);
    expect(told(Settings.from())).toEqual([]);
    expect(told(Settings.from().withOverrides({ broker: new Map([['log.cleaner.threads', '2']]), cluster: none }))).toEqual([['2', ConfigSource.DYNAMIC_BROKER]]);
  });

  it('are passed over where they cannot be changed or do not parse', () => {
    const overrides = { broker: new Map([['num.partitions', '9'], ['log.retention.ms', 'x']]), cluster: new Map([['listeners', 'PLAINTEXT://:1']]) };
    const settings = Settings.from().withOverrides(overrides);
    expect(settings.get('num.partitions')).toBe(1);
    expect(settings.get('log.retention.ms')).toBeNull();
    expect(settings.get('listeners')).toEqual(['PLAINTEXT://127.0.0.1:9092']);
  });
});
