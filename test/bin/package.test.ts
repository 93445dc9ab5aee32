/** The package as npm makes it of a fresh clone: what is in it, and that a strict project takes its types. Does not install it: its dependencies are those of the clone. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'ottla-package-'));
const clone = join(scratch, 'clone');

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const STRICT = { strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, module: 'nodenext', target: 'es2023', lib: ['es2023', 'esnext.disposable'], types: ['node'] };

const CONSUMER = `
import { KafkaError, SettingError, startBroker, startCluster } from 'ottla';
import type { BrokerOptions, ClusterOptions, Logger, NewTopic, RunningBroker } from 'ottla';
const logger: Logger = { info: () => {}, warn: () => {}, error: () => {} };
const options: BrokerOptions = { settings: { 'num.partitions': 3 }, logger };
const topic: NewTopic = { name: 'b', numPartitions: 2 };
const broker: RunningBroker = await startBroker(options);
await broker.createTopics(['a', topic]);
await using cluster = await startCluster({ nodes: 3 } satisfies ClusterOptions);
const ports: string[] = cluster.brokers.map((one) => one.bootstrapServers);
export const caught = (error: unknown): number | string => (error instanceof KafkaError ? error.code : error instanceof SettingError ? error.message : ports.length);
// @ts-expect-error: no such option
await startBroker({ prot: 1 });
`;

it('has what it says, types included', () => {
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'README.md', 'bin', 'src', 'protocol', 'storage']) cpSync(join(root, name), join(clone, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', scratch], { cwd: clone, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf('\n[') + 1)) as [{ filename: string; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'bin/ottla.js', 'dist/cli.js', 'dist/cluster-thread.js', 'dist/index.js', 'dist/types/src/index.d.ts', 'package.json']));
  expect(paths.filter((path) => !/^(LICENSE|README\.md|package\.json|bin\/|dist\/)/.test(path) || path.endsWith('.test.ts'))).toEqual([]);

  const project = join(scratch, 'project');
  mkdirSync(join(project, 'node_modules/ottla'), { recursive: true });
  execFileSync('tar', ['xzf', join(scratch, filename), '-C', join(project, 'node_modules/ottla'), '--strip-components=1']);
  symlinkSync(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'));
  symlinkSync(join(root, 'node_modules/undici-types'), join(project, 'node_modules/undici-types'));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module' }));
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT, files: ['consumer.ts'] }));
  writeFileSync(join(project, 'consumer.ts'), CONSUMER);
  expect(said(() => execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', project], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))).toBe('');
}, 180_000);

function said(run: () => string): string {
  try {
    return run();
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
