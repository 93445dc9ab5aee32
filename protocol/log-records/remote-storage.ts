/** Records of tiered storage's topic of remote segments. */
import { array, bool, bytes, int32, int64, int8, message, string, struct, uuid } from '../schema.ts';

export const RemoteLogSegmentMetadataRecord = message({
  name: 'RemoteLogSegmentMetadataRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    remoteLogSegmentId: struct({
      topicIdPartition: struct({
        name: string(),
        id: uuid(),
        partition: int32(),
      }),
      id: uuid(),
    }),
    startOffset: int64(),
    endOffset: int64(),
    brokerId: int32(),
    maxTimestampMs: int64(),
    eventTimestampMs: int64(),
    segmentLeaderEpochs: array(struct({
      leaderEpoch: int32(),
      offset: int64(),
    })),
    segmentSizeInBytes: int32(),
    customMetadata: bytes().nullable().default(null),
    remoteLogSegmentState: int8(),
    txnIndexEmpty: bool().tagged(0, '0+'),
  },
});

export const RemoteLogSegmentMetadataUpdateRecord = message({
  name: 'RemoteLogSegmentMetadataUpdateRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    remoteLogSegmentId: struct({
      topicIdPartition: struct({
        name: string(),
        id: uuid(),
        partition: int32(),
      }),
      id: uuid(),
    }),
    brokerId: int32(),
    eventTimestampMs: int64(),
    customMetadata: bytes().nullable().default(null),
    remoteLogSegmentState: int8(),
  },
});

export const RemotePartitionDeleteMetadataRecord = message({
  name: 'RemotePartitionDeleteMetadataRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    topicIdPartition: struct({
      name: string(),
      id: uuid(),
      partition: int32(),
    }),
    brokerId: int32(),
    eventTimestampMs: int64(),
    remotePartitionDeleteState: int8(),
  },
});

export const RemoteLogSegmentMetadataSnapshotRecord = message({
  name: 'RemoteLogSegmentMetadataSnapshotRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    segmentId: uuid(),
    startOffset: int64(),
    endOffset: int64(),
    brokerId: int32(),
    maxTimestampMs: int64(),
    eventTimestampMs: int64(),
    segmentLeaderEpochs: array(struct({
      leaderEpoch: int32(),
      offset: int64(),
    })),
    segmentSizeInBytes: int32(),
    customMetadata: bytes().nullable().default(null),
    remoteLogSegmentState: int8(),
    txnIndexEmpty: bool().tagged(0, '0+'),
  },
});

/** By name, with the number that goes before the record (`encodeFramed`). */
export const remoteStorageRecords = {
  RemoteLogSegmentMetadataRecord: { type: 0, message: RemoteLogSegmentMetadataRecord },
  RemoteLogSegmentMetadataUpdateRecord: { type: 1, message: RemoteLogSegmentMetadataUpdateRecord },
  RemotePartitionDeleteMetadataRecord: { type: 2, message: RemotePartitionDeleteMetadataRecord },
  RemoteLogSegmentMetadataSnapshotRecord: { type: 3, message: RemoteLogSegmentMetadataSnapshotRecord },
} as const;
