/**
 * `ottla reassign`: moves partitions between brokers: makes a plan, starts it, watches it, cancels it. Plans are those of `kafka-reassign-partitions.sh`, so either tool
 * goes on with what the other began. Does not move data itself: the cluster does, also when this command has ended.
 */
import { errorName } from '../../protocol/errors.ts';
import { ClusterAdmin, ResourceKind } from '../client/cluster-admin.ts';
import type { ConfigChange, PartitionOutcome, Reassignment } from '../client/cluster-admin.ts';
import { nearest } from '../settings/nearest.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError, explain } from './failures.ts';
import { Progress, table } from './output.ts';
import { balancedPlan, FOLLOWER_RATE, FOLLOWER_REPLICAS, formatPlan, LEADER_RATE, LEADER_REPLICAS, parsePlan, partitionKey, throttlesOf } from './reassign-plan.ts';
import type { Placement } from './reassign-plan.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';

const declaration = {
  name: 'reassign',
  summary: 'Moves partitions between brokers.',
  words: '[list | generate | execute | verify | cancel]',
  options: {
    ...connectionOptions,
    'topic': { short: 't', value: 'TOPIC', help: 'generate: a topic to place anew', many: true },
    'brokers': { value: 'ID,...', help: 'generate: where the replicas may be' },
    'ignore-racks': { help: 'generate: do not keep the replicas of a partition on different racks' },
    'current': { help: 'generate: print where the replicas are, which is the plan that leads back' },
    'plan': { value: 'FILE', help: 'execute, verify, cancel: the plan, - for standard input' },
    'throttle': { value: 'BYTES', help: 'execute: bytes a second that a broker may send, and receive, for the move' },
    'additional': { help: 'execute: although other moves are under way' },
    'wait': { help: 'execute: until all is moved; then the throttles are taken away' },
    'keep-throttles': { help: 'verify, cancel: leave the throttles as they are' },
    'json': { help: 'list, verify: one JSON object a partition' },
  },
  examples: [
    'ottla reassign generate --topic orders --brokers 1,2,3 > plan.json',
    'ottla reassign execute --plan plan.json --throttle 50000000 --wait',
    'ottla reassign verify --plan plan.json',
  ],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

const WORK = { list, generate, execute, verify, cancel } as const;
const POLL_MS = 500;

export const reassign: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [action = 'list', ...rest] = words;
    if (!Object.hasOwn(WORK, action) || rest.length > 0) {
      const meant = nearest(action, Object.keys(WORK));
      throw new UsageError(rest.length > 0 ? `reassign ${action} takes no words: ${rest.join(' ')}` : `unknown action ${action}${meant === undefined ? '' : `; did you mean ${meant}?`} (${Object.keys(WORK).join(', ')})`);
    }
    const { lines, code } = await withClient(options, (session) => WORK[action as keyof typeof WORK](session, options));
    for (const line of lines) console.log(line);
    return code;
  },
};

interface Told {
  readonly lines: readonly string[];
  readonly code: number;
}

async function list({ client }: Session, options: Options): Promise<Told> {
  const found = await new ClusterAdmin(client).reassignments();
  if (options.json) return { lines: found.map((one) => JSON.stringify(one)), code: 0 };
  if (found.length === 0) return { lines: ['no partition is being moved'], code: 0 };
  return { lines: table([['TOPIC', 'PARTITION', 'REPLICAS', 'ADDING', 'REMOVING'], ...found.map((one) => [one.topic, String(one.partition), one.replicas.join(','), one.addingReplicas.join(',') || '-', one.removingReplicas.join(',') || '-'])]), code: 0 };
}

async function generate({ client }: Session, options: Options): Promise<Told> {
  if (options.topic.length === 0) throw new UsageError('reassign generate needs --topic TOPIC');
  const placed = await placements(client, new Set(options.topic));
  if (options.current) return { lines: [formatPlan(placed)], code: 0 };
  if (options.brokers === undefined) throw new UsageError('reassign generate needs --brokers ID,...');
  const wanted = options.brokers.split(',').map((text) => wholeNumber('brokers', text.trim(), 0, 0x7fffffff));
  if (new Set(wanted).size < wanted.length) throw new UsageError(`--brokers ${options.brokers}: a broker comes twice`);
  const { brokers } = await client.metadata([]);
  const known = new Map(brokers.map(({ nodeId, rack }) => [nodeId, rack]));
  const stranger = wanted.find((id) => !known.has(id));
  if (stranger !== undefined) throw new CommandError(`broker ${stranger} is not in the cluster, which has ${[...known.keys()].sort((a, b) => a - b).join(', ')}`);
  const plan = balancedPlan(placed, wanted.map((id) => ({ id, rack: known.get(id) ?? null })), { rackAware: !options['ignore-racks'] });
  const moving = plan.filter(({ replicas }, index) => replicas.some((id) => !placed[index]!.replicas.includes(id))).length;
  // Standard output is the plan alone, to be written to a file.
  console.error(`${moving} of ${plan.length} partitions get a new replica; --current prints the plan that leads back`);
  return { lines: [formatPlan(plan)], code: 0 };
}

