/**
 * Judges a history: the anomalies of records and of committed offsets that a log may never show, by the names that Jepsen gave them.
 *
 *   duplicate              one value at two offsets
 *   inconsistent-offsets   one offset with two values, by polls or by acknowledgements
 *   lost-write             acknowledged, never read, and others read beyond it
 *   unseen                 acknowledged, and not among what was read in the end
 *   failed-read            read, although the sending failed for certain
 *   phantom                read, and sent by nobody
 *   nonmonotonic-send      a client's later send lies before its earlier one (int-: within one send)
 *   nonmonotonic-poll      a consumer was given an offset again or an earlier one (int-: within one poll)
 *   poll-skip              a consumer was not given a record that lies between two that it was given (int-: within one poll)
 *   commit-regressed       a committed offset older than one acknowledged before the question
 *   commit-phantom         a committed offset that nobody sent
 *
 * Promises: the version order is that of all offsets seen by anyone, so gaps (control records) are no skips; a send whose outcome nobody knows may be there or
 * not; what a group's members are given again or pass over at a rebalance is allowed (`subscribed`).
 * Does not: know transactions yet.
 */
import type { Commit, Operation, Send } from './history.ts';

export interface Anomaly {
  readonly name: string;
  readonly about: string;
}

export interface CheckOptions {
  /** Everything was read in the end, on a healed cluster: what was acknowledged and is not there is gone. */
  readonly complete: boolean;
  /** By partition: what lies before was let go by retention, and nobody could read it in the end. */
  readonly logStarts?: ReadonlyMap<string, number>;
}

export function check(operations: readonly Operation[], { complete, logStarts }: CheckOptions): Anomaly[] {
  const found: Anomaly[] = [];
  const partitions = new Map<string, Operation[]>();
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const [map, key] = operation.kind === 'commit' || operation.kind === 'committed' ? [keys, operation.key] : [partitions, operation.partition];
    const own = map.get(key);
    if (own === undefined) map.set(key, [operation]);
    else own.push(operation);
  }
  for (const [partition, own] of partitions) checkPartition(partition, own, { complete, logStart: logStarts?.get(partition) ?? 0 }, found);
  for (const [key, own] of keys) checkCommits(key, own, found);
  return found;
}

function checkPartition(partition: string, operations: readonly Operation[], end: { readonly complete: boolean; readonly logStart: number }, found: Anomaly[]): void {
  const report = (name: string, about: string): void => void found.push({ name, about: `${partition}: ${about}` });
  const senders = new Map<string, Send>();
  const offsetOf = new Map<string, number>();
  const valueAt = new Map<number, string>();
  const read = new Set<string>();
  let highestRead = -1;
  const see = (offset: number, value: string, how: string): void => {
    const other = valueAt.get(offset);
    if (other === undefined) valueAt.set(offset, value);
    else if (other !== value) report('inconsistent-offsets', `offset ${offset} is ${other} and ${value} (${how})`);
    const before = offsetOf.get(value);
    if (before === undefined) offsetOf.set(value, offset);
    else if (before !== offset) report('duplicate', `${value} is at ${before} and ${offset} (${how})`);
  };
  for (const operation of operations) {
    if (operation.kind !== 'send') continue;
    for (const value of operation.values) senders.set(value, operation);
    if (operation.outcome !== 'ok' || operation.baseOffset === null) continue;
    operation.values.forEach((value, at) => see(operation.baseOffset! + at, value, 'acknowledged'));
  }
  for (const operation of operations) {
    if (operation.kind !== 'poll') continue;
    for (const { offset, value } of operation.records) {
      see(offset, value, `read by ${operation.client}`);
      highestRead = Math.max(highestRead, offset);
      if (read.has(value)) continue;
      read.add(value);
      const send = senders.get(value);
      if (send === undefined) report('phantom', `${value} at ${offset}`);
      else if (send.outcome === 'fail') report('failed-read', `${value} at ${offset}`);
    }
  }
  checkSends(operations, { read, highestRead, ...end, offsetOf }, report);
  checkPolls(operations, valueAt, report);
}

