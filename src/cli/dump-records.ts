/**
 * What the records of internal topics mean, for people: names and fields instead of bytes. Promises: a record of an unknown type or version, or a
 * damaged one, is told as such and is no error. Does not print.
 */
import { decodeBuffer } from '../../protocol/compile.ts';
import type { AnyMessage } from '../../protocol/schema.ts';
import { EndTxnMarker, KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord } from '../../protocol/log-records/control.ts';
import { ConsumerProtocolAssignment, ConsumerProtocolSubscription } from '../../protocol/log-records/consumer-protocol.ts';
import { decodeCoordinatorRecord, decodeVersioned } from '../../protocol/log-records/framing.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import { decodeMetadataRecord } from '../../protocol/log-records/metadata.ts';
import { shareRecords } from '../../protocol/log-records/share.ts';
import { transactionRecords } from '../../protocol/log-records/transaction.ts';
import { ControlRecordType } from '../../protocol/record/control.ts';
import type { Record as LogRecord } from '../../protocol/record/records.ts';

/** Makes of a record what is worth telling of its contents. */
export type RecordDecoder = (record: LogRecord) => object;

/** The decoder for the topic that a file belongs to; undefined for the topics of users. */
export function decoderOf(topic: string): RecordDecoder | undefined {
  switch (topic) {
    case '__cluster_metadata':
      return guarded(({ value }) => metadata(value));
    case '__consumer_offsets':
      return guarded((record) => readableMembers(coordinator(groupRecords, record)));
    case '__transaction_state':
      return guarded((record) => coordinator(transactionRecords, record));
    case '__share_group_state':
      return guarded((record) => coordinator(shareRecords, record));
    default:
      return undefined;
  }
}

const CONTROL_NAMES = new Map<number, string>(Object.entries(ControlRecordType).map(([name, type]) => [type, name]));

const CONTROL_VALUES: ReadonlyMap<number, AnyMessage> = new Map<number, AnyMessage>([
  [ControlRecordType.ABORT, EndTxnMarker],
  [ControlRecordType.COMMIT, EndTxnMarker],
  [ControlRecordType.LEADER_CHANGE, LeaderChangeMessage],
  [ControlRecordType.SNAPSHOT_HEADER, SnapshotHeaderRecord],
  [ControlRecordType.SNAPSHOT_FOOTER, SnapshotFooterRecord],
  [ControlRecordType.KRAFT_VERSION, KRaftVersionRecord],
  [ControlRecordType.KRAFT_VOTERS, VotersRecord],
]);

export const decodeControlRecord: RecordDecoder = guarded(({ controlType, value }) => {
  const message = controlType === undefined ? undefined : CONTROL_VALUES.get(controlType);
  const name = CONTROL_NAMES.get(controlType ?? ControlRecordType.UNKNOWN) ?? 'UNKNOWN';
  if (message === undefined || value === null) return { control: name };
  // All begin with an int16 version. The quorum's records have it as a field of theirs, the markers of transactions have it in front.
  const body = message === EndTxnMarker ? decodeVersioned(message, value).value : decodeBuffer(message, Math.min(value.readInt16BE(0), message.versions.max), value);
  return { control: name, ...(body as object) };
});

function metadata(value: Buffer | null): object {
  if (value === null) return { record: null };
  const { name, version, value: fields } = decodeMetadataRecord(value);
  return { record: name, version, ...fields };
}

function coordinator(types: Parameters<typeof decodeCoordinatorRecord>[0], { key, value }: LogRecord): Decoded {
  if (key === null) return { record: null };
  const decoded = decodeCoordinatorRecord(types, key, value);
  if (decoded === undefined) return { record: `unknown type ${key.readInt16BE(0)}` };
  const { name, key: keyFields, version, value: fields } = decoded as { name: string; key: object; version: number | undefined; value: object | null };
  return { record: name, key: keyFields, ...(fields === null ? { tombstone: true } : { version, value: fields }) };
}

interface Decoded {
  readonly record: string | null;
  readonly key?: object;
  readonly value?: object;
}

/** Members of consumer groups keep their subscription and assignment as bytes of the consumer protocol. */
function readableMembers(decoded: Decoded): Decoded {
  const value = decoded.value as { protocolType?: string; members?: readonly { subscription: Buffer; assignment: Buffer }[] } | undefined;
  if (decoded.record !== 'GroupMetadata' || value?.protocolType !== 'consumer' || value.members === undefined) return decoded;
  const read = (message: AnyMessage, bytes: Buffer): unknown => {
    try {
      return bytes.length === 0 ? null : decodeVersioned(message, bytes).value;
    } catch {
      return bytes;
    }
  };
  const members = value.members.map((member) => ({
    ...member,
    subscription: read(ConsumerProtocolSubscription, member.subscription),
    assignment: read(ConsumerProtocolAssignment, member.assignment),
  }));
  return { ...decoded, value: { ...value, members } };
}

function guarded(decode: RecordDecoder): RecordDecoder {
  return (record) => {
    try {
      return decode(record);
    } catch (error) {
      return { undecodable: (error as Error).message };
    }
  };
}
