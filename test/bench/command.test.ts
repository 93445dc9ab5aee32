/** Programs that end well, badly, late, and with children of their own. */
import { platform } from 'node:os';
import { expect, test } from 'vitest';
import { command } from '../../bench/command.ts';
import { processTree } from '../../bench/process-usage.ts';

const node = (script: string, options = {}) => command(process.execPath, ['-e', script], options);

test('output, lines as they come, and input', async () => {
  const lines: string[] = [];
  const result = await node(`process.stdin.on('data', (text) => process.stdout.write('got ' + text)); console.log('first')`, {
    input: 'a\nb\n',
    onLine: (line: string) => lines.push(line),
  });
  expect(result).toMatchObject({ stdout: 'first\ngot a\nb\n', stderr: '', status: 0 });
  expect(lines).toEqual(['first', 'got a', 'b']);
});

test('a status is an error with what was printed, or a result', async () => {
  await expect(node('console.error("why it failed"); process.exit(3)')).rejects.toThrow(/ended with 3\nwhy it failed/);
  expect(await node('process.exit(3)', { anyStatus: true })).toMatchObject({ status: 3 });
  await expect(node('process.kill(process.pid, "SIGTERM")')).rejects.toThrow('ended with SIGTERM');
  await expect(command('/no/such/program', [])).rejects.toThrow('ENOENT');
});

test.skipIf(platform() !== 'linux')('after its deadline a program is killed with its children (seen in /proc)', async () => {
  let child = 0;
  const script = `const { pid } = require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' }); console.log(pid); setInterval(() => {}, 1e9)`;
  await expect(
    node(script, {
      timeoutMs: 1_000,
      anyStatus: true,
      onLine: (line: string) => {
        child = Number(line);
      },
    }),
  ).rejects.toThrow('did not end within 1000 ms');
  expect(child).toBeGreaterThan(0);
  expect(processTree(process.pid)).not.toContain(child);
});
