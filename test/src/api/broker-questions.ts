/**
 * Questions to a broker alone, about every API that it serves, in every version, with ordinary input and odd: the same ones are put to Apache Kafka and to us.
 *
 * Promises: an answer is told whole, field by field, with what no two brokers share put under a name: topic, producer and member ids, addresses, sessions, times of the
 * broker's clock. Lists whose order a hash decides are sorted. A closed connection is an answer too. Does not ask what a broker alone cannot show: `test/src/replica`
 * asks a cluster, `test/src/quorum` a controller.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { requestHeaderVersion } from '../../../protocol/frame.ts';
import { encode } from '../../../protocol/compile.ts';
import { RequestHeader } from '../../../protocol/headers.ts';
import type { AnyApi, AnyField, Fields } from '../../../protocol/schema.ts';
import { inRange, versionRange } from '../../../protocol/schema.ts';
import { Writer } from '../../../protocol/writer.ts';
import { servedApis } from '../../../src/api/index.ts';
import type { Served } from '../../../src/api/serve.ts';
import { apiNamed, RawClient } from '../broker-world.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export interface Answer { readonly [name: string]: any }

const PATIENCE_MS = 10_000;
const NO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
/** What a broker has no other by the same name for. */
const HIDDEN: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['host', 'HOST'], ['port', 0], ['clusterId', 'CLUSTER'], ['finalizedFeaturesEpoch', 0], ['clientHost', '/HOST'],
  ['logEndOffset', 0], ['lastFetchTimestamp', 0], ['lastCaughtUpTimestamp', 0], ['replicaDirectoryId', 'DIRECTORY'],
]);

export class Questioner {
  readonly #port: number;
  #client: RawClient;
  readonly #lines: string[] = [];
  readonly #topicIds = new Map<string, string>();
  readonly #members = new Map<string, string>();
  readonly #producers = new Map<number, string>();

  static async connect(port: number): Promise<Questioner> {
    return new Questioner(port, await RawClient.connect(port));
  }

  private constructor(port: number, client: RawClient) {
    this.#port = port;
    this.#client = client;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  close(): void {
    this.#client.close();
  }

  idOf(topic: string): string {
    return this.#topicIds.get(topic) ?? NO_ID;
  }

  /** Asks and tells. Fields that the version lacks are left out of the input. */
  async ask(about: string, name: string, version: number, input: Answer): Promise<Answer> {
    const answer = await this.answerTo(name, version, input);
    this.shown(`${name} v${version} ${about}`, answer, name);
    return typeof answer === 'string' ? {} : answer;
  }

  /** Tells an answer that was had by `answerTo`. */
  shown(question: string, answer: Answer | string, api: string): void {
    this.tell(question, typeof answer === 'string' ? answer : this.#shown(answer, '', api));
  }

  /** Asks without telling, on the questions' own connection. */
  async answerTo(name: string, version: number, input: Answer): Promise<Answer | string> {
    const api = apiNamed(name);
    let fitting;
    try {
      fitting = fit(api.request.fields, version, input);
    } catch (error) {
      return `cannot be asked: ${(error as Error).message}`;
    }
    return this.#within(() => this.#client.ask(api as never, version, fitting as never));
  }

  /** Bytes as they are, which need not be a request. */
  async askBytes(about: string, bytes: Buffer): Promise<void> {
    const size = Buffer.alloc(4);
    size.writeInt32BE(bytes.length);
    const answer = await this.#within(async () => ({ bytes: (await this.#client.send([size, bytes])).toString('hex') }));
    this.tell(about, typeof answer === 'string' ? answer : 'an answer');
  }

  tell(question: string, answer: Json): void {
    this.#lines.push(`${question}: ${typeof answer === 'string' ? answer : JSON.stringify(answer)}`);
  }

  async #within(ask: () => Promise<Answer>): Promise<Answer | string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => (timer = setTimeout(() => resolve('NOTHING'), PATIENCE_MS)));
    try {
      const answer = await Promise.race([ask(), late]);
      if (answer === 'NOTHING') await this.#reconnect();
      return answer;
    } catch (error) {
      if (!/closed/.test((error as Error).message)) return `UNREADABLE ${(error as Error).message}`;
      await this.#reconnect();
      return 'CLOSED';
    } finally {
      clearTimeout(timer);
    }
  }

