/**
 * A stage for groups: one coordinator over logs in memory, and clients whose names stand in for their member ids. What they are told goes into a transcript,
 * one line an answer, in the order of the requests: "B joined 2, A leads: A B", "A synced 'A2'", "C join UNKNOWN_MEMBER_ID".
 */
import { errorName } from '../../../protocol/errors.ts';
import type { JoinGroupRequest } from '../../../protocol/messages/groups.ts';
import type { Value } from '../../../protocol/schema.ts';
import { GroupCoordinator } from '../../../src/coordinator/group-coordinator.ts';
import { NO_TOPIC_ID } from '../../../src/coordinator/group-records.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { TestLog } from './shard-log.ts';
import { World } from './world.ts';

const DEFAULTS = {
  'group.coordinator.append.linger.ms': -1,
  'group.initial.rebalance.delay.ms': 0,
  'group.max.session.timeout.ms': 1_800_000,
  'group.max.size': 2_147_483_647,
  'group.min.session.timeout.ms': 6000,
  'message.max.bytes': 1_048_588,
  'offset.metadata.max.bytes': 4096,
  'offsets.commit.timeout.ms': 5000,
  'offsets.retention.check.interval.ms': 600_000,
  'offsets.retention.minutes': 10_080,
  'offsets.topic.compression.codec': 0,
};

export type SceneSettings = Partial<typeof DEFAULTS>;

export function subscription(...topics: string[]): Buffer {
  const parts = [Buffer.from([0, 1, 0, 0, 0, topics.length])];
  for (const topic of topics) parts.push(Buffer.from([0, topic.length]), Buffer.from(topic));
  parts.push(Buffer.from([255, 255, 255, 255]));
  return Buffer.concat(parts);
}

export interface Client {
  readonly name: string;
  group: string;
  memberId: string;
  instanceId: string | null;
  generation: number;
  isLeader: boolean;
  members: string[];
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  protocolType: string;
  protocols: { name: string; metadata: Buffer }[];
  apiVersion: number;
}

type JoinRequest = Value<typeof JoinGroupRequest>;

export class Scene {
  readonly world: World;
  readonly coordinator: GroupCoordinator;
  readonly logs = new Map<number, TestLog>();
  readonly partitionCount: number;
  #lines: { request: number; text: () => string }[] = [];
  #requests = 0;
  #names = new Map<string, string>();

  constructor(settings: SceneSettings = {}, options: { partitionCount?: number; seed?: number; ensureTopic?: () => Promise<void> } = {}) {
    this.world = new World(options.seed);
    this.partitionCount = options.partitionCount ?? 1;
    const all: Record<string, number> = { ...DEFAULTS, ...settings };
    this.coordinator = new GroupCoordinator({
      runtime: this.world.runtime,
      settings: { get: (name) => all[name]! },
      logger: silentLogger,
      partitionCount: () => this.partitionCount,
      ensureTopic: options.ensureTopic ?? (async () => {}),
    });
  }

  /** Leads all partitions, over the logs given or new ones. */
  async lead(logs: readonly TestLog[] = Array.from({ length: this.partitionCount }, (_, i) => new TestLog(i))): Promise<this> {
    for (const log of logs) {
      this.logs.set(log.partition, log);
      await this.coordinator.onLeadership(log.partition, log);
    }
    await this.world.settle();
    return this;
  }

  get log(): TestLog {
    return this.logs.get(0)!;
  }

  client(name: string, fields: Partial<Client> = {}): Client {
    return {
      name, group: 'g', memberId: '', instanceId: null, generation: -1, isLeader: false, members: [], sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000,
      protocolType: 'consumer', protocols: [{ name: 'range', metadata: subscription('t') }], apiVersion: 9, ...fields,
    };
  }