type Report = (name: string, about: string) => void;

function checkSends(
  operations: readonly Operation[],
  { read, highestRead, complete, logStart, offsetOf }: { read: ReadonlySet<string>; highestRead: number; complete: boolean; logStart: number; offsetOf: ReadonlyMap<string, number> },
  report: Report,
): void {
  const last = new Map<string, { value: string; offset: number }>();
  for (const operation of operations) {
    if (operation.kind !== 'send') continue;
    let previous: number | undefined;
    for (const value of operation.values) {
      const offset = offsetOf.get(value);
      // Without its offset, one that nobody has read may have been let go.
      if (operation.outcome === 'ok' && !read.has(value) && (offset ?? 0) >= logStart) {
        // Without its offset it may lie beyond all that was read, unless that was everything.
        if (offset !== undefined && offset < highestRead) report('lost-write', `${value}, acknowledged at ${offset}, others were read up to ${highestRead}`);
        else if (complete) report('unseen', `${value}, acknowledged${offset === undefined ? '' : ` at ${offset}`}`);
      }
      if (offset === undefined) continue;
      if (previous !== undefined && offset <= previous) report('int-nonmonotonic-send', `${value} at ${offset} comes after ${previous}`);
      previous = offset;
      const before = last.get(operation.client);
      if (before !== undefined && offset <= before.offset && operation.values[0] === value) {
        report('nonmonotonic-send', `${operation.client} sent ${value}, at ${offset}, after ${before.value}, at ${before.offset}`);
      }
    }
    const lastValue = operation.values.at(-1);
    const offset = lastValue === undefined ? undefined : offsetOf.get(lastValue);
    if (lastValue !== undefined && offset !== undefined) last.set(operation.client, { value: lastValue, offset });
  }
}

function checkPolls(operations: readonly Operation[], valueAt: ReadonlyMap<number, string>, report: Report): void {
  // Gaps are allowed: what counts is a record that somebody has seen.
  const dense = new Map([...valueAt.keys()].sort((a, b) => a - b).map((offset, index) => [offset, index]));
  const last = new Map<string, number>();
  for (const operation of operations) {
    if (operation.kind === 'seek') last.delete(operation.client);
    if (operation.kind !== 'poll') continue;
    let previous = operation.subscribed ? undefined : last.get(operation.client);
    let within = '';
    for (const { offset } of operation.records) {
      if (previous !== undefined) {
        if (offset <= previous) report(`${within}nonmonotonic-poll`, `${operation.client} was given ${offset} after ${previous}`);
        else if (dense.get(offset)! > dense.get(previous)! + 1) report(`${within}poll-skip`, `${operation.client} was given ${offset} after ${previous}`);
      }
      previous = offset;
      within = 'int-';
    }
    last.set(operation.client, operation.records.at(-1)!.offset);
  }
}

/**
 * Commits of one key are made by one client, each attempt with an offset of its own, the next one after the last has ended. What nobody knows the outcome of
 * may be carried out at any later time: a request can lie in a socket for long.
 */
function checkCommits(key: string, operations: readonly Operation[], found: Anomaly[]): void {
  const commits = new Map<number, Commit>();
  for (const operation of operations) if (operation.kind === 'commit') commits.set(operation.offset, operation);
  const acknowledged = [...commits.values()].filter((commit) => commit.outcome === 'ok');
  for (const told of operations) {
    if (told.kind !== 'committed') continue;
    const commit = commits.get(told.offset);
    const about = `${key}: ${told.client} was told ${told.offset}`;
    if (told.offset >= 0 && (commit === undefined || commit.outcome === 'fail' || commit.invokedMs > told.endedMs)) found.push({ name: 'commit-phantom', about: `${about}, which nobody had sent` });
    if (commit !== undefined && commit.outcome !== 'ok') continue;
    const after = commit?.endedMs ?? -1;
    const newer = acknowledged.find((other) => other.invokedMs >= after && other.endedMs < told.invokedMs && other !== commit);
    if (newer !== undefined) found.push({ name: 'commit-regressed', about: `${about}, ${newer.offset} had been acknowledged` });
  }
}
