/** How a process that serves is stopped, and where it says what happens. The first SIGINT, SIGTERM or SIGHUP asks, a second one ends the process at once. */
import type { Logger } from '../runtime/logger.ts';
import type { Clock } from '../runtime/runtime.ts';
import { isoTime } from './time.ts';

/** Under the launcher's relay a signal to the process group comes twice: once to us and once passed on. */
const ECHO_MS = process.env['OTTLA_RELAYED_SIGNALS'] === '1' ? 200 : 0;

export interface Signals {
  readonly asked: Promise<void>;
  readonly aborted: AbortSignal;
}

export function watchSignals(logger: Logger, clock: Clock): Signals {
  let firstMs: number | undefined;
  const abort = new AbortController();
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        const nowMs = clock.monotonicMs();
        if (firstMs !== undefined && nowMs - firstMs < ECHO_MS) return;
        if (firstMs !== undefined) process.exit(signal === 'SIGTERM' ? 143 : 130);
        firstMs = nowMs;
        logger.info(`${signal}: stopping (once more stops at once)`);
        abort.abort();
        resolve();
      });
    }
  });
  return { asked, aborted: abort.signal };
}

/** `2026-11-21T12:00:00.000Z INFO line` */
export function stderrLogger(clock: Clock, isQuiet: boolean): Logger {
  const say = (level: string) => (line: string) => console.error(`${isoTime(clock.wallMs())} ${level} ${line}`);
  return { info: isQuiet ? () => undefined : say('INFO'), warn: say('WARN'), error: say('ERROR') };
}
