/**
 * Control records: the transaction markers in partitions and the quorum's own records in the metadata log.
 *
 * Promises: the key of a control record, type and version, both ways; an unknown type is -1, as later versions may add some.
 * Does not: the values, which are messages (`log-records/`), or the meaning.
 *
 *      0  version:2
 *      2  type:2
 */
export const ControlRecordType = {
  ABORT: 0,
  COMMIT: 1,
  LEADER_CHANGE: 2,
  SNAPSHOT_HEADER: 3,
  SNAPSHOT_FOOTER: 4,
  KRAFT_VERSION: 5,
  KRAFT_VOTERS: 6,
  UNKNOWN: -1,
} as const;
export type ControlRecordType = (typeof ControlRecordType)[keyof typeof ControlRecordType];

const KEY_BYTES = 4;
const VERSION_AT = 0;
const TYPE_AT = 2;
const CURRENT_VERSION = 0;
const KNOWN_TYPES = 7;

export function encodeControlKey(type: ControlRecordType): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.writeInt16BE(CURRENT_VERSION, VERSION_AT);
  key.writeInt16BE(type, TYPE_AT);
  return key;
}

/** The type that a control record's key names, or undefined where it is no such key. Later versions may be longer. */
export function decodeControlType(key: Buffer | null): ControlRecordType | undefined {
  if (key === null || key.length < KEY_BYTES || key.readInt16BE(VERSION_AT) < CURRENT_VERSION) return undefined;
  const type = key.readInt16BE(TYPE_AT);
  return type >= 0 && type < KNOWN_TYPES ? (type as ControlRecordType) : ControlRecordType.UNKNOWN;
}
