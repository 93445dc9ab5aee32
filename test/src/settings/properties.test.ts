/** Properties files, mistyped names. The first expectations are what java.util.Properties gives for the same text. */
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/settings/nearest.ts';
import { parseProperties } from '../../../protocol/properties.ts';

const pairs = (text: string) => parseProperties(text).map(({ name, value }) => [name, value]);

describe('properties', () => {
  it.each([
    ['a=b', [['a', 'b']]],
    ['  a = b ', [['a', 'b ']]],
    ['a:b', [['a', 'b']]],
    ['a b c', [['a', 'b c']]],
    ['a', [['a', '']]],
    ['a==b', [['a', '=b']]],
    ['a = : b', [['a', ': b']]],
    ['# x\n! y\n\n \t\na=1', [['a', '1']]],
    ['a=1\\\n   2\\\n\t3', [['a', '123']]],
    ['a=1\\\\\nb=2', [['a', '1\\'], ['b', '2']]],
    ['a\\ b\\=c=d', [['a b=c', 'd']]],
    ['a=\\u00e9\\t\\n\\q', [['a', 'é\t\nq']]],
    ['a=1\r\nb=2\rc=3', [['a', '1'], ['b', '2'], ['c', '3']]],
    ['a=1\\', [['a', '1']]],
    ['\uFEFFa=é', [['a', 'é']]],
    ['a=# not a comment', [['a', '# not a comment']]],
    ['a=1\\\n# kept', [['a', '1# kept']]],
  ])('%j', (text, expected) => {
    expect(pairs(text)).toEqual(expected);
  });

  it('knows the line', () => {
    expect(parseProperties('# one\na=1\\\n2\n\nb=3').map(({ name, line }) => [name, line])).toEqual([['a', 2], ['b', 5]]);
  });
});

describe('nearest', () => {
  it('counts edits', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('ab', 'ba')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('guesses only what is near', () => {
    expect(nearest('topcis', ['topics', 'groups'])).toBe('topics');
    expect(nearest('xyz', ['topics', 'groups'])).toBeUndefined();
  });
});
