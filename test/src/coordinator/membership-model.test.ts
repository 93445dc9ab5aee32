/**
 * Members that come, go, crash, stall and come back at random, on a coordinator whose log fails at random and whose node restarts, checked after every answer:
 *
 *   - a generation has one leader, and its members are told the same of it;
 *   - who is given a part is given its own part of the generation that it is in, and generations do not go back;
 *   - every request is answered, once;
 *   - when the faults stop, everybody who is alive is in one generation with its part; when the members stop, the group empties and no timer is left but the expiry's.
 *
 * A failure prints its seed; OTTLA_GROUP_SEED runs one, OTTLA_GROUP_SEEDS that many.
 */
import { expect, test } from 'vitest';
import { ErrorCode, errorName } from '../../../protocol/errors.ts';
import type { Random } from '../../../src/runtime/runtime.ts';
import { Scene, subscription } from './scene.ts';
import { TestLog } from './shard-log.ts';
import { seededRandom } from './world.ts';

const GROUP = 'g';
const HEARTBEAT_MS = 1000;

class Run {
  readonly random: Random;
  readonly trace: string[] = [];
  scene: Scene;
  members: Member[] = [];
  /** Requests without an answer, by number. */
  readonly open = new Map<number, string>();
  #requests = 0;
  /** Moves on whenever what nobody wrote down may be forgotten: a restart, or a failed append. */
  era = 0;
  faults = true;
  #generations = new Map<string, { leader: string; protocol: string | null }>();
  #lastSynced = new Map<number, number>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.scene = new Scene({ 'group.initial.rebalance.delay.ms': this.random.below(2) * 500, 'group.max.size': 4 + this.random.below(3) }, { seed });
  }

  note(line: string): void {
    this.trace.push(`${this.scene.world.nowMs} ${line}`);
  }

  /** Runs a request to its answer and counts it. */
  async track<T>(what: string, request: () => Promise<T>): Promise<T> {
    const number = this.#requests++;
    this.open.set(number, what);
    const answer = await request();
    expect(this.open.delete(number), `${what} is answered once`).toBe(true);
    return answer;
  }

  joined(member: Member, era: number, answer: { generationId: number; leader: string; protocolName: string | null; skipAssignment: boolean }): void {
    const key = `${era}:${answer.generationId}`;
    const known = this.#generations.get(key);
    this.note(`${member.name} joined ${key} led by ${answer.leader.slice(0, 6)}`);
    if (known === undefined) {
      this.#generations.set(key, { leader: answer.leader, protocol: answer.protocolName });
      return;
    }
    expect(answer.protocolName, `the protocol of generation ${key}`).toBe(known.protocol);
    // A static leader that came back has another id, and so has what followers are told from then on; its name is the same.
    expect(nameIn(answer.leader), `the leader of generation ${key}`).toBe(nameIn(known.leader));
  }

  synced(member: Member, era: number, generation: number, assignment: string): void {
    this.note(`${member.name} synced ${era}:${generation} ${assignment}`);
    expect(assignment, `the part of ${member.name}`).toBe(`${member.name}@${generation}`);
    expect(generation, 'generations go forward').toBeGreaterThanOrEqual(this.#lastSynced.get(era) ?? 0);
    this.#lastSynced.set(era, generation);
  }
}

/** Member ids are the client's or instance's name and a uuid. */
function nameIn(memberId: string): string {
  return memberId.slice(0, -37);
}

/** A client that does what Kafka's consumers do with the answers they get. */
class Member {
  readonly run: Run;
  readonly name: string;
  readonly isStatic: boolean;
  readonly apiVersion: number;
  memberId = '';
  generation = -1;
  state: 'joining' | 'syncing' | 'stable' | 'gone' = 'joining';
  /** Answers to what an earlier life of this client asked are nobody's. */
  life = 0;
  protocols: { name: string; metadata: Buffer }[];

  constructor(run: Run, name: string) {
    this.run = run;
    this.name = name;
    this.isStatic = run.random.below(3) === 0;
    this.apiVersion = this.isStatic ? 8 + run.random.below(2) : [2, 4, 9][run.random.below(3)]!;
    const names = run.random.below(2) === 0 ? ['range', 'sticky'] : ['sticky', 'range', 'own'];
    this.protocols = names.map((protocol) => ({ name: protocol, metadata: subscription('t') }));
  }

  get instanceId(): string | null {
    return this.isStatic ? this.name : null;
  }

