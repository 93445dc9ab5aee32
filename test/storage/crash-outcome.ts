/**
 * What a power loss may leave of changes that were not synced: the outcomes that the crash disk knows, and the decisions of each.
 *
 * Promises: an outcome decides the same for the same changes each time. Between them they lose suffixes, single changes, sectors, bytes but not sizes,
 * creations but not removals, and the other way round. Does not: know which changes were synced; it is asked only about those that were not.
 */
import { Seeded } from './seeded.ts';

export const SECTOR_BYTES = 512;

export type NodeId = number;

export interface Doubtful {
  /** Journal index from which on it is durable. */
  durableAt: number;
  /** A sync of it failed: no later one counts. */
  inDoubt: boolean;
}

export interface NameChange extends Doubtful {
  readonly kind: 'name';
  readonly id: NodeId;
  readonly from: { readonly directory: NodeId; readonly name: string } | undefined;
  readonly to: { readonly directory: NodeId; readonly name: string } | undefined;
}

export interface ContentChange extends Doubtful {
  readonly kind: 'write' | 'truncate';
  readonly id: NodeId;
  /** Where the bytes go, or the new size. */
  readonly position: number;
  readonly bytes: Buffer;
}

/** What becomes of what was not durable. */
export type Outcome =
  | 'nothing' | 'everything' | 'names without data' | 'sizes without data' | 'data without names'
  /** Of the last write to each file the first half of its sectors; the file ends there, or with zeros where the write did. */
  | 'torn' | 'torn, with its size'
  /** Of names only: files that were made are not there, those that were moved or removed are gone; or neither is gone. */
  | 'creations lost' | 'removals lost'
  | { readonly seed: number };

/** All but the random ones. */
export const PLAIN_OUTCOMES: readonly Outcome[] = [
  'everything', 'nothing', 'names without data', 'sizes without data', 'data without names', 'torn', 'torn, with its size', 'creations lost', 'removals lost',
];

export function showOutcome(outcome: Outcome): string {
  return typeof outcome === 'string' ? outcome : `seed ${outcome.seed}`;
}

/** What is left of a change of contents. */
type Kept = 'whole' | 'lost' | 'size' | { readonly withSize: boolean; readonly isKept: (sector: number) => boolean };

/** The decisions of one outcome: the same for the same outcome, boundary and journal. */
export class Choice {
  readonly #outcome: Outcome;
  readonly #random: Seeded | undefined;

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
    this.#random = typeof outcome === 'string' ? undefined : new Seeded(outcome.seed);
  }

  /** Asked once for each pending change of a name, in order. */
  names(pending: number): (change: NameChange) => boolean {
    const random = this.#random;
    if (this.#outcome === 'creations lost') return ({ from }) => from !== undefined;
    if (this.#outcome === 'removals lost') return ({ from }) => from === undefined;
    if (random === undefined) {
      const keep = this.#outcome !== 'nothing' && this.#outcome !== 'data without names';
      return () => keep;
    }
    switch (random.below(4)) {
      case 0:
        return () => true;
      case 1:
        return () => false;
      case 2: {
        // A journal that keeps what came first.
        let left = random.below(pending + 1);
        return () => left-- > 0;
      }
      default:
        return () => random.chance(0.5);
    }
  }

  content(base: Buffer, changes: readonly ContentChange[], boundary: number): Buffer {
    const file = new Growing(base);
    const pending = changes.filter((change) => change.durableAt > boundary);
    // What was durable is so in order, whatever came between.
    const decide = this.#decide(pending);
    for (const change of changes) {
      const kept = change.durableAt <= boundary ? 'whole' : decide(change);
      if (kept === 'lost') continue;
      if (change.kind === 'truncate') file.resize(change.position);
      else if (kept === 'whole') file.write(change.bytes, change.position);
      else if (kept === 'size') file.extend(change.position + change.bytes.length);
      else {
        if (kept.withSize) file.extend(change.position + change.bytes.length);
        file.writeSectors(change.bytes, change.position, kept.isKept);
      }
    }
    return file.bytes();
  }

  #decide(pending: readonly ContentChange[]): (change: ContentChange) => Kept {
    const last = pending.at(-1);
    switch (this.#outcome) {
      case 'everything':
      case 'data without names':
      case 'creations lost':
      case 'removals lost':
        return () => 'whole';
      case 'nothing':
      case 'names without data':
        return () => 'lost';
      case 'sizes without data':
        return () => 'size';
      case 'torn':
      case 'torn, with its size': {
        const withSize = this.#outcome === 'torn, with its size';
        return (change) => (change === last ? { withSize, isKept: (sector) => sector < Math.ceil(change.bytes.length / SECTOR_BYTES / 2) } : 'whole');
      }
    }
    const random = this.#random!;
    switch (random.below(6)) {
      case 0:
        return () => 'whole';
      case 1:
        return () => 'lost';
      case 2: {
        // A prefix, the next write torn.
        let left = random.below(pending.length + 1);
        const sectors = random.below(1 + Math.ceil((last?.bytes.length ?? 0) / SECTOR_BYTES));
        const withSize = random.chance(0.5);
        return () => (left-- > 0 ? 'whole' : left === -1 ? { withSize, isKept: (sector) => sector < sectors } : 'lost');
      }
      case 3: {
        // The size reached the disk, of the bytes only those of a prefix.
        let left = random.below(pending.length + 1);
        return () => (left-- > 0 ? 'whole' : 'size');
      }
      case 4:
        return () => (random.chance(0.5) ? 'whole' : 'lost');
      default:
        // Sector by sector, in whatever order the device took them.
        return () => (random.chance(0.2) ? 'lost' : { withSize: random.chance(0.5), isKept: () => random.chance(0.5) });
    }
  }
}

/** A file's bytes while changes are applied. */
class Growing {
  #buffer: Buffer;
  #size: number;

  constructor(base: Buffer) {
    this.#buffer = Buffer.from(base);
    this.#size = base.length;
  }

  extend(size: number): void {
    if (size > this.#size) this.resize(size);
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(size, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#size);
      this.#buffer = larger;
    } else if (size < this.#size) {
      this.#buffer.fill(0, size, this.#size);
    }
    this.#size = size;
  }

  write(bytes: Buffer, position: number): void {
    this.extend(position + bytes.length);
    bytes.copy(this.#buffer, position);
  }

  /** Writes those sectors (counted from the one that the write begins in) that are kept; the size covers all of them, unless none is. */
  writeSectors(bytes: Buffer, position: number, isKept: (sector: number) => boolean): void {
    const first = Math.floor(position / SECTOR_BYTES);
    const end = position + bytes.length;
    for (let sector = first; sector * SECTOR_BYTES < end; sector++) {
      if (!isKept(sector - first)) continue;
      const from = Math.max(position, sector * SECTOR_BYTES);
      const to = Math.min(end, (sector + 1) * SECTOR_BYTES);
      this.write(bytes.subarray(from - position, to - position), from);
    }
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}
