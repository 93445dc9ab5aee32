/**
 * A group of a kind that is not served yet (consumer, share, streams), as its records in the log tell: that it is there, whether it has members, and under
 * which keys its records lie, so that it can be deleted as a whole.
 *
 * Promises: what Apache Kafka wrote of it stays in the log until somebody deletes the group. Does not know its members, epochs or assignments.
 */
import type { GroupRecord, OtherGroupType } from './group-records.ts';
import { TimelineMap } from './timeline.ts';
import type { Timeline } from './timeline.ts';

type OtherRecord = Extract<GroupRecord, { type: 'other' }>;

export class OtherGroup {
  readonly id: string;
  readonly type: OtherGroupType;
  /** The records that the group has in the log, by the bytes of their keys. */
  readonly #records: TimelineMap<string, OtherRecord>;

  constructor(id: string, type: OtherGroupType, timeline: Timeline) {
    this.id = id;
    this.type = type;
    this.#records = new TimelineMap(timeline);
  }

  replay(record: OtherRecord): void {
    const key = record.key.toString('latin1');
    if (record.isTombstone) this.#records.delete(key);
    else this.#records.set(key, record);
  }

  get hasRecords(): boolean {
    return !this.#records.isEmpty();
  }

  get isEmpty(): boolean {
    for (const record of this.#records.values()) if (record.says === 'member') return false;
    return true;
  }

  /** Kafka knows more states of a group with members than can be told from here. */
  get state(): 'Empty' | 'Stable' {
    return this.isEmpty ? 'Empty' : 'Stable';
  }

  /** The group's own record goes last: Apache Kafka does not load a partition in which anything of a group outlives it. */
  tombstones(): GroupRecord[] {
    const records = [...this.#records.values()].sort((a, b) => Number(a.says === 'group') - Number(b.says === 'group'));
    return records.map((record) => ({ ...record, isTombstone: true }));
  }
}
