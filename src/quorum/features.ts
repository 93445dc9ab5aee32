/**
 * Feature levels: what this broker supports, what a fresh cluster of 4.3.1 starts with, and which record versions a metadata.version implies.
 * Checked against the tables taken from Kafka's own classes. Does not decide on upgrades (UpdateFeatures).
 */

export const METADATA_VERSION = 'metadata.version';
export const ELIGIBLE_LEADER_REPLICAS_VERSION = 'eligible.leader.replicas.version';
export const KRAFT_VERSION = 'kraft.version';

/** 3.3-IV3, the first that a KRaft cluster can have. */
export const METADATA_VERSION_MIN = 7;
/** 4.3-IV0. */
export const METADATA_VERSION_LATEST = 30;

export interface FeatureRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

/** What a broker and a controller of 4.3.1 say of themselves when they register. */
export const SUPPORTED_FEATURES: readonly FeatureRange[] = [
  { name: 'group.version', min: 0, max: 1 },
  { name: KRAFT_VERSION, min: 0, max: 1 },
  { name: METADATA_VERSION, min: METADATA_VERSION_MIN, max: METADATA_VERSION_LATEST },
  { name: 'share.version', min: 0, max: 1 },
  { name: 'streams.version', min: 0, max: 1 },
  { name: 'transaction.version', min: 0, max: 2 },
  { name: ELIGIBLE_LEADER_REPLICAS_VERSION, min: 0, max: 1 },
];

/** The levels that `format` gives a new cluster, in the order in which it writes them. */
export const BOOTSTRAP_FEATURES: readonly { readonly name: string; readonly level: number }[] = [
  { name: METADATA_VERSION, level: METADATA_VERSION_LATEST },
  { name: ELIGIBLE_LEADER_REPLICAS_VERSION, level: 1 },
  { name: 'group.version', level: 1 },
  { name: 'share.version', level: 1 },
  { name: 'streams.version', level: 1 },
  { name: 'transaction.version', level: 2 },
];

/** By level: 7 is 3.3-IV3. */
const NAMES = [
  '3.3-IV3', '3.4-IV0', '3.5-IV0', '3.5-IV1', '3.5-IV2', '3.6-IV0', '3.6-IV1', '3.6-IV2', '3.7-IV0', '3.7-IV1', '3.7-IV2', '3.7-IV3',
  '3.7-IV4', '3.8-IV0', '3.9-IV0', '4.0-IV0', '4.0-IV1', '4.0-IV2', '4.0-IV3', '4.1-IV0', '4.1-IV1', '4.2-IV0', '4.2-IV1', '4.3-IV0',
] as const;

/** undefined for a level that 4.3.1 does not know. */
export function metadataVersionName(level: number): string | undefined {
  return NAMES[level - METADATA_VERSION_MIN];
}

/** What depends on the metadata.version. */
export interface MetadataVersionRules {
  readonly registerBrokerRecordVersion: number;
  readonly partitionRecordVersion: number;
  readonly partitionChangeRecordVersion: number;
  readonly supportsTransactions: boolean;
  readonly supportsControllerRegistration: boolean;
  readonly supportsDirectories: boolean;
  readonly supportsCordonedLogDirs: boolean;
  readonly bumpsLeaderEpochOnIsrShrink: boolean;
}

export function metadataVersionRules(level: number): MetadataVersionRules {
  const directories = level >= 17;
  const partition = level >= 23 ? 2 : directories ? 1 : 0;
  return {
    registerBrokerRecordVersion: level >= 30 ? 4 : directories ? 3 : level >= 8 ? 2 : 1,
    partitionRecordVersion: partition,
    partitionChangeRecordVersion: partition,
    supportsTransactions: level >= 13,
    supportsControllerRegistration: level >= 15,
    supportsDirectories: directories,
    supportsCordonedLogDirs: level >= 30,
    bumpsLeaderEpochOnIsrShrink: level < 12,
  };
}