  /** Names are put in when the transcript is read: a member may be told of another that has not been told its id. */
  #asked(): (text: () => string) => void {
    const request = this.#requests++;
    return (text) => void this.#lines.push({ request, text });
  }

  #read(): string[] {
    return this.#lines.splice(0).sort((a, b) => a.request - b.request).map(({ text }) => text());
  }

  /** What was said since, after everything that can happen now has happened. */
  async said(): Promise<string[]> {
    await this.world.settle();
    return this.#read();
  }

  /** What is said while time passes. */
  async saidWithin(ms: number): Promise<string[]> {
    await this.world.pass(ms);
    return this.#read();
  }

  nameOf(memberId: string): string {
    return this.#names.get(memberId) ?? memberId;
  }

  join(client: Client, as: Partial<JoinRequest> = {}): Promise<void> {
    const say = this.#asked();
    const request: JoinRequest = {
      groupId: client.group,
      sessionTimeoutMs: client.sessionTimeoutMs,
      rebalanceTimeoutMs: client.rebalanceTimeoutMs,
      memberId: client.memberId,
      groupInstanceId: client.instanceId,
      protocolType: client.protocolType,
      protocols: client.protocols,
      reason: null,
      ...as,
    };
    return this.coordinator.joinGroup(request, { apiVersion: client.apiVersion, clientId: client.name, clientHost: '/10.0.0.1' }).then((answer) => {
      if (answer.memberId !== '' && answer.errorCode !== 25) {
        client.memberId = answer.memberId;
        this.#names.set(answer.memberId, client.name);
      }
      if (answer.errorCode !== 0) return say(() => `${client.name} join ${errorName(answer.errorCode)}`);
      client.generation = answer.generationId!;
      client.isLeader = answer.leader === answer.memberId;
      client.members = answer.members.map(({ memberId }) => memberId);
      const extra = answer.skipAssignment === true ? ', keeps the assignment' : '';
      const members = (): string => answer.members.map(({ memberId }) => ` ${this.nameOf(memberId)}`).join('');
      say(() => `${client.name} joined ${answer.generationId}, ${this.nameOf(answer.leader)} leads${answer.members.length === 0 ? '' : `:${members()}`}${extra}`);
    });
  }

  /** With the id that the first request is told. */
  async joinTwice(client: Client): Promise<void> {
    await this.join(client);
    await this.join(client);
  }

  /** A leader gives each member its own name with the generation. */
  sync(client: Client, as: { generationId?: number; protocolType?: string | null; protocolName?: string | null; memberId?: string } = {}): Promise<void> {
    const say = this.#asked();
    const assignments = client.isLeader ? client.members.map((memberId) => ({ memberId, assignment: Buffer.from(`${this.nameOf(memberId)}${client.generation}`) })) : [];
    const request = {
      groupId: client.group, generationId: client.generation, memberId: client.memberId, groupInstanceId: client.instanceId,
      protocolType: client.protocolType, protocolName: null, assignments, ...as,
    };
    return this.coordinator.syncGroup(request).then(({ errorCode, assignment }) => {
      say(() => (errorCode === 0 ? `${client.name} synced '${assignment.toString()}'` : `${client.name} sync ${errorName(errorCode)}`));
    });
  }

  async heartbeat(client: Client): Promise<void> {
    const say = this.#asked();
    const { errorCode } = await this.coordinator.heartbeat({ groupId: client.group, generationId: client.generation, memberId: client.memberId, groupInstanceId: client.instanceId });
    say(() => `${client.name} heartbeat ${errorName(errorCode)}`);
  }

  async leave(client: Client, as: { memberId?: string; groupInstanceId?: string | null } = {}): Promise<void> {
    const say = this.#asked();
    const member = { memberId: client.memberId, groupInstanceId: client.instanceId, reason: null, ...as };
    const answer = await this.coordinator.leaveGroup({ groupId: client.group, memberId: '', members: [member] });
    say(() => `${client.name} leave ${errorName(answer.errorCode !== 0 ? answer.errorCode : answer.members![0]!.errorCode)}`);
  }

  async commit(client: Client, topic: string, partition: number, offset: bigint, as: { metadata?: string | null; generation?: number; memberId?: string; topicId?: string; retentionTimeMs?: number } = {}): Promise<void> {
    const say = this.#asked();
    const answer = await this.coordinator.commitOffsets(
      {
        groupId: client.group, memberId: as.memberId ?? client.memberId, groupInstanceId: client.instanceId, generationIdOrMemberEpoch: as.generation ?? client.generation,
        retentionTimeMs: as.retentionTimeMs ?? -1,
        topics: [{ name: topic, topicId: as.topicId ?? NO_TOPIC_ID, partitions: [{ partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: 3, committedMetadata: as.metadata ?? null }] }],
      },
      { apiVersion: client.apiVersion, clientId: client.name, clientHost: '/10.0.0.1' },
    );
    say(() => `${client.name} commit ${errorName(answer.topics![0]!.partitions[0]!.errorCode)}`);
  }

  /** "t-0=5 t-1=7", or the error. */
  async offsets(group: string, options: { stable?: boolean } = {}): Promise<string> {
    const answer = await this.coordinator.fetchOffsets({ groupId: group, memberId: null, memberEpoch: -1, topics: null }, options.stable ?? false);
    if ((answer.errorCode ?? 0) !== 0) return errorName(answer.errorCode!);
    return answer.topics
      .flatMap(({ name, partitions }) => partitions.map((one) => `${name}-${one.partitionIndex}=${one.errorCode === 0 ? one.committedOffset : errorName(one.errorCode)}`))
      .sort()
      .join(' ');
  }

  /** "g:Stable", by name. */
  groups(): string {
    const { errorCode, groups } = this.coordinator.listGroups({ statesFilter: [], typesFilter: [] });
    return errorCode !== 0 ? errorName(errorCode) : groups!.map(({ groupId, groupState }) => `${groupId}:${groupState}`).sort().join(' ');
  }

  /** A group of these clients with its assignment, and a transcript that is empty again. */
  async stable(...clients: Client[]): Promise<void> {
    for (const client of clients) {
      void (client.instanceId === null && client.apiVersion >= 4 ? this.joinTwice(client) : this.join(client));
      await this.world.settle();
    }
    await this.world.pass(0);
    // Some may have come after the first generation began.
    for (let round = 0; round < 3 && new Set(clients.map(({ generation }) => generation)).size > 1; round++) {
      for (const client of clients) void this.join(client);
      await this.world.pass(0);
    }
    for (const client of clients) void this.sync(client);
    await this.said();
  }
}

export async function scene(settings: SceneSettings = {}, options: { partitionCount?: number; seed?: number } = {}): Promise<Scene> {
  return new Scene(settings, options).lead();
}

