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
import { apis } from '../../../protocol/messages/index.ts';
import { SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';
import { ZERO_UUID } from '../../../src/quorum/image.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { askController, comparable, type Json, mapped, sortedBy, sweeps, type Written, writtenRecords } from './conversation.ts';
import { QuorumWorld } from './world.ts';

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
const apisByName = new Map([...apis.values()].map((api) => [api.name, api]));

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
      const api = apisByName.get(line.api)!;
      const answer = await askController(world, quorum, { api, version: line.version, request: names.toOurs(line.request) });
      if (line.api === 'CreateTopics') names.learn(answer);
      expect(comparable(names.fromOurs(answer)), `${about}, request ${++asked}: ${line.api} ${JSON.stringify(line.request)}`).toEqual(comparable(line.answer));
    }
    const expected = lines.flatMap((line) => ('record' in line ? [line] : []));
    const written = writtenRecords(world)
      .filter(({ offset }) => offset >= names.baseEpoch)
      .map(({ record, version, value }): Written => ({ record, version, value: comparable(names.fromOurs(value)) }));
    const wanted = expected.map((one): Written => ({ ...one, value: comparable(one.value) }));
    expect(sweeps(written)).toEqual(sweeps(wanted));
  });
});