  later(ms: number, run: () => void): void {
    const { life } = this;
    this.run.scene.world.after(ms, () => {
      if (this.life === life && this.state !== 'gone') run();
    });
  }

  start(): void {
    this.life++;
    this.state = 'joining';
    void this.#join();
    this.#heartbeats();
  }

  /** Says nothing any more. */
  crash(): void {
    this.run.note(`${this.name} crashes`);
    this.life++;
    this.state = 'gone';
  }

  async #ask<T>(what: string, request: () => Promise<T>): Promise<T | undefined> {
    const { life } = this;
    const answer = await this.run.track(`${this.name} ${what}`, request);
    return this.life === life ? answer : undefined;
  }

  async #join(): Promise<void> {
    const era = this.run.era;
    const answer = await this.#ask('join', () =>
      this.run.scene.coordinator.joinGroup(
        {
          groupId: GROUP, sessionTimeoutMs: 6000, rebalanceTimeoutMs: 4000, memberId: this.memberId, groupInstanceId: this.instanceId, protocolType: 'consumer', protocols: this.protocols, reason: null,
        },
        { apiVersion: this.apiVersion, clientId: this.name, clientHost: '/h' },
      ),
    );
    if (answer === undefined) return;
    if (answer.errorCode !== ErrorCode.NONE) return this.#failed('join', answer.errorCode, answer.memberId);
    this.memberId = answer.memberId;
    this.generation = answer.generationId!;
    if (era === this.run.era) this.run.joined(this, era, { generationId: answer.generationId!, leader: answer.leader, protocolName: answer.protocolName, skipAssignment: answer.skipAssignment ?? false });
    this.state = 'syncing';
    const assigns = answer.leader === answer.memberId && answer.skipAssignment !== true;
    await this.#sync(assigns ? answer.members.map(({ memberId }) => ({ memberId, assignment: Buffer.from(`${nameIn(memberId)}@${this.generation}`) })) : []);
  }

  async #sync(assignments: { memberId: string; assignment: Buffer }[]): Promise<void> {
    const { era } = this.run;
    const { generation } = this;
    const answer = await this.#ask('sync', () =>
      this.run.scene.coordinator.syncGroup({ groupId: GROUP, generationId: generation, memberId: this.memberId, groupInstanceId: this.instanceId, protocolType: 'consumer', protocolName: null, assignments }),
    );
    if (answer === undefined) return;
    if (answer.errorCode !== ErrorCode.NONE) return this.#failed('sync', answer.errorCode);
    this.state = 'stable';
    if (era === this.run.era) this.run.synced(this, era, generation, answer.assignment.toString());
  }

  #heartbeats(): void {
    this.later(HEARTBEAT_MS, () => {
      this.#heartbeats();
      if (this.state === 'stable') void this.#heartbeat();
    });
  }

  async #heartbeat(): Promise<void> {
    const answer = await this.#ask('heartbeat', () =>
      this.run.random.below(3) === 0
        ? this.run.scene.coordinator
            .commitOffsets(
              {
                groupId: GROUP, generationIdOrMemberEpoch: this.generation, memberId: this.memberId, groupInstanceId: this.instanceId, retentionTimeMs: -1,
                topics: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', partitions: [{ partitionIndex: 0, committedOffset: 1n, committedLeaderEpoch: 0, committedMetadata: '' }] }],
              },
              { apiVersion: this.apiVersion, clientId: this.name, clientHost: '/h' },
            )
            .then((commit) => ({ errorCode: commit.topics![0]!.partitions[0]!.errorCode }))
        : this.run.scene.coordinator.heartbeat({ groupId: GROUP, generationId: this.generation, memberId: this.memberId, groupInstanceId: this.instanceId }),
    );
    if (answer !== undefined && answer.errorCode !== ErrorCode.NONE && this.state === 'stable') this.#failed('heartbeat', answer.errorCode);
  }

  #failed(what: string, errorCode: number, memberId = ''): void {
    this.run.note(`${this.name} ${what} ${errorName(errorCode)}`);
    this.state = 'joining';
    switch (errorCode) {
      case ErrorCode.MEMBER_ID_REQUIRED:
        this.memberId = memberId;
        return void this.#join();
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.ILLEGAL_GENERATION:
        this.memberId = '';
        return this.later(10, () => void this.#join());
      case ErrorCode.GROUP_MAX_SIZE_REACHED:
      case ErrorCode.FENCED_INSTANCE_ID:
        this.state = 'gone';
        return;
      case ErrorCode.REBALANCE_IN_PROGRESS:
        return void this.#join();
      case ErrorCode.NOT_COORDINATOR:
      case ErrorCode.COORDINATOR_NOT_AVAILABLE:
      case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        return this.later(100, () => void this.#join());
      default:
        expect.unreachable(`${this.name} ${what} ${errorName(errorCode)}`);
    }
  }

  async leave(): Promise<void> {
    this.run.note(`${this.name} leaves`);
    this.life++;
    this.state = 'gone';
    const member = { memberId: this.memberId, groupInstanceId: this.instanceId, reason: null };
    await this.run.track(`${this.name} leave`, () => this.run.scene.coordinator.leaveGroup({ groupId: GROUP, memberId: '', members: [member] }));
    this.memberId = '';
  }

  /** The connection broke: the same request again, on another. Nobody reads the answer to the first. */
  retry(): void {
    this.run.note(`${this.name} asks again`);
    this.start();
  }

  /** A process that is started again knows nothing; a static one has its instance id. */
  restart(): void {
    this.run.note(`${this.name} starts again`);
    this.memberId = '';
    this.start();
  }
}

