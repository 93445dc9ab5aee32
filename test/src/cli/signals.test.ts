/** The first signal asks for an end, the second does not wait for it. */
import { afterEach, expect, test, vi } from 'vitest';
import { watchSignals } from '../../../src/cli/signals.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const before = new Map(SIGNALS.map((signal) => [signal, process.listeners(signal)]));

afterEach(() => {
  for (const signal of SIGNALS) for (const listener of process.listeners(signal)) if (!before.get(signal)!.includes(listener)) process.off(signal, listener);
  vi.restoreAllMocks();
});

test.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s twice ends the process with %i while it is still stopping', async (second, code) => {
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const signals = watchSignals({ info: say, warn: say, error: say }, { monotonicMs: () => 0, wallMs: () => 0 });
  expect(signals.aborted.aborted).toBe(false);
  process.emit('SIGINT', 'SIGINT');
  await signals.asked;
  expect([signals.aborted.aborted, lines, exit.mock.calls]).toEqual([true, ['SIGINT: stopping (once more stops at once)'], []]);
  process.emit(second, second);
  expect(exit.mock.calls).toEqual([[code]]);
});
