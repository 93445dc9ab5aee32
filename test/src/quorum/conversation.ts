/**
 * Comparing what our controller answers and writes with what Apache Kafka's did: JSON without what hashes order, records with the changes of one sweep as
 * a set. Topic ids and broker epochs are mapped by whoever compares.
 */
import type { AnyApi } from '../../../protocol/schema.ts';
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import { innerAnswer } from '../../../src/api/inner.ts';
import { servedApis } from '../../../src/api/index.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import { readBatches } from '../../../src/quorum/batches.ts';
import { SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { METADATA, type QuorumWorld } from './world.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

export function mapped(value: Json, map: (value: Json, key: string) => Json): Json {
  if (Array.isArray(value)) return value.map((one) => map(one, ''));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, map(one, key)]));
}

export function sortedBy(list: readonly Json[], ...keys: string[]): Json[] {
  const keyOf = (one: Json): string => keys.map((key) => String((one as { [name: string]: Json })[key]).padStart(8)).join();
  return [...list].sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
}

const UNORDERED: { readonly [key: string]: readonly string[] } = {
  replicaElectionResults: ['topic'], partitionResult: ['partitionId'], topics: ['name', 'topicId'], responses: ['resourceType', 'resourceName', 'name'], partitions: ['partitionIndex'],
};

/** Answers without what hashes order, and without the settings of topics, which other tests compare. */
export function comparable(value: Json, key = ''): Json {
  if (key === 'configs') return [];
  if (key === 'features' && value === '4.3.1') return sortedBy(SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })), 'name');
  const order = UNORDERED[key];
  if (order !== undefined && Array.isArray(value)) return sortedBy(value.map((one) => comparable(one)), ...order);
  return mapped(value, comparable);
}

export interface Written {
  readonly record: string;
  readonly version: number;
  readonly value: Json;
}

/** Runs of changes of partitions and settings, each as a set. */
export function sweeps(records: readonly Written[]): (Written | readonly string[])[] {
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

/** What lies in our metadata log, in order, with the offset of each. */
export function writtenRecords(world: QuorumWorld): (Written & { readonly offset: number })[] {
  return [...readBatches(world.disk.readFile(`${METADATA}/00000000000000000000.log`))].flatMap(({ baseOffset, records }) =>
    records.map(({ name: record, version, value }, at) => ({ offset: baseOffset + at, record, version, value: plain(value) })),
  );
}

/** Asks our controller as a connection to its listener would, through the codec both ways. */
export async function askController(
  world: QuorumWorld,
  quorum: Quorum,
  { api, version, request, isForwarded }: { readonly api: Pick<AnyApi, 'key'>; readonly version: number; readonly request: unknown; readonly isForwarded?: true },
): Promise<Json> {
  const served = servedApis.find((one) => one.api.key === api.key && one.listeners !== 'broker')!;
  const asked = decodeBuffer(served.api.request, version, encodeBuffer(served.api.request, version, request as never));
  const context = {
    apiVersion: version, clientId: null, correlationId: 0, receivedMs: 0, connection: { listenerKind: 'controller' }, ...(isForwarded && { isForwarded }),
    node: { controller: quorum.controller, image: () => quorum.image(), settings: world.settings, nodeId: 1 }, returnFrame: undefined, whenSent: () => {},
  } as unknown as RequestContext;
  const answer = await innerAnswer(served, asked, context);
  return plain(decodeBuffer(served.api.response, version, encodeBuffer(served.api.response, version, answer as never)));
}
