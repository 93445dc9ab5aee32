/** `ottla produce`: writes records from arguments, a file or standard input, one a line or one JSON object a line. */
import type { Readable } from 'node:stream';
import { CompressionType } from '../../protocol/record/batch.ts';
import type { HeaderInput, RecordInput } from '../../protocol/record/build.ts';
import { compressionNames } from '../../protocol/record/compression.ts';
import { TopicProducer } from '../client/producer.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { nearest } from '../settings/nearest.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError } from './failures.ts';
import { Progress } from './output.ts';
import { connectionOptions, withClient } from './session.ts';
import type { Session } from './session.ts';

const declaration = {
  name: 'produce',
  summary: 'Writes records: from the arguments, else from --file, else from standard input, one a line.',
  words: 'TOPIC [VALUE...]',
  options: {
    ...connectionOptions,
    'file': { short: 'f', value: 'FILE', help: 'read lines from a file' },
    'key': { short: 'k', value: 'KEY', help: 'the key of all records' },
    'key-separator': { short: 'K', value: 'TEXT', help: 'a line is KEY TEXT VALUE' },
    'header': { short: 'H', value: 'NAME=VALUE', help: 'a header of all records', many: true },
    'partition': { short: 'p', value: 'N', help: 'write to this partition', fallback: 'by the key, else in turn' },
    'compression': { short: 'z', value: 'CODEC', help: compressionNames.join(', '), fallback: 'none' },
    'acks': { value: 'all|1|0', help: 'what counts as written', fallback: 'all' },
    'json': { help: 'a line is {"key":..,"value":..,"headers":{..},"partition":..,"timestamp":..}' },
    'tombstone': { help: 'write a record without a value (with --key)' },
    'quiet': { short: 'q', help: 'do not say how many were written' },
  },
  examples: ['ottla produce orders hello world', 'ottla produce orders --key-separator : --file orders.txt --compression zstd'],
} as const satisfies CommandDeclaration<any>;

interface Outgoing {
  readonly record: RecordInput;
  readonly partition: number | undefined;
}

export const produce: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [topic, ...values] = words;
    if (topic === undefined) throw new UsageError('produce needs a topic: ottla produce TOPIC [VALUE...]');
    if (values.length > 0 && options.file !== undefined) throw new UsageError('values and --file cannot be given together');
    const compression = codec(options.compression);
    const acks = acksOf(options.acks);
    const fixedPartition = options.partition === undefined ? undefined : wholeNumber('partition', options.partition, 0);
    const headers = options.header.map(parseHeader);
    const key = options.key === undefined ? null : Buffer.from(options.key);
    const clock = nodeRuntime().clock;

    const outgoing = (line: string): Outgoing => {
      if (options.json) return fromJson(line, { fixedPartition, headers, nowMs: clock.wallMs() });
      const separator = options['key-separator'];
      const at = separator === undefined ? -1 : line.indexOf(separator);
      if (separator !== undefined && at < 0) throw new CommandError(`no key separator '${separator}' in the line '${shorten(line)}'`);
      const own = separator === undefined ? { key, value: Buffer.from(line) } : { key: Buffer.from(line.slice(0, at)), value: Buffer.from(line.slice(at + separator.length)) };
      return { record: { ...own, headers, timestamp: clock.wallMs() }, partition: fixedPartition };
    };

    return withClient(options, async (session) => {
      const producer = await TopicProducer.open(session.client, { topic, compression, acks });
      if (fixedPartition !== undefined && fixedPartition >= producer.partitionCount) throw new CommandError(`topic ${topic} has no partition ${fixedPartition}, it has ${producer.partitionCount}`);
      const progress = new Progress(clock);
      const send = async ({ record, partition }: Outgoing): Promise<void> => {
        if (partition !== undefined && partition >= producer.partitionCount) throw new CommandError(`topic ${topic} has no partition ${partition}, it has ${producer.partitionCount}`);
        await producer.send(record, partition);
        progress.say(() => `${producer.acknowledged} records written`);
      };
      try {
        if (options.tombstone) await send({ record: { key, value: null, headers, timestamp: clock.wallMs() }, partition: fixedPartition });
        else if (values.length > 0) for (const value of values) await send(outgoing(value));
        else await sendLines(session, options.file, (line) => send(outgoing(line)), () => producer.flush());
        await producer.flush();
      } finally {
        progress.end();
      }
      if (!options.quiet) console.error(`${producer.acknowledged} record${producer.acknowledged === 1 ? '' : 's'} written to ${topic}`);
      return 0;
    });
  },
};

