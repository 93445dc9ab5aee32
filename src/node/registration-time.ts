/**
 * How long a start waits for its quorum: a broker that hears of no leader gives up when Kafka's does, a controller waits for the others as long as it takes,
 * and either ends when it is told to. Does not register anybody.
 */
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { RegistrationError } from './lifecycle.ts';
import type { Roles } from './roles.ts';

export interface StartOptions {
  readonly runtime: Runtime;
  readonly settings: Settings;
  readonly roles: Roles;
  readonly aborted?: AbortSignal | undefined;
}

export async function inTime<T>({ runtime, settings, roles, aborted }: StartOptions, open: (aborted: AbortSignal) => Promise<T>): Promise<T> {
  const end = new AbortController();
  const abort = (): void => end.abort();
  if (aborted?.aborted === true) abort();
  aborted?.addEventListener('abort', abort);
  let isLate = false;
  const timeoutMs = settings.get('initial.broker.registration.timeout.ms');
  const late = !roles.isBroker ? null : runtime.timers.after(timeoutMs, () => {
    isLate = true;
    abort();
  });
  try {
    return await open(end.signal);
  } catch (error) {
    if (isLate) throw new RegistrationError(`no leader of the controller quorum was heard of within initial.broker.registration.timeout.ms = ${timeoutMs}`);
    throw error;
  } finally {
    late?.cancel();
    aborted?.removeEventListener('abort', abort);
  }
}

/** The promise, or a rejection as soon as the start is told to end. */
export function orAborted<T>(promise: Promise<T>, aborted: AbortSignal | undefined): Promise<T> {
  if (aborted === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new RegistrationError('the start was told to end'));
    if (aborted.aborted) abort();
    aborted.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(() => aborted.removeEventListener('abort', abort));
  });
}
