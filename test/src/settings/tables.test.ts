/**
 * The tables against Kafka's own (names, types, defaults, rules, update modes), which lie beside the repository: directory from OTTLA_SHARED,
 * default ../shared. Where they are missing only the counts are held.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokerSettingsByName } from '../../../src/settings/broker-settings.ts';
import { groupConfigSettings } from '../../../src/settings/group-settings.ts';
import { ownSettings } from '../../../src/settings/own.ts';
import { DEVELOPMENT, STANDING } from '../../../src/settings/preset.ts';
import { InvalidSettingError, parseSetting } from '../../../src/settings/setting.ts';
import type { Setting } from '../../../src/settings/setting.ts';
import { SERVER_DEFAULTS, topicSettings } from '../../../src/settings/topic-settings.ts';

interface Row {
  readonly name: string;
  readonly type: string;
  readonly default: string | null;
  readonly validValues: string | null;
  readonly sensitive?: boolean;
  readonly updateMode?: string;
  readonly internal?: boolean;
  readonly dynamicOnly?: boolean;
  readonly emptyAllowed?: boolean;
  readonly serverConfig?: string | null;
  readonly serverConfigs?: readonly { name: string; milliseconds?: number }[];
}

const tables = resolve(process.env['OTTLA_SHARED'] ?? '../shared', 'reference/tables');
const read = (name: string): readonly Row[] => JSON.parse(readFileSync(resolve(tables, name), 'utf8')) as Row[];
const present = existsSync(tables);

/** Read by Kafka's authorizer past the broker's table. */
const EXTRA = ['allow.everyone.if.no.acl.found', 'super.users'];

function compare(rows: readonly Row[], ours: ReadonlyMap<string, Setting>): void {
  for (const row of rows) {
    const setting = ours.get(row.name);
    expect(setting, row.name).toBeDefined();
    expect([row.name, setting!.type, setting!.defaultText]).toEqual([row.name, row.type.toLowerCase(), row.default]);
    expect([row.name, setting!.internal ?? false, setting!.sensitive]).toEqual([row.name, row.internal ?? false, row.sensitive ?? false]);
    if (row.updateMode !== undefined) expect([row.name, setting!.update ?? 'read-only']).toEqual([row.name, row.updateMode]);
    expect([row.name, setting!.dynamicOnly ?? false]).toEqual([row.name, row.dynamicOnly ?? false]);
    checkRule(row, setting!);
  }
}

/** Values on and beside each border of Kafka's rule. */
function checkRule(row: Row, setting: Setting): void {
  const takes = (text: string): boolean => {
    try {
      parseSetting(row.name, setting, text);
      return true;
    } catch (error) {
      if (error instanceof InvalidSettingError) return false;
      throw error;
    }
  };
  const range = /^\[(-?[\d.]+),\.\.\.,?(-?[\d.]+)?\]/.exec(row.validValues ?? '');
  if (range !== null) {
    const [low, high] = [Number(range[1]), range[2] === undefined ? undefined : Number(range[2])];
    expect([row.name, takes(String(low)), takes(String(low - 1))]).toEqual([row.name, true, row.validValues!.endsWith(`or ${low - 1}`)]);
    if (high !== undefined) expect([row.name, takes(String(high)), takes(String(high + 1))]).toEqual([row.name, true, false]);
    return;
  }
  const oneOf = /^(?:\(case insensitive\) )?\[([\w, -]+)\]$/.exec(row.validValues ?? '');
  if (oneOf !== null) {
    for (const one of oneOf[1]!.split(', ')) expect([row.name, one, takes(one)]).toEqual([row.name, one, true]);
    expect([row.name, takes('no such value')]).toEqual([row.name, false]);
  }
  if (row.type === 'LIST') expect([row.name, takes('')]).toEqual([row.name, row.emptyAllowed]);
  if (row.validValues === 'non-empty string') expect([row.name, takes('')]).toEqual([row.name, false]);
  if (['INT', 'LONG', 'SHORT', 'DOUBLE', 'BOOLEAN'].includes(row.type)) expect([row.name, takes('x')]).toEqual([row.name, false]);
}