async function execute(session: Session, options: Options): Promise<Told> {
  const { client } = session;
  const cluster = new ClusterAdmin(client);
  const plan = await readPlan(options);
  const throttle = options.throttle === undefined ? undefined : wholeNumber('throttle', options.throttle, 1);
  const underWay = await cluster.reassignments();
  if (underWay.length > 0 && !options.additional) {
    throw new CommandError(`${underWay.length} partition${underWay.length === 1 ? ' is' : 's are'} being moved already (ottla reassign list); --additional moves these too`);
  }
  const { brokers } = await client.metadata([]);
  const stranger = plan.flatMap(({ replicas }) => replicas).find((id) => !brokers.some(({ nodeId }) => nodeId === id));
  if (stranger !== undefined) throw new CommandError(`broker ${stranger} of the plan is not in the cluster`);
  const current = await placements(client, new Set(plan.map(({ topic }) => topic)));
  const before = new Map(current.map(({ topic, partition, replicas }) => [partitionKey(topic, partition), replicas]));
  const unknown = plan.find(({ topic, partition }) => !before.has(partitionKey(topic, partition)));
  if (unknown !== undefined) throw new CommandError(`there is no partition ${unknown.partition} of topic ${unknown.topic}`);
  const back = plan.map(({ topic, partition }) => ({ topic, partition, replicas: before.get(partitionKey(topic, partition))! }));
  console.error(`the plan that leads back: ${formatPlan(back)}`);
  // Before the move: what it copies at once would be free of them.
  if (throttle !== undefined) await cluster.alterConfigs(throttleChanges(plan, before, throttle));
  const outcomes = await cluster.reassign(new Map(plan.map((one) => [one, one.replicas])));
  const failed = outcomes.filter(({ errorCode }) => errorCode !== 0);
  const lines = [...failed.map(outcomeLine), `${plan.length - failed.length} of ${plan.length} partitions began to move`];
  if (options.wait && failed.length < plan.length) return { lines: [...lines, ...(await watch(session, cluster, plan, options))], code: failed.length > 0 ? 1 : 0 };
  if (throttle !== undefined) lines.push('the throttles stay until `ottla reassign verify` finds all moved');
  return { lines, code: failed.length > 0 ? 1 : 0 };
}

/** Until all is moved, with the number that is left on a terminal. */
async function watch({ client, ...session }: Session, cluster: ClusterAdmin, plan: readonly Placement[], options: Options): Promise<string[]> {
  const progress = new Progress(client.runtime.clock);
  const { clock } = client.runtime;
  const startMs = clock.monotonicMs();
  let stopped = false;
  void session.stopping.then(() => (stopped = true));
  try {
    for (;;) {
      const left = await cluster.reassignments(plan);
      if (left.length === 0) break;
      if (stopped) return [`stopped waiting; ${left.length} partitions are still being moved (ottla reassign verify --plan ${options.plan})`];
      progress.say(() => `${plan.length - left.length} of ${plan.length} partitions moved, ${Math.round((clock.monotonicMs() - startMs) / 1000)} s`);
      await client.pause(POLL_MS);
    }
  } finally {
    progress.end();
  }
  const cleared = options['keep-throttles'] ? false : await clearThrottles(client, cluster, plan);
  return [`all moved in ${Math.round((clock.monotonicMs() - startMs) / 100) / 10} s${cleared ? ', the throttles are taken away' : ''}`];
}

async function verify({ client }: Session, options: Options): Promise<Told> {
  const cluster = new ClusterAdmin(client);
  const plan = await readPlan(options);
  const underWay = new Map((await cluster.reassignments(plan)).map((one) => [partitionKey(one.topic, one.partition), one]));
  const now = new Map((await placements(client, new Set(plan.map(({ topic }) => topic)))).map((one) => [partitionKey(one.topic, one.partition), one.replicas]));
  const rows = plan.map((one) => ({ ...one, ...stateOf(one, underWay.get(partitionKey(one.topic, one.partition)), now.get(partitionKey(one.topic, one.partition))) }));
  const counts = (state: string) => rows.filter((row) => row.state === state).length;
  const lines = options.json
    ? rows.map((row) => JSON.stringify(row))
    : table([['TOPIC', 'PARTITION', 'PLAN', 'NOW', 'STATE'], ...rows.map((row) => [row.topic, String(row.partition), row.replicas.join(','), row.now.join(',') || '-', row.state])]);
  if (counts('moving') === 0 && !options['keep-throttles'] && (await clearThrottles(client, cluster, plan)) && !options.json) lines.push('the throttles are taken away');
  return { lines, code: counts('done') === rows.length ? 0 : 1 };
}

