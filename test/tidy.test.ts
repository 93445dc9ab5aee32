/**
 * The rules of the house, held by a test: which way imports go, what may touch the world, how files are made. A failure says the rule and what to do
 * instead. The rules are in `tidy/rules.ts`; here they meet the repository, and bad samples that show that they can fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as rules from './tidy/rules.ts';
import { parseSource, tokensOf, type SourceFile } from './tidy/source.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const ROOTS = ['protocol', 'storage', 'src', 'bench', 'test', 'bin', '.ci'];

/** Every file below a directory of the repository, as paths relative to it. */
function below(directory: string): string[] {
  if (!existsSync(repository + directory)) return [];
  return readdirSync(repository + directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(repository.length).replaceAll('\\', '/'));
}

const read = (path: string): string => readFileSync(repository + path, 'utf8');
const paths = [...ROOTS.flatMap(below), ...readdirSync(repository, { withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => entry.name)];
const files = paths.filter((path) => path.endsWith('.ts') && path.includes('/')).sort().map((path) => parseSource(path, read(path)));
const manifest = JSON.parse(read('package.json'));

/** Fails with the complaints alone: they are the message. */
function expectNone(complaints: readonly string[]): void {
  expect.soft(complaints.length, `\n${complaints.join('\n')}\n`).toBe(0);
}

describe('the repository', () => {
  test('is seen', () => {
    for (const root of ['protocol/', 'storage/', 'src/', 'test/', 'bench/']) expect(files.filter((file) => file.path.startsWith(root)).length).toBeGreaterThan(5);
    // Every import statement was understood: what the tokens call `from 'x'` is in the list.
    for (const file of files) {
      const froms = file.tokens.filter((token, at) => token.kind === 'name' && token.text === 'from' && file.tokens[at + 1]?.kind === 'string');
      expect(file.imports.filter((each) => each.kind !== 'dynamic' && each.names.length > 0).length, file.path).toBe(froms.length);
    }
  });

  test('imports go one way', () => expectNone(rules.layering(files)));
  test('packages are few, and known to protocol/ alone', () => {
    expectNone(rules.packages(files, new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))));
  });
  test('builtins that reach outside are given by the runtime', () => expectNone(rules.bannedBuiltins(files)));
  test('time, timers and randomness are given by the runtime', () => expectNone(rules.bannedGlobals(files)));
  test('every file opens with a header', () => expectNone(rules.headers(files)));
  test('no file is longer than a sitting', () => expectNone(rules.lengths(files)));
  test('exports have names', () => expectNone(rules.exportsByName(files)));
  test('no file only passes on what others export', () => expectNone(rules.barrels(files)));
  test('types can be stripped', () => expectNone(rules.erasable(files)));
  test('no cycles', () => expectNone(rules.cycles(files)));

  test('no dead files', () => {
    const scripts = Object.values<string>(manifest.scripts ?? {}).flatMap((script) => script.match(/[\w./-]+\.ts/g) ?? []);
    const tests = files.map((file) => file.path).filter((path) => path.endsWith('.test.ts') || path === 'test/vitest.config.ts');
    const launchers = paths.filter((path) => path.startsWith('bin/') || path.startsWith('.ci/')).flatMap((path) => read(path).match(/\b(src|bench|test)\/[\w./-]+\.ts/g) ?? []);
    expectNone(rules.deadFiles(files, ['src/cli.ts', 'src/index.ts', ...scripts, ...tests, ...launchers]));
  });

  test('no paths of one machine', () => {
    const texts = paths.filter((path) => /\.(ts|js|json|md|c|sh|yml|yaml)$|Dockerfile|\.gitignore|\.ci\//.test(path) && path !== 'package-lock.json');
    expectNone(rules.machinePaths(texts.map((path) => ({ path, text: read(path) }))));
  });
});

/** A small repository of samples: path and text of each file. */
function sample(texts: { readonly [path: string]: string }): SourceFile[] {
  return Object.entries(texts).map(([path, text]) => parseSource(path, text));
}

