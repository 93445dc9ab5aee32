/** A follower's side of a fetch session: what it says again and what it does not. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { IncrementalFetch } from '../../../src/replica/incremental-fetch.ts';
import type { FetchWant } from '../../../src/replica/incremental-fetch.ts';

const want = (partition: number, fetchOffset = 0, changes: Partial<FetchWant> = {}): FetchWant => ({
  topicId: 'T', partition, currentLeaderEpoch: 0, fetchOffset, lastFetchedEpoch: -1, logStartOffset: 0, partitionMaxBytes: 100, ...changes,
});
const wanted = (...wants: FetchWant[]) => new Map(wants.map((one) => [`T:${one.partition}`, one]));
const answer = (sessionId: number, errorCode: number = ErrorCode.NONE) => ({ errorCode, sessionId });

/** `session epoch: partition@offset ... -forgotten` */
function asked(fetch: IncrementalFetch, ...wants: FetchWant[]): string {
  const { sessionId, sessionEpoch, topics, forgottenTopicsData } = fetch.ask(wanted(...wants));
  const said = topics.flatMap(({ partitions }) => partitions.map(({ partition, fetchOffset }) => `${partition}@${fetchOffset}`));
  const forgotten = forgottenTopicsData.flatMap(({ partitions }) => partitions.map((partition) => `-${partition}`));
  return `${sessionId} ${sessionEpoch}: ${[...said, ...forgotten].join(' ')}`.trimEnd();
}

describe('a fetch session', () => {
  test('says everything at first, then what changed, and what is not wanted any more', () => {
    const fetch = new IncrementalFetch();
    expect(asked(fetch, want(0), want(1))).toBe('0 0: 0@0 1@0');
    expect(fetch.answered(answer(7))).toBe(true);
    expect(asked(fetch, want(0), want(1, 5))).toBe('7 1: 1@5');
    fetch.answered(answer(7));
    expect(asked(fetch, want(0), want(1, 5))).toBe('7 2:');
    fetch.answered(answer(7));
    expect(asked(fetch, want(1, 5), want(2))).toBe('7 3: 2@0 -0');
    fetch.answered(answer(7));
    expect(asked(fetch, want(1, 5, { currentLeaderEpoch: 1 }), want(2, 0, { lastFetchedEpoch: 3 }))).toBe('7 4: 1@5 2@0');
  });

  test('is closed by a new one when an answer is lost or refuses it, and not named where the leader does not know it', () => {
    const fetch = new IncrementalFetch();
    asked(fetch, want(0));
    fetch.answered(answer(7));
    asked(fetch, want(0, 1));
    fetch.lost();
    expect(asked(fetch, want(0, 1))).toBe('7 0: 0@1');
    fetch.answered(answer(8));
    asked(fetch, want(0, 1));
    expect(fetch.answered(answer(0, ErrorCode.INVALID_FETCH_SESSION_EPOCH))).toBe(false);
    expect(asked(fetch, want(0, 1))).toBe('8 0: 0@1');
    fetch.answered(answer(9));
    asked(fetch, want(0, 1));
    fetch.answered(answer(0, ErrorCode.FETCH_SESSION_ID_NOT_FOUND));
    expect(asked(fetch, want(0, 1))).toBe('0 0: 0@1');
  });

  test('is none where the leader gives none: everything is said each time', () => {
    const fetch = new IncrementalFetch();
    asked(fetch, want(0));
    fetch.answered(answer(0));
    expect(asked(fetch, want(0))).toBe('0 0: 0@0');
    fetch.answered(answer(5));
    asked(fetch, want(0));
    // A session that has become empty is ended by the leader.
    fetch.answered(answer(0));
    expect(asked(fetch, want(0))).toBe('0 0: 0@0');
  });
});
