/**
 * Feature levels against the tables taken from Kafka's own classes (directory from OTTLA_SHARED, default ../shared). Where they are missing only the
 * levels of a new cluster are held.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BOOTSTRAP_FEATURES, METADATA_VERSION_LATEST, METADATA_VERSION_MIN, metadataVersionName, metadataVersionRules, SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';

const file = resolve(process.env['OTTLA_SHARED'] ?? '../shared', 'reference/tables/features.json');

interface Level {
  readonly featureLevel: number;
  readonly version: string;
  readonly production: boolean;
  readonly isDirectoryAssignmentSupported: boolean;
  readonly isCordonedLogDirsSupported: boolean;
  readonly isMetadataTransactionSupported: boolean;
  readonly isControllerRegistrationSupported: boolean;
  readonly isLeaderEpochBumpRequiredOnIsrShrink: boolean;
  readonly partitionChangeRecordVersion: number;
  readonly partitionRecordVersion: number;
  readonly registerBrokerRecordVersion: number;
  readonly defaultLevels: Readonly<Record<string, number>>;
}

it('a new cluster has the levels of 4.3.1, metadata.version first', () => {
  expect(BOOTSTRAP_FEATURES.map(({ name, level }) => `${name}=${level}`)).toEqual([
    'metadata.version=30', 'eligible.leader.replicas.version=1', 'group.version=1', 'share.version=1', 'streams.version=1', 'transaction.version=2',
  ]);
});

describe.skipIf(!existsSync(file))('the tables of 4.3.1 (skipped where ../shared is missing)', () => {
  const table = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { metadataVersions: Level[]; brokerSupported: { stable: Record<string, { min: number; max: number }> } }) : undefined;

  it('have the same rules for every metadata.version', () => {
    const levels = table!.metadataVersions.filter((level) => level.production);
    expect([levels[0]!.featureLevel, levels.at(-1)!.featureLevel]).toEqual([METADATA_VERSION_MIN, METADATA_VERSION_LATEST]);
    for (const level of levels) {
      expect(metadataVersionName(level.featureLevel)).toBe(level.version);
      expect(metadataVersionRules(level.featureLevel), level.version).toEqual({
        registerBrokerRecordVersion: level.registerBrokerRecordVersion,
        partitionRecordVersion: level.partitionRecordVersion,
        partitionChangeRecordVersion: level.partitionChangeRecordVersion,
        supportsTransactions: level.isMetadataTransactionSupported,
        supportsControllerRegistration: level.isControllerRegistrationSupported,
        supportsDirectories: level.isDirectoryAssignmentSupported,
        supportsCordonedLogDirs: level.isCordonedLogDirsSupported,
        bumpsLeaderEpochOnIsrShrink: level.isLeaderEpochBumpRequiredOnIsrShrink,
      });
    }
    expect(metadataVersionName(METADATA_VERSION_LATEST + 1)).toBeUndefined();
  });

  it('support the same ranges', () => {
    expect(Object.fromEntries(SUPPORTED_FEATURES.map(({ name, min, max }) => [name, { min, max }]))).toEqual(table!.brokerSupported.stable);
  });

  it('give a new cluster the same levels', () => {
    const defaults = table!.metadataVersions.find((level) => level.featureLevel === METADATA_VERSION_LATEST)!.defaultLevels;
    const { 'kraft.version': _kraftVersion, ...rest } = defaults;
    expect(Object.fromEntries(BOOTSTRAP_FEATURES.filter(({ name }) => name !== 'metadata.version').map(({ name, level }) => [name, level]))).toEqual(rest);
  });
});
