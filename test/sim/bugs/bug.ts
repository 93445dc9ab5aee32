/**
 * A bug that systems of this kind have had, as a change of our source: the simulator runs with it and must find it.
 * Promises: plain data; `apply` throws when the piece is not there exactly once, so that no bug is forgotten when the code moves on.
 */
import type { FaultKind } from '../plan.ts';

export interface Change {
  /** Relative to the repository. */
  readonly file: string;
  readonly piece: string;
  readonly replacement: string;
}

export interface Bug {
  readonly name: string;
  /** What it is, and where it was seen. */
  readonly about: string;
  readonly changes: readonly Change[];
  /** The faults that it needs, where ordinary seeds have them too seldom to wait for them; all others are off. */
  readonly kinds?: readonly FaultKind[];
  readonly nodes?: number;
}

export function apply(text: string, { file, piece, replacement }: Change): string {
  const parts = text.split(piece);
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${piece}`);
  return parts.join(replacement);
}