describe('the rules can fail', () => {
  test.each([
    ['storage knows src', { 'storage/log.ts': "import { x } from '../src/broker.ts';" }, 'storage imports broker'],
    ['a type goes up', { 'src/quorum/raft.ts': "import type { X } from '../api/index.ts';" }, 'quorum imports api'],
    ['the product knows a test', { 'src/cli.ts': "import { x } from '../test/tidy/rules.ts';" }, 'neither test nor bench'],
    ['by import()', { 'protocol/wire.ts': "const x = await import('../storage/log.ts');" }, 'protocol imports storage'],
    ['a file in no room', { 'src/attic/old.ts': '' }, 'is in no room'],
  ])('layering: %s', (_name, texts, expected) => {
    expect(rules.layering(sample(texts)).join()).toContain(expected);
  });
  test('layering: what is allowed', () => {
    expect(rules.layering(sample({
      'src/broker.ts': "import { a } from './api/index.ts'; import type { L } from '../storage/log.ts';",
      'src/api/fetch.ts': "import { b } from '../replica/reading.ts';\nimport { c } from '../../protocol/wire.ts';",
      'test/a.test.ts': "import { d } from '../src/broker.ts'; import { e } from '../bench/run.ts';",
    }))).toEqual([]);
  });

  test.each([
    ['storage/x.ts', "import { compressSync } from 'snappy';", 'only protocol/ knows'],
    ['protocol/x.ts', "import express from 'express';", 'imports express'],
    ['protocol/x.ts', "const x = require('@scope/other/file.js');", 'imports @scope/other/file.js'],
    ['protocol/x.ts', "import fs from 'fs';", 'imports fs'],
  ])('packages: %s %s', (path, text, expected) => {
    expect(rules.packages(sample({ [path]: text }), new Set(['snappy', '@node-rs/crc32'])).join()).toContain(expected);
  });
  test('packages: what is allowed', () => {
    expect(rules.packages(sample({ 'protocol/x.ts': "import { s } from 'snappy'; require('@node-rs/crc32'); import a from 'node:assert';", 'test/x.ts': "import { expect } from 'vitest';" }), new Set(['snappy', '@node-rs/crc32']))).toEqual([]);
  });

  test.each([
    "import { readFileSync } from 'node:fs';",
    "import * as net from 'node:net';",
    "import type { Socket } from 'node:net';",
    "import { setTimeout as wait } from 'node:timers/promises';",
    "const { Worker } = await import('node:worker_threads');",
    "import { gzip } from 'node:zlib';",
    "import { gunzipSync, createGzip } from 'node:zlib';",
    "import zlib from 'node:zlib';",
    "import * as zlib from 'node:zlib';",
  ])('builtins: %s', (text) => {
    expect(rules.bannedBuiltins(sample({ 'storage/x.ts': text }))).toHaveLength(1);
    expect(rules.bannedBuiltins(sample({ 'src/runtime/node.ts': text, 'src/runtime/node-network.ts': text, 'test/x.ts': text }))).toEqual([]);
    expect(rules.bannedBuiltins(sample({ 'src/runtime/nodes.ts': text }))).toHaveLength(1);
  });
  test('builtins: what is allowed', () => {
    expect(rules.bannedBuiltins(sample({ 'protocol/x.ts': "import { gunzipSync, crc32, constants } from 'node:zlib'; import { createHash } from 'node:crypto';" }))).toEqual([]);
  });

  test.each([
    'const t = Date.now();',
    'const t = new Date();',
    'const t = new Date;',
    'const t = Date();',
    'const t = performance.now();',
    'setTimeout(() => {}, 1);',
    'globalThis.setInterval(f, 1);',
    'const later: typeof setImmediate = x;',
    'clearTimeout(t);',
    'const r = Math.random();',
    'const r = crypto.randomUUID();',
    "import { randomBytes } from 'node:crypto';",
    'const t = process.hrtime.bigint();',
    'const s = `now: ${Date.now()}`;',
    'const s = `${`${new Date()}`}`;',
  ])('globals: %s', (text) => {
    expect(rules.bannedGlobals(sample({ 'src/api/x.ts': text }))).toHaveLength(1);
    expect(rules.bannedGlobals(sample({ 'src/runtime/node-timers.ts': text, 'bench/x.ts': text }))).toEqual([]);
  });
  test.each([
    'const t = new Date(nowMs);',
    '// Date.now() is not for us, nor is setTimeout',
    '/* Math.random() */ const x = "Date.now()";',
    "const s = `Math.random() ${'setTimeout'}`;",
    'const matches = /Date.now()/.test(text);',
    'timers.setTimeout(1); interface X { setTimeout: number }',
    'this.performance = 1;',
  ])('globals: %s is fine', (text) => expect(rules.bannedGlobals(sample({ 'src/api/x.ts': text }))).toEqual([]));

  test('headers', () => {
    expect(rules.headers(sample({ 'src/a.ts': '// a\nconst a = 1;', 'src/b.ts': '/* b */', 'src/c.ts': '\n/** c */' }))).toHaveLength(3);
    expect(rules.headers(sample({ 'src/d.ts': '/** d */', 'src/e.ts': '#!/usr/bin/env node\n/**\n * e\n */' }))).toEqual([]);
  });

  test('lengths', () => {
    expect(rules.lengths(sample({ 'src/a.ts': 'x\n'.repeat(rules.LINES_MAX + 1) })).join()).toContain('wants to be two');
    expect(rules.lengths(sample({ 'src/a.ts': 'x\n'.repeat(rules.LINES_MAX) }))).toEqual([]);
  });

  test.each(['export default 1;', 'export default class X {}', 'export { x as default };'])('exports: %s', (text) => {
    expect(rules.exportsByName(sample({ 'src/a.ts': text }))).toHaveLength(1);
  });
  test('exports: what is allowed', () => {
    expect(rules.exportsByName(sample({ 'src/a.ts': "switch (x) { default: y(); } import { default as z } from './z.ts'; const s = 'export default';", 'test/vitest.config.ts': 'export default 1;' }))).toEqual([]);
  });

  test.each(["export * from './b.ts';", "export { b } from './b.ts';", "export type { B } from './b.ts';", "export * as b from './b.ts';"])('barrels: %s', (text) => {
    expect(rules.barrels(sample({ 'src/replica/index.ts': text }))).toHaveLength(1);
    expect(rules.barrels(sample({ 'src/api/index.ts': text }))).toEqual([]);
  });
  test('barrels: what is allowed', () => {
    expect(rules.barrels(sample({ 'src/own.ts': "export const a = 1; export const b = 2; export type { C } from './c.ts';" }))).toEqual([]);
    expect(rules.barrels(sample({ 'src/own.ts': "export const a = 1; export const b = 2; export * from './c.ts';" }))).toHaveLength(1);
    expect(rules.barrels(sample({ 'src/a.ts': "export { a, b };\nexport type C = { from: string };\nexport const from = 'x';" }))).toEqual([]);
  });

  test('types that cannot be stripped', () => {
    expect(rules.erasable(sample({ 'src/a.ts': 'export const enum Color { RED }\nnamespace N { }\ndeclare enum E { A }' }))).toHaveLength(3);
    expect(rules.erasable(sample({ 'src/a.ts': "const namespace = 1; options.enum(x); type T = { enum: string };" }))).toEqual([]);
  });

  test('cycles', () => {
    const circle = { 'src/a.ts': "import { b } from './b.ts';", 'src/b.ts': "import { c } from './c/c.ts';", 'src/c/c.ts': "import { a } from '../a.ts';" };
    expect(rules.cycles(sample(circle)).join()).toContain('src/a.ts -> src/b.ts -> src/c/c.ts -> src/a.ts');
    expect(rules.cycles(sample({ ...circle, 'src/c/c.ts': "import type { A } from '../a.ts';" }))).toEqual([]);
    expect(rules.cycles(sample({ 'src/a.ts': "import { type B } from './b.ts';", 'src/b.ts': "export * from './a.ts';" }))).toHaveLength(1);
  });

  test('dead files', () => {
    const tree = {
      'src/cli.ts': "import { a } from './a.ts'; new Worker(new URL('./worker.ts', import.meta.url));",
      'src/a.ts': "const b = await import('./b.ts');",
      'src/b.ts': '',
      'src/worker.ts': '',
      'src/dead.ts': "import { a } from './a.ts'; import { x } from './missing.ts';",
    };
    const complaints = rules.deadFiles(sample(tree), ['src/cli.ts', 'src/not-there-yet.ts']);
    expect(complaints).toHaveLength(2);
    expect(complaints.join()).toContain('./missing.ts, which is not there');
    expect(complaints.join()).toContain('src/dead.ts:1: is used by nobody');
  });

  test('paths of one machine', () => {
    const complaints = (text: string): string[] => rules.machinePaths([{ path: 'README.md', text }]);
    for (const name of ['work', 'root', 'home', 'Users']) expect(complaints(`first\nsee '/${name}/somebody/thing'`)).toHaveLength(1);
    expect(complaints('src/api/work/x, ../ro' + 'ot/y, https://example.org/home/z, /var/lib/kafka')).toEqual([]);
  });
});

