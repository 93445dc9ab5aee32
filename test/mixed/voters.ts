/**
 * A dynamic quorum (KIP-853) of both kinds: it begins with one controller of one kind, grows by the tools of either kind, shrinks, loses its leader and a disk, all under load.
 * Promises: after each step the brokers name the voters that must be, at the main ones both kinds' tools do too, and clients write on. Formatting is crosswise: the tool of the one kind for nodes of the other.
 */
import type { BrokerKind } from '../../bench/broker-process.ts';
import type { ClusterNode, NodeSpec } from '../../bench/cluster-process.ts';
import { sleep } from '../cluster/admin.ts';
import { type Outcome, type Running, type ScenarioContext, withCluster } from '../cluster/scenario.ts';
import { judged } from './mixed.ts';
import { Elections, electEitherKind, killLeader, makeLead, newLeader } from './quorum.ts';
import { type Asked, addController, removeController, votersBy } from './tools.ts';

const VOTERS_MS_MAX = 30_000;
const ASK_AGAIN_MS = 50;

interface Kinds {
  readonly ours: BrokerKind;
  readonly theirs: BrokerKind;
}

function spec(id: number, kind: BrokerKind, role: 'broker' | 'controller', formattedBy: BrokerKind = kind): NodeSpec {
  return { id, kind, roles: [role], formattedBy };
}

/** Begins with a controller of the kind `first`, formatted --standalone. The others join by add-controller, first one by the other kind's tool, then one by its own. */
export function votersComeAndGo(context: ScenarioContext, { first, ours, theirs }: Kinds & { readonly first: BrokerKind }): Promise<Outcome> {
  const second = first === ours ? theirs : ours;
  const nodes = [spec(101, first, 'controller'), spec(102, second, 'controller', first), spec(103, first, 'controller', second), spec(1, ours, 'broker', theirs), spec(2, theirs, 'broker', ours)];
  return judged((ended) => withCluster(context, { nodes, firstVoters: [101], assignments: pairs(), topicConfigs: { 'min.insync.replicas': '1' }, ended }, async (running) => {
    const { cluster, load, facts } = running;
    const elections = new Elections();
    const voted = new Voted(running, [ours, theirs]);
    const [, other, third] = [101, 102, 103].map((id) => cluster.node(id));
    await voted.are(101);

    // Both kinds' tools against both kinds' leaders, by a controller and by a broker.
    await addController(second, other!, { controller: await newLeader(running) });
    await voted.are(101, 102);
    await addController(first, third!, { broker: cluster.node(2) });
    await voted.areTold(101, 102, 103);
    context.say(`three voters, ${load.acknowledged} records acknowledged`);
    await electEitherKind(running, [101, 102, 103]);
    context.say(`either kind was elected, ${load.acknowledged} records acknowledged`);

    // One of the first kind goes while the second kind leads, runs on as an observer, and comes back with the same directory.
    if (await makeLead(running, second)) {
      await voted.without(first, 101, { controller: await newLeader(running) });
      await voted.are(102, 103);
      await addController(second, cluster.node(101), { broker: cluster.node(1) });
      await voted.are(101, 102, 103);
      // The leader itself goes: another one follows, and it runs on as an observer.
      await voted.without(second, 102, { controller: cluster.node(102) });
      await voted.are(101, 103);
      const { kind, id } = await newLeader(running, cluster.node(102));
      facts.push(`after the leader (102, ${second}) was removed ${id} (${kind}) leads`);
      context.say(`the leader of kind ${second} was removed, ${load.acknowledged} records acknowledged`);
      await addController(first, cluster.node(102), { controller: await newLeader(running) });
      await voted.are(101, 102, 103);
    }
    // And the other way round.
    if (await makeLead(running, first)) {
      await voted.without(second, 102, { broker: cluster.node(2) });
      await voted.are(101, 103);
      await addController(second, cluster.node(102), { controller: await newLeader(running) });
      await voted.are(101, 102, 103);
      const leader = await newLeader(running);
      await voted.without(first, leader.id, { controller: leader });
      await voted.are(...[101, 102, 103].filter((id) => id !== leader.id));
      const next = await newLeader(running, leader);
      facts.push(`after the leader (${leader.id}, ${first}) was removed ${next.id} (${next.kind}) leads`);
      await addController(second, leader, { broker: cluster.node(1) });
      await voted.are(101, 102, 103);
    }
    context.say(`voters of both kinds left and came back, ${load.acknowledged} records acknowledged`);

    // A disk is lost: the voter with the old directory goes, and its successor has another one. Once for each kind.
    for (const node of [other!, third!]) {
      if ((await newLeader(running)).id === node.id) await killLeader(running, elections, [101, 102, 103]);
      await node.kill();
      await load.writing(performance.now());
      const by = node === other ? first : second;
      await voted.without(by, node.id, { controller: await newLeader(running, node) });
      await node.formatAnew(by, ['--no-initial-controllers']);
      node.spawn();
      await addedWhenRunning(by, node, { broker: cluster.node(1) });
      await voted.are(101, 102, 103);
    }
    await voted.areTold(101, 102, 103);
    facts.push(...elections.facts());
  }));
}

