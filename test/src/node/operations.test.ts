/** What operators are told of three nodes: readiness and metrics over real HTTP, while topics are written, replicas fall behind and leaders change; and what they ask of the cluster. */
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Admin } from '../../../src/client/admin.ts';
import { ClusterAdmin, ResourceKind } from '../../../src/client/cluster-admin.ts';
import { Broker } from '../../../src/broker.ts';
import { Client } from '../../../src/client.ts';
import { freePorts } from '../../../src/node/cluster-plan.ts';
import { Settings } from '../../../src/settings.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { controllerId, startCluster } from './cluster-world.ts';
import type { ClusterWorld } from './cluster-world.ts';

let world: ClusterWorld;
let client: Client;
let admin: Admin;
let cluster: ClusterAdmin;

beforeAll(async () => {
  world = await startCluster({ values: { 'ottla.http': '0', 'offsets.topic.num.partitions': 3, 'broker.session.timeout.ms': 6000, 'broker.heartbeat.interval.ms': 500 } });
  client = new Client({ bootstrapServers: world.bootstrap, runtime: nodeRuntime() });
  [admin, cluster] = [new Admin(client), new ClusterAdmin(client)];
  await admin.createTopics([{ name: 'orders', numPartitions: 3, replicationFactor: 3, configs: { 'min.insync.replicas': '2' } }]);
}, 60_000);

afterAll(async () => {
  client?.close();
  await world?.cluster.stop();
}, 30_000);

const nodeOf = (id: number) => world.cluster.nodes.find(({ nodeId }) => nodeId === id)!;

async function ask(id: number, path: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${nodeOf(id).broker!.httpPort}${path}`);
  return { status: answer.status, text: await answer.text() };
}

/** The value of a series, undefined where it is not told. */
async function metric(id: number, series: string): Promise<number | undefined> {
  const line = (await ask(id, '/metrics')).text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const sum = async (series: string) => (await Promise.all([1, 2, 3].map((id) => (nodeOf(id).broker === null ? 0 : metric(id, series))))).reduce<number>((total, value) => total + (value ?? 0), 0);

/** Until it is so: what one node knows reaches the others in its own time. */
async function until<T>(look: () => Promise<T>, isSo: (seen: T) => boolean, ms = 15_000): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(seen)}`);
    await client.pause(50);
  }
}

