/**
 * The README says what the code does: its tables are made from the registry, the preset and the settings, its commands exist, its example runs.
 * `OTTLA_UPDATE_README=1 npm test -- test/readme.test.ts` writes the tables anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { apis } from '../protocol/messages/index.ts';
import { servedApis } from '../src/api/index.ts';
import { servedOn } from '../src/api/serve.ts';
import { startBroker } from '../src/index.ts';
import { brokerSettings } from '../src/settings/broker-settings.ts';
import { ownSettings } from '../src/settings/own.ts';
import { DEVELOPMENT } from '../src/settings/preset.ts';

const path = resolve(import.meta.dirname, '../README.md');
const range = (min: number, max: number) => (min === max ? `${min}` : `${min}-${max}`);
const row = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;

function capabilities(): string[] {
  const served = servedOn('broker', servedApis).map(({ api, versionMin, versionMax }) => row(api.name, api.key, range(versionMin, versionMax)));
  const missing = [...apis.values()].filter((api) => api.listeners.includes('broker') && !servedOn('broker', servedApis).some((one) => one.api.key === api.key));
  return [row('API', 'key', 'versions'), row('---', '---', '---'), ...served, '', `Not served yet, and so not advertised: ${missing.map(({ name }) => name).sort().join(', ')}.`];
}

function preset(): string[] {
  const rows = Object.entries(DEVELOPMENT).map(([name, value]) => row(`\`${name}\``, value, brokerSettings[name as keyof typeof brokerSettings].defaultText ?? ''));
  return [row('setting', 'development', '`--production`'), row('---', '---', '---'), ...rows];
}

function ownLimits(): string[] {
  const source = readFileSync(resolve(import.meta.dirname, '../src/settings/own.ts'), 'utf8');
  const rows = Object.entries(ownSettings).map(([name, setting]) => {
    const comment = new RegExp(`/\\*\\* (.+) \\*/\\n  '${name.replaceAll('.', '\\.')}'`).exec(source)?.[1];
    if (comment === undefined) throw new Error(`${name} has no comment of one line in own.ts`);
    return row(`\`${name}\``, setting.defaultText ?? '', comment);
  });
  return [row('setting', 'default', 'what it is for'), row('---', '---', '---'), ...rows];
}

describe('README.md', () => {
  const text = readFileSync(path, 'utf8');

  it.each([
    ['capabilities', capabilities],
    ['preset', preset],
    ['own limits', ownLimits],
  ])('has the %s of the code', (name, make) => {
    const pattern = new RegExp(`(<!-- ${name} -->\\n)([^]*?)(<!-- end of ${name} -->)`);
    const current = readFileSync(path, 'utf8');
    expect(pattern.test(current), `README.md has no part between <!-- ${name} --> and <!-- end of ${name} -->`).toBe(true);
    if (process.env['OTTLA_UPDATE_README'] === '1') writeFileSync(path, current.replace(pattern, (_, before: string, __, after: string) => `${before}${make().join('\n')}\n${after}`));
    expect(pattern.exec(readFileSync(path, 'utf8'))![2], 'write it anew with OTTLA_UPDATE_README=1').toBe(`${make().join('\n')}\n`);
  });

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../package.json'), 'utf8')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm (?:run ([a-z]+(?::[a-z]+)?)|(start|test)\b)/g)].map((found) => found[1] ?? found[2]!);
    expect(named.length).toBeGreaterThan(4);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  it('has an example of the library that runs', async () => {
    const example = /```ts\n([^]*?)```/.exec(text)?.[1];
    expect(example, 'README.md has no ts block').toBeDefined();
    const body = example!.replace(/^import .*$/gm, '');
    const lines: string[] = [];
    // The imports are given, so that the example needs no package of itself.
    const run = new Function('startBroker', 'Kafka', 'logLevel', 'console', `return (async () => { ${body} })();`) as (...given: unknown[]) => Promise<void>;
    class QuietKafka extends Kafka {
      constructor(options: ConstructorParameters<typeof Kafka>[0]) {
        super({ ...options, logLevel: logLevel.NOTHING });
      }
    }
    await run(startBroker, QuietKafka, logLevel, { log: (line: unknown) => lines.push(String(line)) });
    expect(lines).toEqual(['hello']);
  });
});