/** Three voters from the beginning, --initial-controllers, each formatted by the tool of the other kind; one node is of the kind `alone`. */
export function initialControllers(context: ScenarioContext, { alone, ours, theirs }: Kinds & { readonly alone: BrokerKind }): Promise<Outcome> {
  const most = alone === ours ? theirs : ours;
  const nodes = [spec(101, most, 'controller', alone), spec(102, alone, 'controller', most), spec(103, most, 'controller', most), spec(1, ours, 'broker', theirs), spec(2, theirs, 'broker', ours)];
  return judged((ended) => withCluster(context, { nodes, firstVoters: [101, 102, 103], assignments: pairs(), topicConfigs: { 'min.insync.replicas': '1' }, ended }, async (running) => {
    await new Voted(running, [ours, theirs]).areTold(101, 102, 103);
    for (let round = 1; round <= context.rounds; round++) await electEitherKind(running);
  }));
}

/** Both brokers hold all partitions. */
function pairs(): (readonly number[])[] {
  return Array.from({ length: 4 }, (_, partition) => (partition % 2 === 0 ? [1, 2] : [2, 1]));
}

/** A controller that has just been started is not reached at once, and the leader adds nobody whom it does not reach. */
async function addedWhenRunning(by: BrokerKind, node: ClusterNode, asked: Asked): Promise<void> {
  for (const sinceMs = performance.now(); ; await sleep(ASK_AGAIN_MS)) {
    try {
      return await addController(by, node, asked);
    } catch (error) {
      if (performance.now() - sinceMs > VOTERS_MS_MAX) throw error;
    }
  }
}

class Voted {
  readonly #running: Running;
  readonly #tools: readonly BrokerKind[];

  constructor(running: Running, tools: readonly BrokerKind[]) {
    this.#running = running;
    this.#tools = tools;
  }

  /** Waits until the brokers name these voters; then everything must be writing. */
  async are(...ids: readonly number[]): Promise<void> {
    const { admin, load } = this.#running;
    let named = '';
    for (const sinceMs = performance.now(); ; await sleep(ASK_AGAIN_MS)) {
      named = [...(await admin.quorum()).voters].sort().join();
      if (named === ids.join()) break;
      if (performance.now() - sinceMs > VOTERS_MS_MAX) throw new Error(`the voters should be ${ids.join()}, and are ${named} after ${VOTERS_MS_MAX} ms`);
    }
    await load.writing(performance.now());
  }

  /** The same, and the tools of both kinds say so too. */
  async areTold(...ids: readonly number[]): Promise<void> {
    await this.are(...ids);
    for (const tool of new Set(this.#tools)) {
      const told = (await votersBy(tool, { controller: await newLeader(this.#running) })).map(({ id }) => id).sort().join();
      if (told !== ids.join()) this.#running.violations.push(`voters: the tool of ${tool} tells of ${told}, and they are ${ids.join()}`);
    }
  }

  /** Removes the voter with the directory that the quorum has for it. */
  async without(tool: BrokerKind, id: number, asked: Asked): Promise<void> {
    const directoryId = (await this.#running.admin.quorum()).directoryIds.get(id);
    if (directoryId === undefined) throw new Error(`${id} is no voter`);
    await removeController(tool, { id, directoryId }, asked);
  }
}
