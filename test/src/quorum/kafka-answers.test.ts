/**
 * What Apache Kafka 4.3.1's controller answered to requests of brokers and operators, and the records that it wrote for them, line by line in
 * test/vectors/controller: ours is asked the same and must answer and write the same.
 *
 *     { about }                            what follows is about
 *     { api, version, request, answer }    broker epochs count from the first registration; topics are named for their ids
 *     { record, version, value }           all that was written, in order
 *
 * Kafka goes through topics in the order of a hash, so the changes of one sweep are compared as a set, as are lists of topics and resources in answers.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import { innerAnswer } from '../../../src/api/inner.ts';
import { servedApis } from '../../../src/api/index.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import { readBatches } from '../../../src/quorum/batches.ts';
import { SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';
import { ZERO_UUID } from '../../../src/quorum/image.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { METADATA, QuorumWorld } from './world.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
interface Exchange {
  readonly api: string;
  readonly version: number;
  readonly request: Json;
  readonly answer: Json;
}

type Line =
  | { readonly about: string }
  | Exchange
  | { readonly record: string; readonly version: number; readonly value: Json };

const DIRECTORY = new URL('../../vectors/controller/', import.meta.url);
const NO_EPOCH = -1;

function linesOf(name: string): Line[] {
  return readFileSync(new URL(`${name}.jsonl`, DIRECTORY), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Line);
}

/** Between what stands in the lines and what this run of ours has for it. */
class Names {
  readonly #topicIds = new Map<string, string>();
  readonly #topics = new Map<string, string>();
  baseEpoch = 0;

  /** From answers to CreateTopics: those that were only validated have ids too. */
  learn(answer: Json): void {
    for (const { name, topicId } of (answer as { readonly topics?: readonly { readonly name: string; readonly topicId: string }[] }).topics ?? []) {
      if (topicId === ZERO_UUID) continue;
      this.#topicIds.set(name, topicId);
      this.#topics.set(topicId, name);
    }
  }

  toOurs(value: Json, key = ''): Json {
    if (key === 'features' && value === '4.3.1') return SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max }));
    if (typeof value === 'string' && value.startsWith('topic ')) return this.#topicIds.get(value.slice('topic '.length)) ?? value;
    if (isBrokerEpoch(key) && typeof value === 'number' && value !== NO_EPOCH) return value + this.baseEpoch;
    return mapped(value, (one, name) => this.toOurs(one, name));
  }

  fromOurs(value: Json, key = ''): Json {
    if (typeof value === 'string' && this.#topics.has(value)) return `topic ${this.#topics.get(value)}`;
    if (isBrokerEpoch(key) && typeof value === 'number' && value !== NO_EPOCH) return value - this.baseEpoch;
    if (key === 'features' && Array.isArray(value)) return sortedBy(value, 'name');
    return mapped(value, (one, name) => this.fromOurs(one, name));
  }
}

function isBrokerEpoch(key: string): boolean {
  return key === 'brokerEpoch' || key === 'previousBrokerEpoch';
}

function mapped(value: Json, map: (value: Json, key: string) => Json): Json {
  if (Array.isArray(value)) return value.map((one) => map(one, ''));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, map(one, key)]));
}

function sortedBy(list: readonly Json[], ...keys: string[]): Json[] {
  const keyOf = (one: Json): string => keys.map((key) => String((one as { [name: string]: Json })[key]).padStart(8)).join();
  return [...list].sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
}

const UNORDERED: { readonly [key: string]: readonly string[] } = {
  replicaElectionResults: ['topic'], partitionResult: ['partitionId'], topics: ['name', 'topicId'], responses: ['resourceType', 'resourceName', 'name'], partitions: ['partitionIndex'],
};

/** Answers without what hashes order, and without the settings of topics, which other tests compare. */
function comparable(value: Json, key = ''): Json {
  if (key === 'configs') return [];
  if (key === 'features' && value === '4.3.1') return sortedBy(SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })), 'name');
  const order = UNORDERED[key];
  if (order !== undefined && Array.isArray(value)) return sortedBy(value.map((one) => comparable(one)), ...order);
  return mapped(value, comparable);
}

interface Written {
  readonly record: string;
  readonly version: number;
  readonly value: Json;
}

/** Runs of changes of partitions and settings, each as a set. */
function sweeps(records: readonly Written[]): (Written | readonly string[])[] {
  const out: (Written | string[])[] = [];
  let run: string[] | undefined;
  let kind = '';
  for (const one of records) {
    if (one.record !== 'PartitionChangeRecord' && one.record !== 'ConfigRecord') {
      run = undefined;
      out.push(one);
      continue;
    }
    if (run === undefined || kind !== one.record) out.push((run = []));
    kind = one.record;
    run.push(JSON.stringify(one));
    run.sort();
  }
  return out;
}

let quorum: Quorum | undefined;

afterEach(async () => {
  await quorum?.close();
});

describe.each(['partitions', 'brokers', 'settings'])('%s', (name) => {
  it('are as in Apache Kafka 4.3.1', async () => {
    const world = new QuorumWorld({ settings: { 'broker.session.timeout.ms': 60_000 } });
    quorum = await world.open();
    const names = new Names();
    // An answer comes after all that was written before it: the bootstrap.
    await quorum.controller!.createTopics([]);
    names.baseEpoch = quorum.image().offset + 1;
    let about = '';
    let asked = 0;
    const lines = linesOf(name);
    for (const line of lines) {
      if ('about' in line) about = line.about;
      if (!('api' in line)) continue;
      const answer = await ask(world, quorum, line, names);
      if (line.api === 'CreateTopics') names.learn(answer);
      expect(comparable(names.fromOurs(answer)), `${about}, request ${++asked}: ${line.api} ${JSON.stringify(line.request)}`).toEqual(comparable(line.answer));
    }
    const expected = lines.flatMap((line) => ('record' in line ? [line] : []));
    const written = [...readBatches(world.disk.readFile(`${METADATA}/00000000000000000000.log`))]
      .filter(({ baseOffset }) => baseOffset >= names.baseEpoch)
      .flatMap(({ records }) => records)
      .map(({ name: record, version, value }): Written => ({ record, version, value: comparable(names.fromOurs(JSON.parse(JSON.stringify(value)) as Json)) }));
    const wanted = expected.map((one): Written => ({ ...one, value: comparable(one.value) }));
    expect(sweeps(written)).toEqual(sweeps(wanted));
  });
});

async function ask(world: QuorumWorld, { controller }: Quorum, line: Exchange, names: Names): Promise<Json> {
  const served = servedApis.find(({ api, listeners }) => api.name === line.api && listeners !== 'broker')!;
  const { request, response } = served.api;
  const asked = decodeBuffer(request, line.version, encodeBuffer(request, line.version, names.toOurs(line.request) as never));
  const context = {
    apiVersion: line.version, clientId: null, correlationId: 0, receivedMs: 0, connection: { listenerKind: 'controller' },
    node: { controller, image: () => quorum!.image(), settings: world.settings, nodeId: 1 }, returnFrame: undefined, whenSent: () => {},
  } as unknown as RequestContext;
  const answer = await innerAnswer(served, asked, context);
  return JSON.parse(JSON.stringify(decodeBuffer(response, line.version, encodeBuffer(response, line.version, answer as never)))) as Json;
}
