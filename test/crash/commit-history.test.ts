/** The judge of commits, tried on histories with one fault each. */
import { describe, expect, test } from 'vitest';
import { CommitHistory } from './commit-history.ts';

/** 5 and 9 were acknowledged, 12 was sent. */
function fixture() {
  const commits = new CommitHistory();
  commits.acknowledge(commits.attempt(0, 5));
  commits.acknowledge(commits.attempt(0, 9));
  const last = commits.attempt(0, 12);
  return { commits, last };
}

describe('commits', () => {
  test('what was acknowledged last or sent later is fine', () => {
    const { commits } = fixture();
    for (const offset of [9, 12]) expect(commits.told(commits.ask(), 0, offset)).toBeNull();
  });

  test('an older one, none, or one never sent is not', () => {
    const { commits } = fixture();
    const question = commits.ask();
    expect(commits.told(question, 0, 5)).toBe('lost commit: partition 0 is at 5, 9 was acknowledged');
    expect(commits.told(question, 0, -1)).toBe('lost commit: partition 0 is at -1, 9 was acknowledged');
    expect(commits.told(question, 0, 10)).toBe('nobody committed this: partition 0 is at 10');
    expect(commits.told(question, 1, 0)).toBe('nobody committed this: partition 1 is at 0');
    expect(commits.told(question, 1, -1)).toBeNull();
    expect(commits.violations(question, new Map())).toEqual(['lost commit: partition 0 is at -1, 9 was acknowledged']);
    expect(commits.violations(question, new Map([[0, 9], [1, 3]]))).toEqual(['nobody committed this: partition 1 is at 3']);
  });

  test('a commit that is acknowledged after the question was sent may be missing, and one before it may not', () => {
    const { commits, last } = fixture();
    const before = commits.ask();
    commits.acknowledge(last);
    expect(commits.told(before, 0, 9)).toBeNull();
    expect(commits.told(commits.ask(), 0, 9)).toBe('lost commit: partition 0 is at 9, 12 was acknowledged');
  });

  test('a group that goes back by its own will is where it went, and not where it was', () => {
    const { commits, last } = fixture();
    commits.acknowledge(last);
    commits.acknowledge(commits.attempt(0, 7));
    expect(commits.told(commits.ask(), 0, 7)).toBeNull();
    expect(commits.told(commits.ask(), 0, 12)).toBe('lost commit: partition 0 is at 12, 7 was acknowledged');
  });

  test('one that was not answered when the next was sent may be carried out late, its neighbours may not', () => {
    const { commits } = fixture();
    commits.acknowledge(commits.attempt(0, 15));
    expect(commits.told(commits.ask(), 0, 12)).toBeNull();
    for (const offset of [9, 5]) expect(commits.told(commits.ask(), 0, offset)).toContain('lost commit');
  });

  test('one that was refused is in the log before the next, or nowhere', () => {
    const { commits, last } = fixture();
    commits.refuse(last);
    expect(commits.told(commits.ask(), 0, 12)).toBeNull();
    commits.acknowledge(commits.attempt(0, 15));
    expect(commits.told(commits.ask(), 0, 12)).toBe('lost commit: partition 0 is at 12, 15 was acknowledged');
  });
});
