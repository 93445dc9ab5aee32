/** `ottla elect`: gives partitions back to their preferred leader, or, where none of the replicas in sync is left, to one that may have lost records. Does not choose the replica: the controller does. */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import type { TopicPartition } from '../client/admin.ts';
import { ClusterAdmin } from '../client/cluster-admin.ts';
import { nearest } from '../settings/nearest.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError } from './failures.ts';
import { table } from './output.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';

const declaration = {
  name: 'elect',
  summary: 'Elects leaders of partitions.',
  words: '[preferred | unclean]',
  options: {
    ...connectionOptions,
    'topic': { short: 't', value: 'TOPIC', help: 'a topic', many: true },
    'partition': { short: 'p', value: 'N', help: 'a partition of the topic', many: true, fallback: 'all' },
    'all': { short: 'a', help: 'all partitions of all topics' },
    'json': { help: 'one JSON object a partition' },
  },
  examples: ['ottla elect preferred --all', 'ottla elect unclean --topic orders --partition 0'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

const KINDS = ['preferred', 'unclean'] as const;

export const elect: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [text = 'preferred', ...rest] = words;
    const kind = KINDS.find((one) => one === text);
    if (kind === undefined || rest.length > 0) {
      const meant = nearest(text, KINDS);
      throw new UsageError(rest.length > 0 ? `elect ${text} takes no words: ${rest.join(' ')}` : `unknown kind of election ${text}${meant === undefined ? '' : `; did you mean ${meant}?`} (${KINDS.join(', ')})`);
    }
    if (options.all === options.topic.length > 0) throw new UsageError('elect needs either --topic TOPIC or --all');
    if (options.partition.length > 0 && options.topic.length !== 1) throw new UsageError('--partition needs one --topic');
    return withClient(options, (session) => run(session, kind, options));
  },
};

async function run({ client }: Session, kind: (typeof KINDS)[number], options: Options): Promise<number> {
  const partitions = options.all ? null : await partitionsOf(client, options);
  const outcomes = await new ClusterAdmin(client).electLeaders(kind, partitions);
  const rows = outcomes
    .map((one) => ({ ...one, outcome: one.errorCode === ErrorCode.NONE ? 'elected' : one.errorCode === ErrorCode.ELECTION_NOT_NEEDED ? 'not needed' : errorName(one.errorCode) }))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
  if (options.json) for (const { topic, partition, outcome, errorMessage } of rows) console.log(JSON.stringify({ topic, partition, outcome, message: errorMessage }));
  else if (rows.length === 0) console.log('no partition needed an election');
  else {
    const shown = rows.map(({ topic, partition, outcome, errorCode, errorMessage }) => [topic, String(partition), outcome, errorCode === ErrorCode.NONE || errorCode === ErrorCode.ELECTION_NOT_NEEDED ? '' : (errorMessage ?? '')]);
    for (const line of table([['TOPIC', 'PARTITION', 'OUTCOME', ''], ...shown])) console.log(line);
  }
  return rows.every(({ errorCode }) => errorCode === ErrorCode.NONE || errorCode === ErrorCode.ELECTION_NOT_NEEDED) ? 0 : 1;
}

async function partitionsOf(client: Session['client'], options: Options): Promise<TopicPartition[]> {
  if (options.partition.length > 0) return options.partition.map((text) => ({ topic: options.topic[0]!, partition: wholeNumber('partition', text, 0, 0x7fffffff) }));
  const found: TopicPartition[] = [];
  for (const topic of options.topic) {
    const { partitions } = (await client.retrying(() => client.metadata([topic]))).topics[0]!;
    if (partitions.length === 0) throw new CommandError(`there is no topic ${topic}`);
    for (const { partitionIndex } of partitions) found.push({ topic, partition: partitionIndex });
  }
  return found;
}