  async #reconnect(): Promise<void> {
    this.#client.close();
    this.#client = await RawClient.connect(this.#port);
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 6 * PATIENCE_MS;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await sleep(20);
    }
  }

  /** Learns the ids of all topics. */
  async learnTopics(): Promise<void> {
    const { topics } = (await this.answerTo('Metadata', 12, { topics: null, allowAutoTopicCreation: false })) as Answer;
    for (const { name, topicId } of topics) this.#topicIds.set(name, topicId);
  }

  #shown(value: any, key: string, api: string): Json {
    if (value === null || value === undefined) return null;
    if (key === 'finalizedFeatures') value = value.filter((one: Answer) => one['name'] !== 'kraft.version');
    if (key === 'configs') return value.map((one: Answer) => `${one['name']}=${one['value']}${one['configSource'] === undefined ? '' : ` from ${one['configSource']}`}${one['readOnly'] ? ' fixed' : ''}${one['isSensitive'] ? ' secret' : ''}${one['configErrorCode'] === undefined ? '' : ` error ${one['configErrorCode']}`} ${one['configType'] ?? ''} ${JSON.stringify(one['synonyms'] ?? [])}`).sort();
    if (HIDDEN.has(key)) return (key === 'host' && value === '') || (key === 'port' && value < 1) || (api === 'OffsetForLeaderEpoch') ? value : HIDDEN.get(key)!;
    if (Buffer.isBuffer(value)) return value.length === 0 ? '' : `${value.length} bytes ${value.toString('base64')}`;
    if (typeof value === 'bigint') return `${value}`;
    if (typeof value === 'string') return this.#named(value, key, api);
    if (typeof value === 'number') return this.#numbered(value, key);
    if (typeof value !== 'object') return value;
    if (Array.isArray(value)) {
      const shown = value.map((one) => this.#shown(one, '', api));
      return shown.every((one) => typeof one === 'object') ? sorted(shown) : shown;
    }
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, this.#shown(one, name, api)]));
  }

  #named(value: string, key: string, api: string): Json {
    if (key === 'topicId') {
      // Kafka tells of a topic before its metadata do.
      if (api === 'CreateTopics') return value === NO_ID ? value : 'SOME ID';
      for (const [name, id] of this.#topicIds) if (id === value && id !== NO_ID) return `ID OF ${name}`;
      return value === NO_ID || value.startsWith('nobody') ? value : 'SOME ID';
    }
    if (key === 'errorMessage') value = value.replace(/cluster id ".*?"/, 'cluster id "CLUSTER"');
    return value.replace(/within \[-?\d+, \d+\]/, 'within [FROM, TO]').replace(/[\w.-]*-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (member) => {
      if (!this.#members.has(member)) this.#members.set(member, `MEMBER ${this.#members.size + 1}`);
      return this.#members.get(member)!;
    });
  }

  #numbered(value: number, key: string): Json {
    if (key === 'sessionId') return value === 0 ? 0 : 'SESSION';
    if (key === 'producerId' && value >= 0) {
      if (!this.#producers.has(value)) this.#producers.set(value, `PRODUCER ${this.#producers.size + 1}`);
      return this.#producers.get(value)!;
    }
    if (key === 'logAppendTimeMs' && value > 0) return 'NOW';
    if (key === 'timestamp' && value > 1_750_000_000_000) return 'NOW';
    return Object.is(value, -0) ? 0 : value;
  }
}

/** The versions that Kafka 4.3.1 serves of an API: all that it knows of those here. */
export function versionsOf(name: string): number[] {
  const served = servedApis.find((one: Served) => one.api.name === name && one.listeners !== 'controller')!;
  return Array.from({ length: served.versionMax - served.versionMin + 1 }, (_, index) => served.versionMin + index);
}

function sorted(list: Json[]): Json[] {
  return list.map((one) => [JSON.stringify(one), one] as const).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)).map(([, one]) => one);
}

/** Of `value`, what this version has. Throws for a null that it cannot carry. */
export function fit(fields: Fields, version: number, value: Answer): Answer {
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (!inRange(versionRange(field.versions), version)) continue;
    if (value[name] === undefined) {
      if (field.defaultValue === undefined) out[name] = zero(field, version);
      continue;
    }
    out[name] = fitField(field, version, value[name], name);
  }
  return out;
}

function fitField(field: AnyField, version: number, value: any, name: string): unknown {
  if (value === null) {
    if (field.nullableVersions === undefined || !inRange(versionRange(field.nullableVersions), version)) throw new Error(`${name} cannot be null`);
    return null;
  }
  if (field.kind === 'array') return value.map((one: any) => fitField(field.element!, version, one, name));
  if (field.kind === 'struct') return fit(field.fields!, version, value);
  if (field.kind === 'int64Exact') return BigInt(value);
  return value;
}

function zero(field: AnyField, version: number): unknown {
  switch (field.kind) {
    case 'bool': return false;
    case 'string': return '';
    case 'bytes': case 'records': return Buffer.alloc(0);
    case 'uuid': return NO_ID;
    case 'array': return [];
    case 'int64Exact': return 0n;
    case 'struct': return fit(field.fields!, version, {});
    default: return 0;
  }
}

/** A request's header and body, without its size. */
export function requestBytes(api: AnyApi, version: number, input: Answer): Buffer {
  const writer = new Writer();
  encode(RequestHeader, requestHeaderVersion(api, version), { requestApiKey: api.key, requestApiVersion: version, correlationId: 77, clientId: 'test' } as never, writer);
  encode(api.request, version, fit(api.request.fields, version, input) as never, writer);
  return writer.finishCopy();
}
