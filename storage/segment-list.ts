/**
 * The segments of a log in the order of their base offsets. The last one is active: only it is written to.
 *
 * Promises: never empty once the log is open; base offsets strictly increase. Does not: touch files.
 */
import assert from 'node:assert';
import type { Segment } from './segment.ts';

export class SegmentList {
  #segments: Segment[] = [];

  get count(): number {
    return this.#segments.length;
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  get first(): Segment {
    const first = this.#segments[0];
    assert(first !== undefined);
    return first;
  }

  get active(): Segment {
    const last = this.#segments[this.#segments.length - 1];
    assert(last !== undefined);
    return last;
  }

  get sizeBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.sizeBytes;
    return bytes;
  }

  add(segment: Segment): void {
    assert(this.#segments.length === 0 || segment.baseOffset > this.active.baseOffset);
    this.#segments.push(segment);
  }

  remove(segment: Segment): void {
    const at = this.#segments.indexOf(segment);
    assert(at >= 0);
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  has(segment: Segment): boolean {
    return this.#segments[this.floorIndex(segment.baseOffset)] === segment;
  }

  clear(): void {
    this.#segments = [];
  }

  /** Index of the last segment whose base offset is not beyond `offset`, or -1. */
  floorIndex(offset: number): number {
    let low = -1;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#segments[middle] as Segment).baseOffset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  floor(offset: number): Segment | undefined {
    return this.#segments[this.floorIndex(offset)];
  }

  /** From the segment that holds `offset` on, oldest first; all of them when it lies before the first. */
  from(offset: number): readonly Segment[] {
    return this.#segments.slice(Math.max(0, this.floorIndex(offset)));
  }

  /** Those that begin beyond `offset`, oldest first. */
  beyond(offset: number): readonly Segment[] {
    return this.#segments.slice(this.floorIndex(offset) + 1);
  }

  /** The base offset of the segment after this one; undefined for the active one. */
  nextBaseOffset(segment: Segment): number | undefined {
    return this.#segments[this.floorIndex(segment.baseOffset) + 1]?.baseOffset;
  }
}
