/**
 * One node of `ottla --nodes`, in a thread of its own: what `cluster.ts` starts and stops by messages.
 *
 *     to it    leave  stop
 *     from it  ready {bootstrapServers}  failed {line, exitCode}  fatal {line}  left  stopped {line}  log {level, line}
 *
 * Does not read the command line or take signals: the main thread does.
 */
import module from 'node:module';
import { Broker } from '../broker.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { processFacts } from '../runtime/node-process.ts';
import { thisThread } from '../runtime/node-threads.ts';
import type { Message } from '../runtime/node-threads.ts';
import { Settings } from '../settings.ts';
import type { SettingsSources } from '../settings.ts';
import { explain } from './failures.ts';

export interface NodeTask {
  readonly sources: SettingsSources;
  readonly dataDir: string | undefined;
  readonly memory: boolean;
  readonly clusterId: string;
}

export type NodeReport =
  | { readonly type: 'ready'; readonly bootstrapServers: string }
  | { readonly type: 'failed'; readonly line: string; readonly exitCode: number; readonly isAborted: boolean }
  | { readonly type: 'fatal'; readonly line: string }
  | { readonly type: 'left' }
  | { readonly type: 'stopped'; readonly line: string | null }
  | { readonly type: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly line: string };

const thread = thisThread()!;
const task = thread.data as unknown as NodeTask;
const report = (message: NodeReport): void => thread.send(message as unknown as Message);
const say = (level: 'info' | 'warn' | 'error') => (line: string) => report({ type: 'log', level, line });
const abort = new AbortController();
let broker: Broker | null = null;

thread.onMessage((message) => {
  if (message === 'leave') void leave();
  else void stop();
});

async function leave(): Promise<void> {
  abort.abort();
  await broker?.leave();
  report({ type: 'left' });
}

async function stop(): Promise<void> {
  abort.abort();
  let line: string | null = null;
  try {
    await broker?.stop({ withAll: true });
  } catch (error) {
    line = explain(error).line;
  }
  report({ type: 'stopped', line });
  thread.close();
}

try {
  broker = await Broker.start({
    runtime: nodeRuntime(), settings: Settings.from(task.sources), dataDir: task.dataDir, memory: task.memory, clusterId: task.clusterId,
    logger: { info: say('info'), warn: say('warn'), error: say('error') },
    onFatal: (error) => report({ type: 'fatal', line: explain(error).line }),
    aborted: abort.signal,
    processUse: processFacts(),
  });
  report({ type: 'ready', bootstrapServers: broker.bootstrapServers });
  if (broker.httpPort !== null) say('info')(`health, readiness and metrics on port ${broker.httpPort}`);
  module.flushCompileCache();
} catch (error) {
  report({ type: 'failed', ...explain(error), isAborted: abort.signal.aborted });
}