/** Each line of the input; between two chunks of it, what there is goes out, so that a slow pipe or a person sees every line written at once. */
async function sendLines(session: Session, file: string | undefined, send: (line: string) => Promise<void>, flush: () => Promise<void>): Promise<void> {
  const input: AsyncIterable<Buffer> = file === undefined ? untilStopped(process.stdin, session) : fileChunks(file);
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const piece = chunk.subarray(from, end);
      await send(text(rest.length === 0 ? piece : Buffer.concat([rest, piece])));
      rest = EMPTY;
      from = end + 1;
    }
    rest = rest.length === 0 ? Buffer.from(chunk.subarray(from)) : Buffer.concat([rest, chunk.subarray(from)]);
    if (file === undefined) await flush();
  }
  if (rest.length > 0) await send(text(rest));
}

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);
const FILE_CHUNK_BYTES = 1024 * 1024;

function text(line: Buffer): string {
  const end = line.at(-1) === 0x0d ? line.length - 1 : line.length;
  return line.toString('utf8', 0, end);
}

async function* fileChunks(path: string): AsyncGenerator<Buffer> {
  const file = nodeRuntime().disk.open(path, 'read');
  try {
    for (let position = 0; ; ) {
      const chunk = Buffer.allocUnsafe(FILE_CHUNK_BYTES);
      const bytes = await file.read(chunk, position);
      if (bytes === 0) return;
      position += bytes;
      yield chunk.subarray(0, bytes);
    }
  } finally {
    file.close();
  }
}

/** Standard input up to its end or to Ctrl-C, whichever is first. */
async function* untilStopped(input: Readable, session: Session): AsyncGenerator<Buffer> {
  void session.stopping.then(() => input.destroy());
  try {
    for await (const chunk of input) yield chunk as Buffer;
  } catch (error) {
    if (!session.isStopping) throw error;
  }
}

function codec(name: string | undefined): CompressionType {
  const at = compressionNames.indexOf((name ?? 'none') as (typeof compressionNames)[number]);
  if (at >= 0) return at as CompressionType;
  const meant = nearest(name!, compressionNames);
  throw new UsageError(`--compression ${name}: it should be one of ${compressionNames.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
}

function acksOf(text: string | undefined): -1 | 0 | 1 {
  switch (text) {
    case undefined:
    case 'all':
    case '-1':
      return -1;
    case '1':
      return 1;
    case '0':
      return 0;
    default:
      throw new UsageError(`--acks ${text}: it should be all, 1 or 0`);
  }
}

function parseHeader(pair: string): HeaderInput {
  const equals = pair.indexOf('=');
  if (equals < 0) throw new UsageError(`--header ${pair}: it should be NAME=VALUE`);
  return { key: pair.slice(0, equals), value: Buffer.from(pair.slice(equals + 1)) };
}

function fromJson(line: string, fallback: { fixedPartition: number | undefined; headers: readonly HeaderInput[]; nowMs: number }): Outgoing {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new CommandError(`this line is no JSON: ${shorten(line)}`);
  }
  if (typeof parsed !== 'object' || parsed === null) throw new CommandError(`this line is no JSON object: ${shorten(line)}`);
  const { key, value, headers, partition, timestamp } = parsed as { [name: string]: unknown };
  const own = Object.entries((headers as object | undefined) ?? {}).map(([name, content]) => ({ key: name, value: bytesOf(content) }));
  return {
    record: { key: bytesOf(key), value: bytesOf(value), headers: [...fallback.headers, ...own], timestamp: typeof timestamp === 'number' ? timestamp : fallback.nowMs },
    partition: typeof partition === 'number' ? partition : fallback.fixedPartition,
  };
}

/** Text as it is, `{"base64":".."}` as those bytes, anything else as its JSON. */
function bytesOf(value: unknown): Buffer | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return Buffer.from(value);
  const encoded = (value as { base64?: unknown }).base64;
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : Buffer.from(JSON.stringify(value));
}

function shorten(line: string): string {
  return line.length > 80 ? `${line.slice(0, 80)}...` : line;
}
