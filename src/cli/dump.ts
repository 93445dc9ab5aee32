/**
 * `ottla dump`: what is in the files of a data directory, Apache Kafka's or ours: segments with their records, indexes, snapshots and checkpoints.
 * Reads only, takes no lock, and says where a file is damaged (exit code 1). Does not repair.
 */
import type { Disk } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import { parseDirectoryName } from '../../storage/directory-name.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { dumpLog } from './dump-log.ts';
import { dumpSmallFile } from './dump-files.ts';
import { Output, Progress, table } from './output.ts';

const declaration = {
  name: 'dump',
  summary: 'Prints what is in files of a data directory. A directory of a partition is all its files, a data directory the list of its partitions.',
  words: 'FILE|DIR...',
  options: {
    'records': { short: 'r', help: 'segments: the records too, decoded where the topic is an internal one' },
    'from': { value: 'OFFSET', help: 'segments: from this offset on' },
    'max': { short: 'n', value: 'N', help: 'segments: so many batches at most' },
    'json': { help: 'one JSON object a line' },
    'help': { short: 'h', help: 'tell the options' },
  },
  examples: ['ottla dump --records ottla-data/orders-0/00000000000000000000.log', 'ottla dump --json ottla-data/__cluster_metadata-0'],
} as const satisfies CommandDeclaration<any>;

export interface DumpOptions {
  readonly records: boolean;
  readonly from: number;
  readonly max: number;
}

/** What a dumper gives: a line as an object, in the order in which its fields are told. */
export type DumpLine = Readonly<Record<string, unknown>>;

export interface Dump {
  /** How the line begins: the kind of thing that it tells. */
  readonly kind: string;
  readonly fields: DumpLine;
  /** It tells of damage. */
  readonly isDamage?: boolean;
}

export const dump: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    if (words.length === 0) throw new UsageError('dump needs a file or directory: ottla dump FILE|DIR...');
    const { disk, clock } = nodeRuntime();
    const dumpOptions: DumpOptions = {
      records: options.records,
      from: options.from === undefined ? 0 : wholeNumber('from', options.from, 0),
      max: options.max === undefined ? Infinity : wholeNumber('max', options.max, 0),
    };
    const output = new Output();
    const progress = new Progress(clock);
    let damages = 0;
    for (const path of words) {
      for (const file of filesOf(disk, path, output)) {
        const isOne = words.length === 1 && file === path;
        if (!isOne && !options.json) output.line(`${file}:`);
        for (const one of dumpFile(disk, file, dumpOptions)) {
          if (one.isDamage === true) damages++;
          output.line(options.json ? JSON.stringify({ file, kind: one.kind, ...one.fields }, jsonValue) : asText(one));
          if (output.isFull) await output.flush();
          progress.say(() => `dumping ${file}`);
        }
      }
    }
    progress.end();
    await output.flush();
    return damages === 0 ? 0 : 1;
  },
};

function dumpFile(disk: Disk, path: string, options: DumpOptions): Iterable<Dump> {
  return /\.(log|checkpoint)$/.test(path) ? dumpLog(disk, path, options) : dumpSmallFile(disk, path);
}

/** The path itself, the files of a partition's directory, or, of a data directory, its own files after the list of its partitions. */
function filesOf(disk: Disk, path: string, output: Output): string[] {
  const status = disk.status(path);
  if (status === undefined) throw new UsageError(`there is no ${path}`);
  if (!status.isDirectory) return [path];
  const names = disk.list(path);
  const directories = names.filter((name) => disk.status(joinPath(path, name))?.isDirectory === true);
  if (directories.length > 0) {
    const rows = directories.map((name) => {
      const segments = disk.list(joinPath(path, name)).filter((one) => one.endsWith('.log'));
      const bytes = segments.reduce((sum, one) => sum + (disk.status(joinPath(joinPath(path, name), one))?.sizeBytes ?? 0), 0);
      const state = parseDirectoryName(name)?.state;
      return [name, String(segments.length), String(bytes), state ?? ''];
    });
    for (const line of table([['DIRECTORY', 'SEGMENTS', 'BYTES', ''], ...rows])) output.line(line);
  }
  return names.filter((name) => !directories.includes(name) && !name.startsWith('.')).map((name) => joinPath(path, name));
}

function asText({ kind, fields }: Dump): string {
  const told = Object.entries(fields).map(([name, value]) => `${name}: ${typeof value === 'object' && value !== null ? JSON.stringify(value, jsonValue) : String(value)}`);
  return `${kind} ${told.join(' ')}`.trimEnd();
}

/** Bytes as text where they are UTF-8, whole numbers beyond 2^53 as text. */
function jsonValue(this: unknown, name: string, value: unknown): unknown {
  const raw = (this as Readonly<Record<string, unknown>>)[name];
  if (typeof raw === 'bigint') return Number.isSafeInteger(Number(raw)) ? Number(raw) : raw.toString();
  if (!Buffer.isBuffer(raw)) return value;
  const text = raw.toString();
  return Buffer.from(text).equals(raw) ? text : { base64: raw.toString('base64') };
}