describe('three nodes', () => {
  it('are alive and ready, and one of them is the active controller', async () => {
    for (const id of [1, 2, 3]) {
      expect(await ask(id, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
      expect(await until(() => ask(id, '/readyz'), ({ status }) => status === 200)).toEqual({ status: 200, text: 'ready\n' });
    }
    expect(await sum('kafka_controller_kafkacontroller_activecontrollercount')).toBe(1);
    expect(await metric(controllerId(world), 'kafka_controller_kafkacontroller_activecontrollercount')).toBe(1);
    expect(await metric(1, 'kafka_controller_kafkacontroller_activebrokercount')).toBe(3);
    expect(await metric(1, 'kafka_server_raftmetrics_number_of_voters')).toBe(3);
    // The leader appends and the others fetch the same.
    expect(await metric(controllerId(world), 'kafka_server_raft_metrics_append_records_rate')).toBeGreaterThan(0);
    expect(await metric(controllerId(world), 'kafka_server_raftmetrics_commit_latency_max')).toBeGreaterThan(0);
    for (const id of [1, 2, 3].filter((one) => one !== controllerId(world))) expect(await metric(id, 'kafka_server_raftmetrics_fetch_records_rate')).toBeGreaterThan(0);
    // Something is written each half second.
    for (const id of [1, 2, 3]) expect(await until(() => metric(id, 'kafka_server_brokermetadatametrics_last_applied_record_lag_ms'), (lag) => lag! < 2000)).toBeGreaterThanOrEqual(0);
    expect(await sum('kafka_server_raft_metrics_current_state_info{state="leader"}')).toBe(1);
    expect(await sum('kafka_server_raft_metrics_current_state_info{state="follower"}')).toBe(2);
  });

  it('count what is written, copied and read, by topic', async () => {
    const kafka = new Kafka({ brokers: world.bootstrap, logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    for (let i = 0; i < 5; i++) await producer.send({ topic: 'orders', acks: -1, messages: Array.from({ length: 20 }, (_, k) => ({ key: `${i}-${k}`, value: 'x'.repeat(100) })) });
    await producer.disconnect();
    expect(await sum('kafka_server_brokertopicmetrics_messagesin_total{topic="orders"}')).toBe(100);
    const bytesIn = await sum('kafka_server_brokertopicmetrics_bytesin_total{topic="orders"}');
    expect(bytesIn).toBeGreaterThan(10_000);
    // acks=all: both followers have all of it.
    expect(await sum('kafka_server_brokertopicmetrics_replicationbytesin_total')).toBeGreaterThanOrEqual(2 * bytesIn);
    expect(await sum('kafka_server_replicamanager_leadercount')).toBe(3);
    expect(await sum('kafka_log_log_logendoffset{topic="orders",partition="0"}')).toBe(3 * (await metric(1, 'kafka_log_log_logendoffset{topic="orders",partition="0"}'))!);
    const consumer = kafka.consumer({ groupId: 'readers' });
    await consumer.connect();
    await consumer.subscribe({ topic: 'orders', fromBeginning: true });
    let seen = 0;
    await new Promise<void>((resolve) => void consumer.run({ eachMessage: async () => void (++seen === 100 && resolve()) }));
    await consumer.disconnect();
    expect(await sum('kafka_server_brokertopicmetrics_bytesout_total{topic="orders"}')).toBeGreaterThanOrEqual(bytesIn);
    expect(await sum('kafka_network_requestmetrics_requests_total{request="FetchFollower",version="18"}')).toBeGreaterThan(0);
    expect(await sum('kafka_network_requestmetrics_totaltimems_count{request="Produce"}')).toBeGreaterThanOrEqual(5);
    // Followers wait for more, most of the time.
    await until(() => sum('kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation="Fetch"}'), (count) => count > 0);
    // Told by the coordinator, for each partition that has a committed offset.
    await until(() => sum('kafka_coordinator_group_groupmetadatamanager_numgroupsempty'), (count) => count === 1);
    const lag = await Promise.all([0, 1, 2].map((partition) => sum(`kafka_consumergroup_lag{consumergroup="readers",topic="orders",partition="${partition}"}`)));
    expect(lag).toEqual([0, 0, 0]);
    const committed = await Promise.all([0, 1, 2].map((partition) => sum(`kafka_consumergroup_current_offset{consumergroup="readers",topic="orders",partition="${partition}"}`)));
    expect(committed.reduce((total, offset) => total + offset, 0)).toBe(100);
  });

  it('tell the lag of a group also of partitions that its coordinator has no replica of', async () => {
    await admin.createTopics([{ name: 'far', numPartitions: 3, replicationFactor: 1, configs: {} }]);
    const kafka = new Kafka({ brokers: world.bootstrap, logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'far', messages: [0, 1, 2].flatMap((partition) => Array.from({ length: 10 + partition }, () => ({ partition, value: 'x' }))) });
    await producer.disconnect();
    const asked = kafka.admin();
    await asked.connect();
    await asked.setOffsets({ groupId: 'slow', topic: 'far', partitions: [0, 1, 2].map((partition) => ({ partition, offset: '4' })) });
    await asked.disconnect();
    const leads = async (id: number) => (await Promise.all([0, 1, 2].map((partition) => metric(id, `kafka_log_log_logendoffset{topic="far",partition="${partition}"}`)))).filter((end) => end !== undefined).length;
    // Each node has one of the three, so whichever coordinates lacks two.
    expect(await Promise.all([1, 2, 3].map(leads))).toEqual([1, 1, 1]);
    const lag = () => Promise.all([0, 1, 2].map((partition) => sum(`kafka_consumergroup_lag{consumergroup="slow",topic="far",partition="${partition}"}`)));
    expect(await until(lag, (told) => told.every((one) => one > 0))).toEqual([6, 7, 8]);
    await admin.deleteTopics(['far']);
  });

  it('tell who votes, move a partition and elect, as an operator asks', async () => {
    const quorum = await cluster.quorum();
    expect(quorum).toMatchObject({ leaderId: controllerId(world) });
    expect(quorum.currentVoters.map(({ replicaId }) => replicaId).sort()).toEqual([1, 2, 3]);
    // The same of controllers, whichever is asked first.
    const ofControllers = new Client({ bootstrapServers: [`127.0.0.1:${world.controllerPorts[controllerId(world) % 3]}`], runtime: nodeRuntime() });
    const controllers = new ClusterAdmin(ofControllers, { isOfControllers: true });
    expect(await controllers.quorum()).toMatchObject({ leaderId: quorum.leaderId, leaderEpoch: quorum.leaderEpoch });
    expect(await controllers.clusterId()).toBe(world.cluster.nodes[0]!.broker!.clusterId);
    expect(await controllers.reassignments()).toEqual([]);
    ofControllers.close();
    const partition = { topic: 'orders', partition: 0 };
    const replicas = async () => (await client.topic('orders')).partitions.find(({ partitionIndex }) => partitionIndex === 0)!.replicaNodes;
    const before = await replicas();
    const target = [...before].reverse();
    expect((await cluster.reassign(new Map([[partition, target]]))).map(({ errorCode }) => errorCode)).toEqual([0]);
    await until(() => cluster.reassignments(), (left) => left.length === 0);
    await until(replicas, (now) => now.join() === target.join());
    expect((await cluster.electLeaders('preferred', [partition])).map(({ errorCode }) => errorCode).filter((code) => code !== 0 && code !== 84)).toEqual([]);
    await until(async () => (await client.topic('orders')).partitions.find(({ partitionIndex }) => partitionIndex === 0)!.leaderId, (leader) => leader === target[0]);
    await until(() => sum('kafka_controller_kafkacontroller_preferredreplicaimbalancecount'), (count) => count === 0);
    await cluster.alterConfigs([{ kind: ResourceKind.BROKER, name: '2', values: new Map([['leader.replication.throttled.rate', '1000000']]) }, { kind: ResourceKind.TOPIC, name: 'orders', values: new Map([['leader.replication.throttled.replicas', '0:2']]) }]);
    expect([...(await cluster.ownConfigs(ResourceKind.BROKER, ['2'], ['leader.replication.throttled.rate'])).get('2')!]).toEqual([['leader.replication.throttled.rate', '1000000']]);
    await cluster.alterConfigs([{ kind: ResourceKind.BROKER, name: '2', values: new Map([['leader.replication.throttled.rate', null]]) }, { kind: ResourceKind.TOPIC, name: 'orders', values: new Map([['leader.replication.throttled.replicas', null]]) }]);
    expect((await cluster.ownConfigs(ResourceKind.BROKER, ['2'], ['leader.replication.throttled.rate'])).get('2')!.size).toBe(0);
  });

  it('tell nothing twice, and all of it in Prometheus\' grammar', async () => {
    for (const id of [1, 2, 3]) {
      const { text } = await ask(id, '/metrics');
      const types = new Map<string, string>();
      const seen = new Set<string>();
      for (const line of text.trimEnd().split('\n')) {
        const type = /^# TYPE ([a-z_0-9]+) (counter|gauge|summary)$/.exec(line);
        if (type !== null) {
          expect(types.has(type[1]!), line).toBe(false);
          types.set(type[1]!, type[2]!);
        } else if (!line.startsWith('# HELP ')) {
          const sample = /^([a-z_][a-z_0-9]*)(\{[a-zA-Z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-zA-Z_]+="(?:[^"\\\n]|\\.)*")*\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)$/.exec(line);
          expect(sample, line).not.toBeNull();
          const series = `${sample![1]}${sample![2] ?? ''}`;
          expect(seen.has(series), series).toBe(false);
          seen.add(series);
          const family = types.has(sample![1]!) ? sample![1]! : sample![1]!.replace(/_(sum|count)$/, '');
          expect(types.has(family), line).toBe(true);
          if (types.get(family) === 'counter') expect(family.endsWith('_total'), family).toBe(true);
        }
      }
      expect(seen.size).toBeGreaterThan(200);
    }
  });

  it('tell of a node that has gone and come back', async () => {
    const gone = [1, 2, 3].find((id) => id !== controllerId(world))!;
    const left = [1, 2, 3].filter((id) => id !== gone);
    await nodeOf(gone).stop();
    await until(() => sum('kafka_server_replicamanager_underreplicatedpartitions'), (count) => count >= 3);
    expect(await until(() => metric(left[0]!, 'kafka_controller_kafkacontroller_fencedbrokercount'), (count) => count === 1)).toBe(1);
    // With two of three in sync and a minimum of two, one more may not go.
    expect(await sum('kafka_cluster_partition_atminisr{topic="orders",partition="0"}')).toBe(1);
    expect(await sum('kafka_controller_kafkacontroller_offlinepartitionscount')).toBe(0);
    for (const id of left) await until(() => ask(id, '/readyz'), ({ status }) => status === 200);
    await nodeOf(gone).start();
    await until(() => sum('kafka_server_replicamanager_underreplicatedpartitions'), (count) => count === 0);
    await until(() => ask(gone, '/readyz'), ({ status }) => status === 200);
    expect(await sum('kafka_server_replicamanager_isrexpands_total')).toBeGreaterThan(0);
  });
});

describe('a node that waits for others', () => {
  it('is alive and not ready, and says what it waits for', async () => {
    const runtime = nodeRuntime();
    const [http, own, other] = (await freePorts(runtime.network, '127.0.0.1', 3)) as [number, number, number];
    const settings = Settings.from({
      values: { 'listeners': ['PLAINTEXT://127.0.0.1:0', `CONTROLLER://127.0.0.1:${own}`], 'controller.quorum.voters': [`1@127.0.0.1:${own}`, `2@127.0.0.1:${other}`], 'ottla.http': String(http) },
    });
    const abort = new AbortController();
    const started = Broker.start({ runtime, settings, memory: true, clusterId: 'mNdAVA5ZSzWRJUXuBoWdtQ', aborted: abort.signal });
    const look = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${http}${path}`).catch(() => null);
      return answer === null ? null : { status: answer.status, text: await answer.text() };
    };
    expect(await until(() => look('/healthz'), (answer) => answer !== null)).toMatchObject({ status: 200 });
    expect(await until(() => look('/readyz'), (answer) => answer?.text.includes('no leader of the metadata quorum is known') === true)).toMatchObject({ status: 503 });
    expect((await look('/metrics'))!.text).toMatch(/^kafka_server_raftmetrics_current_leader -1$/m);
    abort.abort();
    await expect(started).rejects.toThrow();
    // With the start everything of it ends, this port too.
    expect(await look('/healthz')).toBeNull();
  });
});
