/** Dumps of damaged files, of every small file, and of the directories that Apache Kafka left (OTTLA_KAFKA_DATA, default ../shared/golden/kafka-data). */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildBatch } from '../../../protocol/record/build.ts';
import { dumpSmallFile } from '../../../src/cli/dump-files.ts';
import { dumpLog } from '../../../src/cli/dump-log.ts';
import type { Dump, DumpOptions } from '../../../src/cli/dump.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-dump-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const { disk } = nodeRuntime();
const everything: DumpOptions = { records: true, from: 0, max: Infinity };

const batch = (baseOffset: number, ...values: string[]) => buildBatch({ baseOffset, baseTimestamp: 0, records: values.map((value) => ({ value: Buffer.from(value), timestamp: 0 })) });

function dumped(name: string, content: Buffer, options: Partial<DumpOptions> = {}): Dump[] {
  const path = join(root, name);
  writeFileSync(path, content);
  return [...dumpLog(disk, path, { ...everything, ...options })];
}

const kinds = (lines: readonly Dump[]) => lines.map(({ kind, fields }) => [kind, fields['reason'] ?? fields['value']?.toString() ?? fields['baseOffset']]);

describe('a segment', () => {
  const [first, second] = [batch(0, 'a', 'b'), batch(2, 'c')];

  it('is told batch by batch, from and up to where it was asked', () => {
    expect(kinds(dumped('whole.log', Buffer.concat([first, second])))).toEqual([['batch', 0], ['| record', 'a'], ['| record', 'b'], ['batch', 2], ['| record', 'c']]);
    expect(kinds(dumped('whole.log', Buffer.concat([first, second]), { from: 1 }))).toEqual([['batch', 0], ['| record', 'b'], ['batch', 2], ['| record', 'c']]);
    expect(kinds(dumped('whole.log', Buffer.concat([first, second]), { max: 1, records: false }))).toEqual([['batch', 0]]);
  });

  it.each([
    ['cut', Buffer.concat([first, second.subarray(0, 40)]), 'a batch is cut short: 40 bytes are left'],
    ['cut in the length', Buffer.concat([first, second.subarray(0, 10)]), 'a batch is cut short: 10 bytes are left'],
    ['with zeros behind', Buffer.concat([first, Buffer.alloc(100)]), 'zeros from here on (100 bytes)'],
    ['with garbage behind', Buffer.concat([first, Buffer.alloc(100, 0xee)]), 'no batch begins here'],
    ['that goes back', Buffer.concat([second, first]), 'offset 0 comes after 2'],
  ])('%s is damaged', (_, content, reason) => {
    const lines = dumped('damaged.log', content);
    expect(lines.filter(({ isDamage }) => isDamage).map(({ fields }) => fields['reason'])).toEqual([reason]);
  });

  it('with a wrong checksum is damaged, and is not looked into', () => {
    const wrong = Buffer.from(first);
    wrong[wrong.length - 1]! ^= 1;
    expect(dumped('crc.log', Buffer.concat([wrong, second])).map(({ kind, isDamage, fields }) => [kind, isDamage ?? false, fields['isValid']])).toEqual([
      ['batch', true, false],
      ['batch', false, true],
      ['| record', false, undefined],
    ]);
  });

  it('larger than the window is read whole', () => {
    const large = batch(0, 'x'.repeat(5 * 1024 * 1024));
    const many = Array.from({ length: 3000 }, (_, index) => batch(1 + index, 'y'.repeat(3000)));
    const lines = dumped('large.log', Buffer.concat([...many.slice(0, 0), large, ...many]), { records: false });
    expect(lines).toHaveLength(3001);
    expect(lines.some(({ isDamage }) => isDamage)).toBe(false);
  });
});

describe('small files', () => {
  it.each([
    ['meta.properties', '#\nversion=1\nnode.id=1\n', [{ version: '1' }, { 'node.id': '1' }], 0],
    ['leader-epoch-checkpoint', '0\n2\n0 0\n3 17\n', [{ epoch: '0', startOffset: '0' }, { epoch: '3', startOffset: '17' }], 0],
    ['recovery-point-offset-checkpoint', '0\n1\na 0 5\n', [{ topic: 'a', partition: '0', offset: '5' }], 0],
    ['replication-offset-checkpoint', '0\n2\na 0 5\n', [{ topic: 'a', partition: '0', offset: '5' }, { reason: 'it says 2 entries and has 1' }], 1],
    ['quorum-state', '{"leaderId":1,"data_version":1}', [{ leaderId: 1, data_version: 1 }], 0],
    ['00000000000000000010.index', Buffer.from('0000000500000100000000090000020000000000000000000', 'hex'), [{ offset: 15, position: 256 }, { offset: 19, position: 512 }], 0],
    ['00000000000000000000.snapshot', Buffer.alloc(5), 1, 1],
    ['00000000000000000000.txnindex', Buffer.alloc(5), 1, 1],
  ])('%s', (name, content, expected, damages) => {
    const directory = mkdtempSync(join(root, 'small-'));
    writeFileSync(join(directory, name), content);
    const lines = [...dumpSmallFile(disk, join(directory, name))];
    if (typeof expected === 'number') expect(lines).toHaveLength(expected);
    else expect(lines.map(({ fields }) => fields)).toEqual(expected);
    expect(lines.filter(({ isDamage }) => isDamage)).toHaveLength(damages);
  });
});

const images = resolve(process.env['OTTLA_KAFKA_DATA'] ?? '../shared/golden/kafka-data');

describe.skipIf(!existsSync(images))('Apache Kafka\'s directories (skipped without ../shared/golden/kafka-data)', () => {
  it('have no file that is damaged or a record that has no meaning', () => {
    const target = join(root, 'image');
    mkdirSync(target);
    execFileSync('tar', ['xzf', join(images, 'clean.tar.gz'), '-C', target]);
    const files = readdirSync(target, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(50);
    let records = 0;
    for (const file of files) {
      const lines = /\.(log|checkpoint)$/.test(file) ? dumpLog(disk, file, everything) : dumpSmallFile(disk, file);
      for (const { kind, fields, isDamage } of lines) {
        expect([file, isDamage ?? false, fields['undecodable']]).toEqual([file, false, undefined]);
        if (kind === '| record') records++;
      }
    }
    expect(records).toBeGreaterThan(1000);
  });
});
