/**
 * The records of the metadata log by name: how intentions are written down, and what `delta.ts` folds.
 *
 * Promises: types for both; an unknown type or version throws RangeError when it is decoded, since skipping what a later version said about the cluster
 * would be worse than not starting. Bytes in a decoded record alias the batch that it came in.
 */
import type { Input, Value } from '../../protocol/schema.ts';
import { encodeMetadataRecord, type MetadataRecordName, metadataRecords } from '../../protocol/log-records/metadata.ts';

type Messages = { readonly [N in MetadataRecordName]: (typeof metadataRecords)[N]['message'] };

export type RecordValue<N extends MetadataRecordName> = Value<Messages[N]>;
/** A record to be written. */
export type NewRecord = {
  [N in MetadataRecordName]: { readonly name: N; readonly version: number; readonly value: Input<Messages[N]> };
}[MetadataRecordName];

export function newRecord<N extends MetadataRecordName>(name: N, value: Input<Messages[N]>, version = 0): NewRecord {
  return { name, version, value } as NewRecord;
}

export function encodeRecord(record: NewRecord): Buffer {
  return encodeMetadataRecord(record.name, record.version, record.value);
}
