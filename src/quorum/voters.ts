/**
 * The voters of the metadata quorum: who they are, where they are reached, and what they were at each offset of the log.
 *
 * Promises: sets are never changed in place and are ordered by node id; a voter whose directory is known is only matched by that directory (KIP-853), one of a
 * static quorum by its id alone. `VoterHistory` says what holds at the log's end, and again after the log was cut.
 * Does not: decide on changes (`raft-voter-change.ts`).
 */
import type { Value } from '../../protocol/schema.ts';
import type { VotersRecord } from '../../protocol/log-records/control.ts';
import { ZERO_UUID } from './image.ts';

/** A listener of a controller, as voters' records and quorum requests tell it. */
export interface VoterEndpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface ReplicaKey {
  readonly id: number;
  /** null where it is not known: in a static quorum, and in requests of versions that do not tell it. */
  readonly directoryId: string | null;
}

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export interface Voter extends ReplicaKey {
  readonly endpoints: readonly VoterEndpoint[];
  /** Of the feature kraft.version. */
  readonly kraftVersions: VersionRange;
}

/** Ordered by id, each id once. */
export type VoterSet = readonly Voter[];

/** What this version can be a part of: static (0) and dynamic (1) quorums. */
export const KRAFT_VERSIONS: VersionRange = { min: 0, max: 1 };

export function replicaKey(id: number, directoryId: string): ReplicaKey {
  return { id, directoryId: directoryId === ZERO_UUID ? null : directoryId };
}

export function voterOf(voters: VoterSet, id: number): Voter | undefined {
  return voters.find((voter) => voter.id === id);
}

/** Whether the key is that of the voter: one without a known directory is matched by its id. */
export function matches(voter: ReplicaKey, key: ReplicaKey): boolean {
  return voter.id === key.id && (voter.directoryId === null || voter.directoryId === key.directoryId);
}

export function isVoter(voters: VoterSet, key: ReplicaKey): boolean {
  return voters.some((voter) => matches(voter, key));
}

export function majorityOf(voters: VoterSet): number {
  return Math.floor(voters.length / 2) + 1;
}

/** Where the voter is reached on the listener; listener names are compared in capitals, as Kafka normalises them. */
export function endpointOn(endpoints: readonly VoterEndpoint[], listenerName: string): VoterEndpoint | undefined {
  return endpoints.find(({ name }) => name.toUpperCase() === listenerName.toUpperCase());
}

/** null when there is a voter of that id already. */
export function withVoter(voters: VoterSet, voter: Voter): VoterSet | null {
  return voterOf(voters, voter.id) === undefined ? ordered([...voters, voter]) : null;
}

/** null when it is not a voter with exactly that directory, or the last one. */
export function withoutVoter(voters: VoterSet, key: ReplicaKey): VoterSet | null {
  const old = voterOf(voters, key.id);
  if (old === undefined || old.directoryId !== key.directoryId || voters.length === 1) return null;
  return voters.filter((voter) => voter !== old);
}

/** null when it is not a voter. With `ignoringDirectory` the id alone says which one: while kraft.version is 0. */
export function withUpdatedVoter(voters: VoterSet, voter: Voter, { ignoringDirectory = false }: { readonly ignoringDirectory?: boolean } = {}): VoterSet | null {
  const old = voterOf(voters, voter.id);
  if (old === undefined || !(ignoringDirectory || matches(old, voter))) return null;
  return voters.map((one) => (one === old ? voter : one));
}

/** Whether the voter of that key is written down otherwise than it says of itself. */
export function needsUpdate(voters: VoterSet, voter: Voter): boolean {
  const old = voterOf(voters, voter.id);
  return old !== undefined && matches(old, voter) && !sameVoter(old, voter);
}

export function sameVoters(left: VoterSet, right: VoterSet): boolean {
  return left.length === right.length && left.every((voter, index) => sameVoter(voter, right[index]!));
}

function sameVoter(left: Voter, right: Voter): boolean {
  return (
    left.id === right.id &&
    left.directoryId === right.directoryId &&
    left.kraftVersions.min === right.kraftVersions.min &&
    left.kraftVersions.max === right.kraftVersions.max &&
    left.endpoints.length === right.endpoints.length &&
    left.endpoints.every(({ name, host, port }) => right.endpoints.some((other) => other.name === name && other.host === host && other.port === port))
  );
}

export function votersOfRecord({ voters }: Value<typeof VotersRecord>): VoterSet {
  const byId = new Map<number, Voter>();
  for (const { voterId, voterDirectoryId, endpoints, kRaftVersionFeature } of voters) {
    byId.set(voterId, {
      ...replicaKey(voterId, voterDirectoryId),
      endpoints: endpoints.map(({ name, host, port }) => ({ name, host, port })),
      kraftVersions: { min: kRaftVersionFeature.minSupportedVersion, max: kRaftVersionFeature.maxSupportedVersion },
    });
  }
  return ordered([...byId.values()]);
}