function stateOf(wanted: Placement, underWay: Reassignment | undefined, now: readonly number[] | undefined): { now: readonly number[]; state: 'done' | 'moving' | 'elsewhere' | 'missing' } {
  if (now === undefined) return { now: [], state: 'missing' };
  if (underWay !== undefined) return { now: underWay.replicas, state: 'moving' };
  return { now, state: now.length === wanted.replicas.length && now.every((id, index) => id === wanted.replicas[index]) ? 'done' : 'elsewhere' };
}

async function cancel({ client }: Session, options: Options): Promise<Told> {
  const cluster = new ClusterAdmin(client);
  const plan = await readPlan(options);
  const underWay = await cluster.reassignments(plan);
  const failed = underWay.length === 0 ? [] : (await cluster.reassign(new Map(underWay.map((one) => [one, null])))).filter(({ errorCode }) => errorCode !== 0);
  const lines = [...failed.map(outcomeLine), underWay.length === 0 ? 'none of these partitions is being moved' : `cancelled ${underWay.length - failed.length} of ${underWay.length}`];
  if (!options['keep-throttles'] && (await clearThrottles(client, cluster, plan))) lines.push('the throttles are taken away');
  return { lines, code: failed.length > 0 ? 1 : 0 };
}

function outcomeLine({ topic, partition, errorCode, errorMessage }: PartitionOutcome): string {
  return `${partitionKey(topic, partition)}: ${errorName(errorCode)}${errorMessage === null ? '' : `: ${errorMessage}`}`;
}

function throttleChanges(plan: readonly Placement[], before: ReadonlyMap<string, readonly number[]>, bytes: number): ConfigChange[] {
  const { brokers, topics } = throttlesOf(plan, before);
  return [
    ...brokers.map((id) => ({ kind: ResourceKind.BROKER, name: String(id), values: new Map([[LEADER_RATE, String(bytes)], [FOLLOWER_RATE, String(bytes)]]) })),
    ...[...topics].map(([name, { leaders, followers }]) => ({ kind: ResourceKind.TOPIC, name, values: new Map([[LEADER_REPLICAS, leaders], [FOLLOWER_REPLICAS, followers]]) })),
  ];
}

/** Of all brokers, as Kafka's tool: a plan does not say where replicas came from. True when there were some. */
async function clearThrottles(client: Session['client'], cluster: ClusterAdmin, plan: readonly Placement[]): Promise<boolean> {
  const topics = [...new Set(plan.map(({ topic }) => topic))];
  const { brokers } = await client.metadata([]);
  const none = (kind: ResourceKind, own: Map<string, Map<string, string>>): ConfigChange[] =>
    [...own].filter(([, values]) => values.size > 0).map(([name, values]) => ({ kind, name, values: new Map([...values.keys()].map((setting) => [setting, null])) }));
  const changes = [
    ...none(ResourceKind.BROKER, await cluster.ownConfigs(ResourceKind.BROKER, brokers.map(({ nodeId }) => String(nodeId)), [LEADER_RATE, FOLLOWER_RATE])),
    ...none(ResourceKind.TOPIC, await cluster.ownConfigs(ResourceKind.TOPIC, topics, [LEADER_REPLICAS, FOLLOWER_REPLICAS])),
  ];
  await cluster.alterConfigs(changes);
  return changes.length > 0;
}

/** Where the replicas of these topics are, by topic and partition. */
async function placements(client: Session['client'], topics: ReadonlySet<string>): Promise<Placement[]> {
  const found: Placement[] = [];
  for (const name of topics) {
    // A partition without a leader can be moved too, so this asks for what is known and does not wait.
    const topic = (await client.retrying(() => client.metadata([name]))).topics[0];
    if (topic === undefined || topic.partitions.length === 0) throw new CommandError(`there is no topic ${name}`);
    for (const { partitionIndex, replicaNodes } of topic.partitions) found.push({ topic: name, partition: partitionIndex, replicas: replicaNodes });
  }
  return found.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}

async function readPlan(options: Options): Promise<Placement[]> {
  const path = options.plan;
  if (path === undefined) throw new UsageError('--plan FILE is needed (ottla reassign generate makes one)');
  if (path === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return parsePlan(Buffer.concat(chunks).toString(), 'standard input');
  }
  let text: string;
  try {
    text = nodeRuntime().disk.readFile(path).toString();
  } catch (error) {
    throw new CommandError(`--plan ${path}: ${explain(error).line}`, { cause: error });
  }
  return parsePlan(text, path);
}
