/** `ottla consume`: prints the records of topics, from a place in them or from where a group is. */
import type { Record } from '../../protocol/record/records.ts';
import { OffsetTime } from '../client/admin.ts';
import type { TopicPartition } from '../client/admin.ts';
import { GroupMember } from '../client/group-member.ts';
import { RecordReader } from '../client/reader.ts';
import type { ReadRecord } from '../client/reader.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError } from './failures.ts';
import { Output, Progress } from './output.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';
import { isoTime, parseTime } from './time.ts';

const declaration = {
  name: 'consume',
  summary: 'Prints records until Ctrl-C, or until --max, --end or --idle-ms.',
  words: 'TOPIC...',
  options: {
    ...connectionOptions,
    'from': { value: 'PLACE', help: 'earliest, latest, an offset, -N for the last N of each partition, or @TIME', fallback: 'earliest' },
    'partition': { short: 'p', value: 'N', help: 'only this partition', many: true },
    'group': { short: 'g', value: 'GROUP', help: 'as a member of a group: read on from its offsets, and commit' },
    'max': { short: 'n', value: 'N', help: 'stop after so many records' },
    'end': { short: 'e', help: 'stop where the partitions ended when it began' },
    'idle-ms': { value: 'MS', help: 'stop when nothing has come for so long' },
    'format': { value: 'FORMAT', help: 'value, json, or a text with %t topic %p partition %o offset %T time %k key %v value %h headers' },
    'read-committed': { help: 'leave out what was aborted or may yet be' },
  },
  examples: ['ottla consume orders --end --format json', "ottla consume orders --from @2026-01-01T00:00:00Z --format '%p:%o %k = %v\\n'", 'ottla consume orders --group billing'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

const POLL_MS = 250;
const COMMIT_INTERVAL_MS = 5000;

export const consume: Command = {
  async run(argv) {
    const { options, words: topics } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    if (topics.length === 0) throw new UsageError('consume needs a topic: ottla consume TOPIC...');
    if (options.group !== undefined && (options.partition.length > 0 || options.end)) throw new UsageError('--group goes with neither --partition nor --end: the group decides');
    const from = options.from ?? 'earliest';
    if (options.group !== undefined && from !== 'earliest' && from !== 'latest') throw new UsageError('with --group, --from is earliest or latest, for partitions that the group has not read');
    const limits = {
      max: options.max === undefined ? Infinity : wholeNumber('max', options.max, 0),
      idleMs: options['idle-ms'] === undefined ? Infinity : wholeNumber('idle-ms', options['idle-ms'], 1),
    };
    const format = formatter(options.format ?? 'value');
    return withClient(options, async (session) => {
      const source = options.group === undefined ? await direct(session, topics, from, options) : await asMember(session, topics, from as 'earliest' | 'latest', options);
      return print(session, source, format, limits);
    });
  },
};

interface Source {
  poll(waitMs: number): Promise<readonly ReadRecord[]>;
  /** Nothing more is wanted. */
  isAtEnd(): boolean;
  printed(one: ReadRecord): void;
  /** After each poll, when its records have been printed. */
  done(): Promise<void>;
  close(): Promise<void>;
}

async function print(session: Session, source: Source, format: (found: ReadRecord) => string, limits: { max: number; idleMs: number }): Promise<number> {
  const { clock } = session.client.runtime;
  const output = new Output();
  const progress = new Progress(clock);
  let printed = 0;
  let lastMs = clock.monotonicMs();
  try {
    while (!session.isStopping && printed < limits.max && !source.isAtEnd()) {
      const found = await source.poll(Math.min(POLL_MS, limits.idleMs));
      for (const one of found.slice(0, limits.max - printed)) {
        output.write(format(one));
        printed++;
        source.printed(one);
        if (output.isFull) await output.flush();
      }
      await output.flush();
      await source.done();
      if (found.length > 0) lastMs = clock.monotonicMs();
      else if (clock.monotonicMs() - lastMs >= limits.idleMs) break;
      if (process.stdout.isTTY !== true) progress.say(() => `${printed} records`);
    }
  } finally {
    progress.end();
    await source.close();
  }
  return 0;
}

/** Reads partitions by itself, without a group. */
async function direct(session: Session, topics: readonly string[], from: string, options: Options): Promise<Source> {
  const { client, admin } = session;
  const partitions = await chosenPartitions(session, topics, options.partition.map((text) => wholeNumber('partition', text, 0)));
  const ends = options.end || /^-[0-9]+$/.test(from) ? await admin.offsets(partitions, OffsetTime.LATEST) : undefined;
  const starts = await startingPoints(session, partitions, from, ends);
  const reader = new RecordReader(client, admin, { readCommitted: options['read-committed'], ...(isNamed(from) ? { onOutOfRange: from } : {}) });
  await reader.assign(starts);
  const isPastEnd = ({ topic, partition, record }: ReadRecord) =>
    options.end && [...ends!].some(([one, end]) => one.topic === topic && one.partition === partition && record.offset >= end);
  return {
    poll: async (waitMs) => (await reader.poll(waitMs)).filter((one) => !isPastEnd(one)),
    isAtEnd: () => options.end && [...reader.positions].every(([one, position]) => position >= [...ends!].find(([other]) => other.topic === one.topic && other.partition === one.partition)![1]),
    printed: () => undefined,
    done: async () => undefined,
    close: async () => undefined,
  };
}

async function asMember({ client, admin }: Session, topics: readonly string[], from: 'earliest' | 'latest', options: Options): Promise<Source> {
  for (const name of topics) await client.topic(name);
  const reader = new RecordReader(client, admin, { readCommitted: options['read-committed'], onOutOfRange: from });
  const member = new GroupMember(client, admin, reader, { groupId: options.group!, topics, from });
  const { clock } = client.runtime;
  let committedMs = clock.monotonicMs();
  return {
    poll: (waitMs) => member.poll(waitMs),
    isAtEnd: () => false,
    printed: (one) => member.processed(one),
    done: async () => {
      if (clock.monotonicMs() - committedMs < COMMIT_INTERVAL_MS) return;
      committedMs = clock.monotonicMs();
      await member.commit();
    },
    close: () => member.leave(),
  };
}

async function chosenPartitions({ client }: Session, topics: readonly string[], only: readonly number[]): Promise<TopicPartition[]> {
  const chosen: TopicPartition[] = [];
  for (const name of topics) {
    const { partitions } = await client.topic(name);
    for (const wanted of only) {
      if (!partitions.some(({ partitionIndex }) => partitionIndex === wanted)) throw new CommandError(`topic ${name} has no partition ${wanted}, it has ${partitions.length}`);
    }
    for (const { partitionIndex } of partitions) if (only.length === 0 || only.includes(partitionIndex)) chosen.push({ topic: name, partition: partitionIndex });
  }
  return chosen;
}

async function startingPoints({ admin }: Session, partitions: readonly TopicPartition[], from: string, ends: ReadonlyMap<TopicPartition, number> | undefined): Promise<Map<TopicPartition, number>> {
  if (from === 'earliest') return admin.offsets(partitions, OffsetTime.EARLIEST);
  if (from === 'latest') return admin.offsets(partitions, OffsetTime.LATEST);
  if (from.startsWith('@')) {
    const time = parseTime(from.slice(1));
    if (time === undefined) throw new UsageError(`--from ${from}: it should be @ and an ISO time, or @ and milliseconds`);
    const found = await admin.offsets(partitions, time);
    const latest = await admin.offsets(partitions, OffsetTime.LATEST);
    return new Map([...found].map(([one, offset]) => [one, offset >= 0 ? offset : latest.get(one)!]));
  }
  if (!/^-?[0-9]+$/.test(from)) throw new UsageError(`--from ${from}: it should be earliest, latest, an offset, -N or @TIME`);
  const number = Number(from);
  if (!from.startsWith('-')) return new Map(partitions.map((one) => [one, number]));
  const starts = await admin.offsets(partitions, OffsetTime.EARLIEST);
  return new Map(partitions.map((one) => [one, Math.max(starts.get(one)!, ends!.get(one)! + number)]));
}

function isNamed(from: string): from is 'earliest' | 'latest' {
  return from === 'earliest' || from === 'latest';
}

function formatter(format: string): (found: ReadRecord) => string {
  switch (format) {
    case 'value':
      return ({ record }) => `${record.value === null ? '' : record.value.toString()}\n`;
    case 'json':
      return (found) => `${JSON.stringify(asJson(found))}\n`;
    default:
      return template(format);
  }
}

/** The fields of a record as people read them; bytes that are no UTF-8 come as `{"base64":".."}`, which `produce --json` takes back. */
function asJson({ topic, partition, record }: ReadRecord): object {
  const headers = record.headers.map(({ key, value }) => [key, shown(value)]);
  return {
    topic,
    partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: shown(record.key),
    value: shown(record.value),
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) as object }),
  };
}

export function shown(bytes: Buffer | null): string | { base64: string } | null {
  if (bytes === null) return null;
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : { base64: bytes.toString('base64') };
}

function template(format: string): (found: ReadRecord) => string {
  const escapes: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r', 0: '\0', '\\': '\\' };
  const plain = format.replace(/\\([ntr0\\])/g, (_, letter: string) => escapes[letter]!);
  const line = plain.endsWith('\n') || format.includes('\\n') ? plain : `${plain}\n`;
  return ({ topic, partition, record }) => line.replace(/%([tpoTkvh%])/g, (_, letter: string) => field(letter, topic, partition, record));
}

function field(letter: string, topic: string, partition: number, record: Record): string {
  switch (letter) {
    case 't':
      return topic;
    case 'p':
      return String(partition);
    case 'o':
      return String(record.offset);
    case 'T':
      return record.timestamp < 0 ? '-' : isoTime(record.timestamp);
    case 'k':
      return record.key?.toString() ?? '';
    case 'v':
      return record.value?.toString() ?? '';
    case 'h':
      return record.headers.map(({ key, value }) => `${key}=${value?.toString() ?? ''}`).join(',');
    default:
      return '%';
  }
}
