/** `ottla groups`: list, describe, reset and delete consumer groups through the broker's own API. */
import { decodeVersioned } from '../../protocol/log-records/framing.ts';
import { ConsumerProtocolAssignment } from '../../protocol/log-records/consumer-protocol.ts';
import { OffsetTime } from '../client/admin.ts';
import type { GroupDescription, TopicPartition } from '../client/admin.ts';
import { nearest } from '../settings/nearest.ts';
import { UsageError, helpText, parseArguments } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError } from './failures.ts';
import { table } from './output.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';
import { parseTime } from './time.ts';

const declaration = {
  name: 'groups',
  summary: 'Lists, describes, resets and deletes consumer groups.',
  words: '[list | describe GROUP... | reset GROUP | delete GROUP...]',
  options: {
    ...connectionOptions,
    'topic': { short: 't', value: 'TOPIC', help: 'reset: the topics to reset', many: true, fallback: 'those that the group has offsets of' },
    'to': { value: 'PLACE', help: 'reset: earliest, latest, an offset, or @TIME' },
    'dry-run': { help: 'reset: only print what would be committed' },
    'json': { help: 'one JSON object a group' },
  },
  examples: ['ottla groups describe billing', 'ottla groups reset billing --topic orders --to earliest'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

const ACTIONS = ['list', 'describe', 'reset', 'delete'] as const;

export const groups: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [action = 'list', ...ids] = words;
    const work = { list, describe, reset, delete: remove }[action];
    if (work === undefined) {
      const meant = nearest(action, ACTIONS);
      throw new UsageError(`unknown action ${action}${meant === undefined ? '' : `; did you mean ${meant}?`} (${ACTIONS.join(', ')})`);
    }
    if (ids.length === 0 && work !== list) throw new UsageError(`groups ${action} needs a group: ottla groups ${action} GROUP`);
    for (const line of await withClient(options, (session) => work(session, ids, options))) console.log(line);
    return 0;
  },
};

async function list({ admin }: Session, _: readonly string[], options: Options): Promise<string[]> {
  const found = await admin.groups();
  if (options.json) return found.map((one) => JSON.stringify(one));
  if (found.length === 0) return [];
  return table([['GROUP', 'STATE', 'TYPE', 'PROTOCOL'], ...found.map(({ groupId, state, type, protocolType }) => [groupId, state, type, protocolType])]);
}

interface Row extends TopicPartition {
  readonly committed: bigint | null;
  readonly end: number;
  readonly member: string | null;
}

async function describe({ admin, client }: Session, ids: readonly string[], options: Options): Promise<string[]> {
  const lines: string[] = [];
  for (const id of ids) {
    const group = await admin.describeGroup(id);
    const rows = await placesOf({ admin, client }, group);
    if (options.json) {
      const offsets = rows.map((row) => ({ ...row, committed: row.committed === null ? null : Number(row.committed), lag: lagOf(row) }));
      const members = group.members.map(({ memberId, clientId, clientHost }) => ({ memberId, clientId, clientHost }));
      lines.push(JSON.stringify({ groupId: id, state: group.groupState, protocol: group.protocolData, members, offsets }));
      continue;
    }
    if (lines.length > 0) lines.push('');
    lines.push(`${id}  ${group.groupState}, ${group.members.length} member${group.members.length === 1 ? '' : 's'}${group.protocolData === '' ? '' : `, assignor ${group.protocolData}`}`);
    const shownRows = rows.map((row) => [row.topic, String(row.partition), row.committed === null ? '-' : String(row.committed), String(row.end), lagOf(row) === null ? '-' : String(lagOf(row)), row.member ?? '-']);
    if (rows.length > 0) lines.push(...table([['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'MEMBER'], ...shownRows]).map((line) => `  ${line}`));
  }
  return lines;
}

/** Every partition that the group has an offset of, or a member for. */
async function placesOf({ admin }: Pick<Session, 'admin' | 'client'>, group: GroupDescription): Promise<Row[]> {
  const places = new Map<string, TopicPartition & { committed: bigint | null; member: string | null }>();
  for (const { topic, partition, offset } of await admin.committedOffsets(group.groupId)) places.set(`${topic} ${partition}`, { topic, partition, committed: offset < 0n ? null : offset, member: null });
  for (const { memberId, memberAssignment } of group.members) {
    if (memberAssignment.length === 0 || group.protocolType !== 'consumer') continue;
    for (const { topic, partitions } of decodeVersioned(ConsumerProtocolAssignment, memberAssignment).value.assignedPartitions) {
      for (const partition of partitions) places.set(`${topic} ${partition}`, { topic, partition, committed: places.get(`${topic} ${partition}`)?.committed ?? null, member: memberId });
    }
  }
  const sorted = [...places.values()].sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
  const ends = await admin.offsets(sorted, OffsetTime.LATEST);
  return sorted.map((place) => ({ ...place, end: ends.get(place) ?? -1 }));
}

function lagOf({ committed, end }: Row): number | null {
  return committed === null ? null : Math.max(0, end - Number(committed));
}

async function reset({ admin, client }: Session, ids: readonly string[], options: Options): Promise<string[]> {
  if (options.to === undefined) throw new UsageError('groups reset needs --to earliest, latest, an offset, or @TIME');
  const lines: string[] = [];
  for (const id of ids) {
    const topics = options.topic.length > 0 ? options.topic : [...new Set((await admin.committedOffsets(id)).map(({ topic }) => topic))];
    if (topics.length === 0) throw new CommandError(`group ${id} has no offsets; name the topics with --topic`);
    const partitions: TopicPartition[] = [];
    for (const topic of topics) for (const { partitionIndex } of (await client.topic(topic)).partitions) partitions.push({ topic, partition: partitionIndex });
    const offsets = await placeOf(admin, partitions, options.to);
    if (!options['dry-run']) await admin.commitOffsets(id, offsets);
    lines.push(...table([['GROUP', 'TOPIC', 'PARTITION', 'OFFSET'], ...[...offsets].map(([{ topic, partition }, offset]) => [id, topic, String(partition), String(offset)])]));
  }
  return lines;
}

async function placeOf(admin: Session['admin'], partitions: readonly TopicPartition[], to: string): Promise<Map<TopicPartition, number>> {
  const [starts, ends] = [await admin.offsets(partitions, OffsetTime.EARLIEST), await admin.offsets(partitions, OffsetTime.LATEST)];
  if (to === 'earliest') return starts;
  if (to === 'latest') return ends;
  if (to.startsWith('@')) {
    const time = parseTime(to.slice(1));
    if (time === undefined) throw new UsageError(`--to ${to}: it should be @ and an ISO time, or @ and milliseconds`);
    const found = await admin.offsets(partitions, time);
    return new Map([...found].map(([one, offset]) => [one, offset >= 0 ? offset : ends.get(one)!]));
  }
  if (!/^[0-9]+$/.test(to)) throw new UsageError(`--to ${to}: it should be earliest, latest, an offset, or @TIME`);
  // As Kafka's tool: an offset outside of the log is moved to its nearer end.
  return new Map(partitions.map((one) => [one, Math.min(Math.max(Number(to), starts.get(one)!), ends.get(one)!)]));
}

async function remove({ admin }: Session, ids: readonly string[]): Promise<string[]> {
  for (const id of ids) await admin.deleteGroup(id);
  return ids.map((id) => `deleted ${id}`);
}