async function disturb(run: Run): Promise<void> {
  const { random } = run;
  const one = run.members[random.below(run.members.length)]!;
  switch (random.below(14)) {
    case 0:
    case 1: {
      const member = new Member(run, `m${run.members.length}`);
      run.members.push(member);
      member.start();
      return;
    }
    case 2:
    case 3:
      return one.crash();
    case 4:
      if (one.state !== 'gone') void one.leave();
      return;
    case 5:
    case 6:
    case 7:
      return one.restart();
    case 12:
    case 13:
      if (one.state !== 'gone') one.retry();
      return;
    case 8:
      run.scene.log.holds = true;
      return;
    case 9:
      if (run.scene.log.held.length === 0) return;
      run.note('the log fails');
      run.era++;
      return run.scene.log.fail([ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.KAFKA_STORAGE_ERROR][random.below(2)]!);
    case 10:
      return run.scene.log.commit(1);
    case 11: {
      if (random.below(3) > 0) return;
      run.note('the node starts again');
      run.era++;
      const { log } = run.scene;
      // What was not committed may be in the log of the next leader, or not.
      const kept = random.below(2) === 0 ? log.batches : log.batches.slice(0, log.batches.length - log.held.length);
      run.scene.coordinator.onResignation(0, log.leaderEpoch + 1);
      await run.scene.lead([new TestLog(0, log.leaderEpoch + 1, kept)]);
      return;
    }
  }
}

async function play(seed: number): Promise<void> {
  const run = new Run(seed);
  const { world } = run.scene;
  await run.scene.lead();
  for (let i = 0; i < 3; i++) run.members.push(new Member(run, `m${i}`));
  for (const member of run.members) member.start();
  for (let step = 0; step < 40; step++) {
    await world.pass(run.random.below(1500));
    await disturb(run);
  }

  run.note('no more faults');
  run.scene.log.commit();
  run.scene.log.holds = false;
  await world.pass(60_000);
  const alive = run.members.filter(({ state }) => state !== 'gone');
  expect(alive.map(({ state }) => state)).toEqual(alive.map(() => 'stable'));
  expect(new Set(alive.map(({ generation }) => generation)).size).toBeLessThanOrEqual(1);
  const described = run.scene.coordinator.describeGroups([GROUP], { apiVersion: 5, clientId: '', clientHost: '' })[0]!;
  expect(described.members.map(({ memberId }) => nameIn(memberId)).sort()).toEqual(alive.map(({ name }) => name).sort());
  expect([...run.open.values()]).toEqual([]);

  for (const member of alive) member.crash();
  await world.pass(60_000);
  expect(run.scene.groups()).toMatch(/^(g:Empty)?$/);
  expect(world.timerCount, 'timers but the expiry').toBe(1);
  run.scene.coordinator.close();
  expect(world.timerCount).toBe(0);
}

const only = process.env.OTTLA_GROUP_SEED;
const seeds = only !== undefined ? [Number(only)] : Array.from({ length: Number(process.env.OTTLA_GROUP_SEEDS ?? 150) }, (_, i) => i + 1);

test(`members at random, ${seeds.length} seeds`, async () => {
  for (const seed of seeds) {
    try {
      await play(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}, 600_000);