export function recordOfVoters(voters: VoterSet): Value<typeof VotersRecord> {
  return {
    version: 0,
    voters: voters.map(({ id, directoryId, endpoints, kraftVersions }) => ({
      voterId: id,
      voterDirectoryId: directoryId ?? ZERO_UUID,
      endpoints: endpoints.map(({ name, host, port }) => ({ name, host, port })),
      kRaftVersionFeature: { minSupportedVersion: kraftVersions.min, maxSupportedVersion: kraftVersions.max },
    })),
  };
}

/** `1@host:9093` or `1@[::1]:9093`, as in controller.quorum.voters. Throws a RangeError that names what is wrong. */
export function parseStaticVoters(entries: readonly string[], listenerName: string): VoterSet {
  const voters = entries.map((entry): Voter => {
    const at = entry.indexOf('@');
    const id = Number(entry.slice(0, at));
    if (at <= 0 || !Number.isInteger(id) || id < 0) throw new RangeError(`controller.quorum.voters: '${entry}' should be ID@HOST:PORT`);
    const { host, port } = parseHostPort(entry.slice(at + 1), 'controller.quorum.voters');
    return { id, directoryId: null, endpoints: [{ name: listenerName, host, port }], kraftVersions: { min: 0, max: 0 } };
  });
  if (new Set(voters.map(({ id }) => id)).size < voters.length) throw new RangeError('controller.quorum.voters: a node id is there twice');
  return ordered(voters);
}

/** `host:9093` or `[::1]:9093`. Throws a RangeError that names the setting. */
export function parseHostPort(text: string, setting: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new RangeError(`${setting}: '${text}' should be HOST:PORT`);
  return { host: (match[1] ?? match[2])!, port };
}

function ordered(voters: Voter[]): VoterSet {
  return voters.sort((left, right) => left.id - right.id);
}

interface HistoryEntry {
  /** Of the record; -1 for the checkpoint that `format` makes. */
  readonly offset: number;
  readonly kraftVersion: number;
  /** null while only the settings say who votes. */
  readonly voters: VoterSet | null;
}

/** What the control records of snapshot and log say, by offset. */
export class VoterHistory {
  readonly #static: VoterSet;
  #entries: HistoryEntry[] = [];

  /** Those of the settings hold while the log says nothing. */
  constructor(staticVoters: VoterSet) {
    this.#static = staticVoters;
  }

  /** As of the log's end. */
  get latest(): { readonly voters: VoterSet; readonly kraftVersion: number; readonly offset: number | null } {
    return this.#resolve(this.#entries.length - 1);
  }

  /** As of the records before `endOffset`. */
  before(endOffset: number): { readonly voters: VoterSet; readonly kraftVersion: number; readonly offset: number | null } {
    return this.#resolve(this.#entries.findLastIndex((entry) => entry.offset < endOffset));
  }

  noteVersion(offset: number, kraftVersion: number): void {
    this.#note({ offset, kraftVersion, voters: this.#entries.at(-1)?.voters ?? null });
  }

  noteVoters(offset: number, voters: VoterSet): void {
    this.#note({ offset, kraftVersion: this.#entries.at(-1)?.kraftVersion ?? 0, voters });
  }

  /** The log ends here now. True when that changed who votes. */
  truncateFromEnd(endOffset: number): boolean {
    const count = this.#entries.length;
    this.#entries = this.#entries.filter((entry) => entry.offset < endOffset);
    return this.#entries.length !== count;
  }

  /** A snapshot has all below: only the last entry before it is still of use. */
  truncateFromStart(startOffset: number): void {
    const first = this.#entries.findLastIndex((entry) => entry.offset < startOffset);
    if (first > 0) this.#entries.splice(0, first);
  }

  clear(): void {
    this.#entries = [];
  }

  #note(entry: HistoryEntry): void {
    if (this.#entries.at(-1)?.offset === entry.offset) this.#entries.pop();
    this.#entries.push(entry);
  }

  #resolve(index: number): { readonly voters: VoterSet; readonly kraftVersion: number; readonly offset: number | null } {
    const entry = this.#entries[index];
    let offset: number | null = null;
    // The offset is that of the voters, not of a version that came after them.
    for (let at = index; at >= 0 && entry?.voters !== null; at--) {
      if (this.#entries[at]!.voters !== entry!.voters) break;
      offset = this.#entries[at]!.offset;
    }
    return { voters: entry?.voters ?? this.#static, kraftVersion: entry?.kraftVersion ?? 0, offset };
  }
}
