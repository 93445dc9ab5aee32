/**
 * Threads of this process, each with an event loop of its own, that speak to the one that started them by messages.
 *
 * Promises: messages of one direction come in order; `ended` resolves once, with the error that ended the thread or null. Does not share memory, or restart what ended.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** What can be copied from thread to thread. */
export type Message = null | boolean | number | string | readonly Message[] | { readonly [name: string]: Message | undefined };

export interface Thread {
  send(message: Message): void;
  readonly ended: Promise<Error | null>;
  /** Ends it where it stands. */
  terminate(): void;
}

/** Runs the module in a thread. Its standard output and error are this process's. */
export function startThread(module: URL, options: { readonly data: Message; readonly onMessage: (message: Message) => void }): Thread {
  const worker = new Worker(module, { workerData: options.data });
  worker.on('message', options.onMessage);
  const ended = new Promise<Error | null>((resolve) => {
    worker.once('error', resolve);
    worker.once('exit', () => resolve(null));
  });
  return { send: (message) => worker.postMessage(message), ended, terminate: () => void worker.terminate() };
}

/** The thread that this runs in, as its module sees it; null in the main thread. */
export function thisThread(): { readonly data: Message; send(message: Message): void; onMessage(call: (message: Message) => void): void; close(): void } | null {
  const port = parentPort;
  if (port === null) return null;
  return { data: workerData as Message, send: (message) => port.postMessage(message), onMessage: (call) => void port.on('message', call), close: () => port.close() };
}
