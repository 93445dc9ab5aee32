/**
 * The driver over librdkafka: librdkafka-driver.c, compiled against the library whose source the npm tarball of Confluent's client carries.
 * Promises: what is built stays in OTTLA_CACHE (~/.cache/ottla-suites) and is shared with the librdkafka suite. Needs npm, gcc, make and zlib's, OpenSSL's headers.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { command } from './command.ts';
import type { ConsumeLoad, Driver, FollowLoad, LoadResult, ProduceLoad, Target } from './driver.ts';

/** The same release as the librdkafka suite runs: it carries librdkafka 2.15.1. */
const NPM_PACKAGE = '@confluentinc/kafka-javascript@1.10.1';
const LIBRARY_VERSION = 'librdkafka 2.15.1';

export function cacheDir(): string {
  return process.env['OTTLA_CACHE'] ?? join(homedir(), '.cache/ottla-suites');
}

async function library(): Promise<string> {
  const inSuite = join(cacheDir(), 'librdkafka/package/deps/librdkafka/src');
  if (existsSync(join(inSuite, 'librdkafka.so.1'))) return inSuite;
  const own = join(cacheDir(), 'bench-librdkafka'),
    source = join(own, 'package/deps/librdkafka');
  if (!existsSync(join(own, 'done'))) {
    mkdirSync(own, { recursive: true });
    await command('npm', ['pack', '--silent', NPM_PACKAGE], { cwd: own });
    await command('tar', ['xzf', readdirSync(own).find((name) => name.endsWith('.tgz'))!, 'package/deps/librdkafka'], { cwd: own });
    await command('bash', ['./configure'], { cwd: source });
    await command('make', ['-j2', 'libs'], { cwd: source, timeoutMs: 900_000 });
    mkdirSync(join(own, 'done'));
  }
  return join(source, 'src');
}

/** Compiles the driver when that was not done before; resolves with the program. */
export async function driverProgram(): Promise<string> {
  const source = join(import.meta.dirname, 'librdkafka-driver.c');
  const lib = await library();
  const digest = createHash('sha256').update(readFileSync(source)).update(lib).digest('hex').slice(0, 12);
  const program = join(cacheDir(), `bench-driver-${digest}`);
  if (existsSync(program)) return program;
  // The library's header is installed as librdkafka/rdkafka.h, and the tarball has it as src/rdkafka.h.
  const include = join(cacheDir(), 'bench-include');
  mkdirSync(include, { recursive: true });
  if (!existsSync(join(include, 'librdkafka'))) symlinkSync(lib, join(include, 'librdkafka'));
  await command('gcc', ['-O2', '-Wall', `-I${include}`, source, '-o', `${program}.${process.pid}`, `-L${lib}`, '-lrdkafka', `-Wl,-rpath,${lib}`]);
  renameSync(`${program}.${process.pid}`, program);
  return program;
}

export class Librdkafka implements Driver {
  readonly name = 'librdkafka';
  #program = '';

  async prepare(): Promise<string> {
    this.#program = await driverProgram();
    return LIBRARY_VERSION;
  }

  produce(load: ProduceLoad): Promise<LoadResult> {
    // The queue is bounded so that latency is the broker's and not that of a million records waiting in the client. One-record requests are pipelined, as
    // librdkafka does by default.
    const properties = load.oneRecordRequests
      ? ['batch.num.messages=1', 'linger.ms=0', 'queue.buffering.max.messages=1000']
      : ['queue.buffering.max.messages=100000'];
    return this.#run([
      'produce',
      ...where(load),
      String(load.records),
      String(load.recordBytes),
      String(load.recordsPerSecond ?? 0),
      'acks=all',
      ...properties,
    ]);
  }

  consume(load: ConsumeLoad): Promise<LoadResult> {
    return this.#run(['consume', ...where(load), String(load.records), 'begin']);
  }

  async follow(load: FollowLoad): Promise<LoadResult> {
    let produced: Promise<LoadResult> | undefined;
    const consumed = await this.#run(['consume', ...where(load), String(load.records), 'end'], (line) => {
      if (line !== 'ready') return;
      produced = this.#run(['produce', ...where(load), String(load.records), String(load.recordBytes), String(load.recordsPerSecond), 'acks=all']);
      produced.catch(() => {}); // seen below; the consumer's own deadline comes first
    });
    await produced;
    return consumed;
  }

  async #run(args: string[], onLine?: (line: string) => void): Promise<LoadResult> {
    const { stdout } = await command(this.#program, args, onLine && { onLine });
    return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as LoadResult;
  }
}

function where(target: Target): string[] {
  return [target.bootstrapServers, target.topic, String(target.partitions)];
}