describe('tokens', () => {
  const shown = (text: string): string => tokensOf(text).map((token) => `${token.kind[0]}:${token.text}`).join(' ');

  test.each([
    ["a / b / c; x = /[/'\"]+/gi.test(y)", "n:a p:/ n:b p:/ n:c p:; n:x p:= r:/[/'\"]+/gi p:. n:test p:( n:y p:)"],
    ["return /`/; (1) / 2; a[0] / 3", 'n:return r:/`/ p:; p:( n:1 p:) p:/ n:2 p:; n:a p:[ n:0 p:] p:/ n:3'],
    ['`a${b}c${{ d: `e` }.d}f`', 't:a n:b t:c p:{ n:d p:: t:e p:} p:. n:d t:f'],
    ["'it\\'s' \"//\" `\\`${1}`", "s:it\\'s s:// t:\\` n:1 t:"],
    ['#private @decorator $x _y 0x1f 1.5e3 1_000n', 'n:#private n:@decorator n:$x n:_y n:0x1f n:1.5e3 n:1_000n'],
    ['// a\n/* b */ c', 'n:c'],
  ])('%j', (text, expected) => expect(shown(text)).toBe(expected));

  test('lines are counted through comments, strings and templates', () => {
    expect(tokensOf('/*\n\n*/ a `\n${b}\n` c').map((token) => `${token.text.trim()}${token.line}`)).toEqual(['a3', '3', 'b4', '4', 'c5']);
  });
});

describe('imports', () => {
  test('of every form', () => {
    const text = `
      import './side.ts';
      import a from './a.ts';
      import * as b from './b.ts';
      import { c, type d, default as e, type as f } from './c.ts';
      import g, { h as i } from './g.ts';
      import type { J } from './j.ts';
      import type K from './k.ts';
      import type from './type.ts';
      export { l } from './l.ts';
      export type { M } from './m.ts';
      const n = await import('./n.ts'); const o = require('./o.ts'); const url = import.meta.url;
      x.import('./not.ts'); const s = "import { p } from './not.ts'";
    `;
    expect(parseSource('src/x.ts', text).imports.map(({ specifier, kind, names, line }) => `${line} ${kind} ${specifier} ${names.join(',')}`)).toEqual([
      '2 value ./side.ts ',
      '3 value ./a.ts default',
      '4 value ./b.ts *',
      '5 value ./c.ts c,d,default,type',
      '6 value ./g.ts default,h',
      '7 type ./j.ts J',
      '8 type ./k.ts default',
      '9 value ./type.ts default',
      '10 export ./l.ts l',
      '11 export ./m.ts M',
      '12 dynamic ./n.ts *',
      '12 dynamic ./o.ts *',
    ]);
  });
});
