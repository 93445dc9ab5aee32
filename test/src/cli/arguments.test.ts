/** Arguments, help and the words for failures. */
import { describe, expect, it } from 'vitest';
import { helpText, parseArguments, UsageError, wholeNumber } from '../../../src/cli/arguments.ts';
import { explain } from '../../../src/cli/failures.ts';
import { isoTime, parseTime } from '../../../src/cli/time.ts';
import { DiskError } from '../../../storage/disk.ts';

const command = {
  name: 'try',
  summary: 'Tries.',
  words: 'THING...',
  options: {
    port: { short: 'p', value: 'PORT', help: 'the port', fallback: '1' },
    set: { value: 'NAME=VALUE', help: 'a setting', many: true },
    loud: { short: 'l', help: 'say more' },
  },
} as const;

describe('arguments', () => {
  it('takes options in every form, and words between them', () => {
    const { options, words } = parseArguments(command, ['a', '-p', '5', '--set=x=1', 'b', '--set', 'y=2', '-l', '--', '--port', '-']);
    expect(options).toEqual({ port: '5', set: ['x=1', 'y=2'], loud: true });
    expect(words).toEqual(['a', 'b', '--port', '-']);
    expect(parseArguments(command, []).options).toEqual({ port: undefined, set: [], loud: false });
  });

  it.each([
    [['--prot', '5'], 'unknown option --prot; did you mean --port? (ottla try --help lists them)'],
    [['-x'], 'unknown option -x (ottla try --help lists them)'],
    [['--port'], '--port needs a value: --port PORT'],
    [['--loud=yes'], '--loud takes no value'],
    [['-p', '1', '--port', '2'], '--port is given twice'],
  ])('%j', (argv, message) => {
    expect(() => parseArguments(command, argv)).toThrow(new UsageError(message));
  });

  it('helps with what it parses', () => {
    expect(helpText(command)).toBe(
      ['Tries.', '', '  ottla try [OPTIONS] THING...', '', '  -p, --port PORT       the port (default 1)', '      --set NAME=VALUE  a setting (may be repeated)', '  -l, --loud            say more'].join('\n'),
    );
  });

  it('bounds whole numbers', () => {
    expect(wholeNumber('n', '5', 0, 9)).toBe(5);
    expect(() => wholeNumber('n', '10', 0, 9)).toThrow('--n 10: it should be a whole number from 0 to 9');
    expect(() => wholeNumber('n', '1.5', 0)).toThrow('--n 1.5: it should be a whole number not less than 0');
  });
});

describe('failures', () => {
  it.each([
    [new DiskError('EBUSY', 'data/.lock', 'lock, held by process 7,'), 'data is in use by process 7: a data directory serves one broker at a time', 1],
    [new DiskError('ENOSPC', 'data/a', 'write'), 'the disk is full (writing data/a)', 1],
    [new DiskError('ENOENT', 'ro/d', 'mkdir'), 'cannot make the directory ro/d', 1],
    [new UsageError('no such thing'), 'no such thing', 2],
    [Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', address: '::', port: 9092 }), 'port 9092 is in use on ::; choose another with --port', 1],
  ])('%s', (error, line, exitCode) => {
    expect(explain(error)).toEqual({ line, exitCode });
  });

  it('keeps the stack of a bug', () => {
    expect(explain(new TypeError('x is not a function')).line).toContain('arguments.test.ts');
  });
});

describe('time', () => {
  it('writes what Date writes', () => {
    for (const ms of [0, 951_782_399_999, 951_782_400_000, 1_709_210_096_789, 4_107_542_400_000, 253_402_300_799_999, -1]) {
      expect(isoTime(ms)).toBe(new Date(ms).toISOString());
    }
  });

  it('reads ISO and milliseconds', () => {
    expect(parseTime('2026-01-01T00:00:00Z')).toBe(1_767_225_600_000);
    expect(parseTime('1767225600000')).toBe(1_767_225_600_000);
    expect(parseTime('yesterday')).toBeUndefined();
  });
});
