/** Records of __share_group_state. */
import { array, int16, int32, int64, int8, message, string, struct, uuid } from '../schema.ts';
import { coordinatorRecords } from './framing.ts';

export const ShareSnapshotKey = message({
  name: 'ShareSnapshotKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    topicId: uuid(),
    partition: int32(),
  },
});

export const ShareSnapshotValue = message({
  name: 'ShareSnapshotValue',
  versions: '0',
  flexible: '0+',
  fields: {
    snapshotEpoch: int32(),
    stateEpoch: int32(),
    leaderEpoch: int32(),
    startOffset: int64(),
    deliveryCompleteCount: int32().default(-1).tagged(0, '0+'),
    createTimestamp: int64(),
    writeTimestamp: int64(),
    stateBatches: array(struct({
      firstOffset: int64(),
      lastOffset: int64(),
      deliveryState: int8(),
      deliveryCount: int16(),
    })),
  },
});

export const ShareUpdateKey = message({
  name: 'ShareUpdateKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    topicId: uuid(),
    partition: int32(),
  },
});

export const ShareUpdateValue = message({
  name: 'ShareUpdateValue',
  versions: '0',
  flexible: '0+',
  fields: {
    snapshotEpoch: int32(),
    leaderEpoch: int32(),
    startOffset: int64(),
    deliveryCompleteCount: int32().default(-1).tagged(0, '0+'),
    stateBatches: array(struct({
      firstOffset: int64(),
      lastOffset: int64(),
      deliveryState: int8(),
      deliveryCount: int16(),
    })),
  },
});

/** By name, with the number that goes before the key. */
export const shareRecords = coordinatorRecords({
  ShareSnapshot: { type: 0, key: ShareSnapshotKey, value: ShareSnapshotValue },
  ShareUpdate: { type: 1, key: ShareUpdateKey, value: ShareUpdateValue },
});