describe('the tables', () => {
  it('have every setting of Kafka 4.3.1 and no more than are said to be ours', () => {
    expect(brokerSettingsByName.size).toBe(363 + EXTRA.length + Object.keys(ownSettings).length);
    expect(Object.keys(topicSettings)).toHaveLength(34);
    expect(Object.keys(groupConfigSettings)).toHaveLength(17);
    for (const name of [...Object.keys(DEVELOPMENT), ...Object.keys(STANDING)]) expect(brokerSettingsByName.has(name)).toBe(true);
  });

  it.skipIf(!present)('are Kafka\'s: broker (skipped without ../shared/reference/tables)', () => {
    const rows = read('broker-configs.json');
    compare(rows, brokerSettingsByName);
    const known = new Set([...rows.map((row) => row.name), ...EXTRA, ...Object.keys(ownSettings)]);
    expect([...brokerSettingsByName.keys()].filter((name) => !known.has(name))).toEqual([]);
  });

  it.skipIf(!present)('are Kafka\'s: topic, with the broker settings behind each (skipped without ../shared/reference/tables)', () => {
    const rows = read('topic-configs.json');
    compare(rows.filter((row) => !row.validValues?.includes('partitionId')), new Map(Object.entries(topicSettings)));
    expect(Object.keys(topicSettings)).toEqual(rows.map((row) => row.name));
    for (const row of rows) {
      const ours = (SERVER_DEFAULTS as Record<string, readonly { name: string; unit: number }[] | undefined>)[row.name];
      expect([row.name, ours]).toEqual([row.name, row.serverConfigs?.map(({ name, milliseconds }) => ({ name, unit: milliseconds ?? 1 }))]);
    }
  });

  it.skipIf(!present)('are Kafka\'s: group (skipped without ../shared/reference/tables)', () => {
    const rows = read('group-configs.json');
    compare(rows.filter((row) => !row.validValues?.includes('by_duration')), new Map(Object.entries(groupConfigSettings)));
    expect(Object.keys(groupConfigSettings)).toEqual(rows.map((row) => row.name));
    for (const row of rows) expect([row.name, brokerSettingsByName.has(`group.${row.name}`)]).toEqual([row.name, row.serverConfig !== null]);
  });
});

describe('served', () => {
  /** What a comment says is not acted on. */
  const withoutComments = (text: string) => text.replace(/\/\*[^]*?\*\/|\/\/.*$/gm, '');
  // The rules over several settings are checked for all of them, acted on or not.
  const isActor = (file: string) => file.endsWith('.ts') && (!file.startsWith('src/settings/') || file.endsWith('/listeners.ts'));
  const root = resolve(import.meta.dirname, '../../..');
  const files = ['src', 'storage'].flatMap((room) => readdirSync(resolve(root, room), { recursive: true, encoding: 'utf8' }).map((file) => `${room}/${file}`));
  const code = files.filter(isActor).map((file) => withoutComments(readFileSync(resolve(root, file), 'utf8'))).join('\n');
  const named = (name: string) => code.includes(`'${name}'`);

  it('is true of what the code asks for, and of nothing else: DescribeConfigs shows what is acted on', () => {
    const throughTopics = new Set(Object.entries(SERVER_DEFAULTS).flatMap(([name, defaults]) => (named(name) ? defaults.map((one) => one.name as string) : [])));
    const wrong = [...brokerSettingsByName].filter(([name, { served }]) => (served === true) !== (named(name) || throughTopics.has(name)));
    expect(wrong.map(([name, { served }]) => `${name} is ${served === true ? 'served, and nobody asks for it' : 'asked for, and not marked as served'}`)).toEqual([]);
  });
});
