/** `ottla topics`: list, describe, create, alter and delete topics through the broker's own API. */
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { table } from './output.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';
import { errorName } from '../../protocol/errors.ts';
import { nearest } from '../settings/nearest.ts';
import type { TopicMetadata } from '../client.ts';

const declaration = {
  name: 'topics',
  summary: 'Lists, describes, creates, grows and deletes topics.',
  words: '[list | describe [TOPIC...] | create TOPIC... | alter TOPIC... | delete TOPIC...]',
  options: {
    ...connectionOptions,
    'partitions': { short: 'p', value: 'N', help: 'partitions of a new topic, or how many it grows to', fallback: 'num.partitions of the broker' },
    'replication-factor': { short: 'r', value: 'N', help: 'replicas of a new topic', fallback: 'default.replication.factor of the broker' },
    'setting': { short: 's', value: 'NAME=VALUE', help: 'a setting of a new topic', many: true },
    'if-not-exists': { help: 'a topic that is there already is fine' },
    'if-exists': { help: 'a topic that is not there is fine' },
    'internal': { help: 'list the internal topics too' },
    'json': { help: 'one JSON object a topic' },
  },
  examples: ['ottla topics create orders --partitions 6 --setting retention.ms=86400000', 'ottla topics describe orders'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

const ACTIONS = ['list', 'describe', 'create', 'alter', 'delete'] as const;

export const topics: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [action = 'list', ...names] = words;
    const work = { list, describe, create, alter, delete: remove }[action];
    if (work === undefined) {
      const meant = nearest(action, ACTIONS);
      throw new UsageError(`unknown action ${action}${meant === undefined ? '' : `; did you mean ${meant}?`} (${ACTIONS.join(', ')})`);
    }
    if (names.length === 0 && work !== list && work !== describe) throw new UsageError(`topics ${action} needs a topic: ottla topics ${action} TOPIC...`);
    const lines = await withClient(options, (session) => work(session, names, options));
    for (const line of lines) console.log(line);
    return 0;
  },
};

async function list({ admin }: Session, _: readonly string[], options: Options): Promise<string[]> {
  const found = (await admin.topics()).filter(({ isInternal }) => options.internal || !isInternal);
  found.sort((a, b) => (a.name! < b.name! ? -1 : 1));
  if (options.json) return found.map((topic) => JSON.stringify({ name: topic.name, partitions: topic.partitions.length, replicationFactor: replicasOf(topic) }));
  if (found.length === 0) return [];
  return table([['TOPIC', 'PARTITIONS', 'REPLICAS'], ...found.map((topic) => [topic.name!, String(topic.partitions.length), String(replicasOf(topic))])]);
}

async function describe({ client, admin }: Session, names: readonly string[], options: Options): Promise<string[]> {
  const wanted = names.length > 0 ? await Promise.all(names.map((name) => client.topic(name))) : (await admin.topics()).filter(({ isInternal }) => options.internal || !isInternal);
  if (wanted.length === 0) return [];
  const overrides = await admin.topicOverrides(wanted.map(({ name }) => name!));
  const lines: string[] = [];
  for (const topic of wanted) {
    const settings = [...(overrides.get(topic.name!) ?? [])];
    const partitions = [...topic.partitions].sort((a, b) => a.partitionIndex - b.partitionIndex);
    if (options.json) {
      const shown = partitions.map(({ partitionIndex, leaderId, leaderEpoch, replicaNodes, isrNodes }) => ({ partition: partitionIndex, leader: leaderId, leaderEpoch, replicas: replicaNodes, isr: isrNodes }));
      lines.push(JSON.stringify({ name: topic.name, id: topic.topicId, settings: Object.fromEntries(settings), partitions: shown }));
      continue;
    }
    if (lines.length > 0) lines.push('');
    lines.push(`${topic.name}  id ${topic.topicId}  ${settings.length === 0 ? 'no settings of its own' : settings.map(([name, value]) => `${name}=${value}`).join(' ')}`);
    const rows = partitions.map((one) => [
      String(one.partitionIndex),
      one.leaderId < 0 ? 'none' : String(one.leaderId),
      one.replicaNodes.join(','),
      one.isrNodes.join(','),
      one.errorCode === 0 ? '' : errorName(one.errorCode),
    ]);
    lines.push(...table([['PARTITION', 'LEADER', 'REPLICAS', 'IN SYNC', ''], ...rows]).map((line) => `  ${line}`));
  }
  return lines;
}

async function create({ admin }: Session, names: readonly string[], options: Options): Promise<string[]> {
  const configs = Object.fromEntries(
    options.setting.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new UsageError(`--setting ${pair}: it should be NAME=VALUE`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
  const numPartitions = options.partitions === undefined ? undefined : wholeNumber('partitions', options.partitions, 1);
  const replicationFactor = options['replication-factor'] === undefined ? undefined : wholeNumber('replication-factor', options['replication-factor'], 1, 32_767);
  const counts = { ...(numPartitions === undefined ? {} : { numPartitions }), ...(replicationFactor === undefined ? {} : { replicationFactor }) };
  const existed = await admin.createTopics(names.map((name) => ({ name, configs, ...counts })), { ifNotExists: options['if-not-exists'] });
  return names.map((name) => (existed.has(name) ? `${name} is there already` : `created ${name}`));
}

async function alter({ admin }: Session, names: readonly string[], options: Options): Promise<string[]> {
  if (options.partitions === undefined) throw new UsageError('topics alter needs --partitions N');
  const count = wholeNumber('partitions', options.partitions, 1);
  for (const name of names) await admin.createPartitions(name, count);
  return names.map((name) => `${name} has ${count} partitions`);
}

async function remove({ admin }: Session, names: readonly string[], options: Options): Promise<string[]> {
  const missing = await admin.deleteTopics(names, { ifExists: options['if-exists'] });
  return names.map((name) => (missing.has(name) ? `there is no topic ${name}` : `deleted ${name}`));
}

function replicasOf(topic: TopicMetadata): number {
  return topic.partitions[0]?.replicaNodes.length ?? 0;
}
