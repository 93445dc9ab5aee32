/**
 * The feature levels that a new cluster is formatted with: by release, by feature, and what goes with what. Checked against Kafka's storage tool for every
 * release. Does not upgrade a living cluster.
 */
import { ELIGIBLE_LEADER_REPLICAS_VERSION, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_LATEST, METADATA_VERSION_MIN, metadataVersionName, SUPPORTED_FEATURES } from './features.ts';

/** What cannot be formatted as it was asked. The message is Kafka's. */
export class FormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FormatError';
  }
}

export type FeatureLevels = ReadonlyMap<string, number>;

/** 4.4-IV0: Kafka 4.3.1 knows it and gives it to nobody who does not ask for unstable versions. */
const UNSTABLE_LEVEL = 31;
const UNSTABLE_NAME = '4.4-IV0';
const ELR_METADATA_VERSION = 23;

/** The metadata.version from which on a new cluster has the level, in the order of Kafka's tool. */
const DEFAULTS: readonly { readonly name: string; readonly level: number; readonly from: number }[] = [
  { name: KRAFT_VERSION, level: 1, from: 21 },
  { name: 'transaction.version', level: 2, from: 24 },
  { name: 'group.version', level: 1, from: 22 },
  { name: ELIGIBLE_LEADER_REPLICAS_VERSION, level: 1, from: 26 },
  { name: 'share.version', level: 1, from: 28 },
  { name: 'streams.version', level: 1, from: 29 },
];

/** Of all features but metadata.version, in the order of Kafka's tool. */
export function defaultLevels(metadataVersion: number): FeatureLevels {
  return new Map(DEFAULTS.map(({ name, level, from }) => [name, metadataVersion >= from ? level : 0]));
}

export function versionName(level: number): string | undefined {
  return level === UNSTABLE_LEVEL ? UNSTABLE_NAME : metadataVersionName(level);
}

/** The level of `3.7-IV0`, or the last one of a release: `3.7`, `3.9.1`. Throws a FormatError. */
export function releaseLevel(text: string, { unstable }: { readonly unstable: boolean }): number {
  const last = unstable ? UNSTABLE_LEVEL : METADATA_VERSION_LATEST;
  const key = text.split('.').slice(0, 2).join('.');
  for (let level = last; level >= METADATA_VERSION_MIN; level--) {
    const name = versionName(level)!;
    if (name === key || name.slice(0, name.indexOf('-')) === key) return level;
  }
  const all = Array.from({ length: last - METADATA_VERSION_MIN + 1 }, (_, index) => versionName(METADATA_VERSION_MIN + index));
  throw new FormatError(`Unknown metadata.version '${text}'. Supported metadata.version are: ${all.join(', ')}`);
}

/** What the level of a feature needs of others; null for a level that there is not. */
export function dependenciesOf(name: string, level: number): FeatureLevels | null {
  const feature = SUPPORTED_FEATURES.find((one) => one.name === name);
  if (feature === undefined || level < feature.min || level > feature.max) return null;
  return name === ELIGIBLE_LEADER_REPLICAS_VERSION && level > 0 ? new Map([[METADATA_VERSION, ELR_METADATA_VERSION]]) : new Map();
}

/** Every level of a new cluster, kraft.version among them. Throws a FormatError. */
export function effectiveLevels({ features, releaseVersion, isDynamicQuorum }: { readonly features: FeatureLevels; readonly releaseVersion: string | null; readonly isDynamicQuorum: boolean }): FeatureLevels {
  const metadataVersion = effectiveRelease(features.get(METADATA_VERSION), releaseVersion);
  const levels = new Map<string, number>([[METADATA_VERSION, metadataVersion], ...defaultLevels(metadataVersion)]);
  for (const [name, level] of features) {
    if (name === METADATA_VERSION) continue;
    if (!levels.has(name)) throw new FormatError(`Unsupported feature: ${name}. Supported features are: ${DEFAULTS.map((one) => one.name).sort().join(', ')}`);
    levels.set(name, level);
  }
  levels.set(KRAFT_VERSION, kraftVersion(features.get(KRAFT_VERSION), isDynamicQuorum));
  for (const [name, level] of levels) {
    if (name === METADATA_VERSION) continue;
    const needs = dependenciesOf(name, level);
    if (needs === null) throw new FormatError(`No feature:${name} with feature level ${level}`);
    for (const [other, least] of needs) if (levels.get(other)! < least) throw new FormatError(`${name} could not be set to ${level} because it depends on ${other} level ${least}`);
  }
  return levels;
}

function effectiveRelease(level: number | undefined, release: string | null): number {
  if (level === undefined) return release === null ? METADATA_VERSION_LATEST : releaseLevel(release, { unstable: false });
  if (release !== null) {
    releaseLevel(release, { unstable: false });
    throw new FormatError(`Use --release-version instead of --feature ${METADATA_VERSION}=X to avoid ambiguity.`);
  }
  const name = versionName(level);
  if (name === undefined) throw new FormatError(`No MetadataVersion with feature level ${level}. Valid feature levels are from ${METADATA_VERSION_MIN} to ${UNSTABLE_LEVEL}.`);
  if (level > METADATA_VERSION_LATEST) throw new FormatError(`${METADATA_VERSION} ${name} is not yet stable.`);
  return level;
}

function kraftVersion(asked: number | undefined, isDynamicQuorum: boolean): number {
  if (asked === undefined) return isDynamicQuorum ? 1 : 0;
  if (asked === 0 && isDynamicQuorum) {
    throw new FormatError(
      'Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. ' +
        'For dynamic controllers support, try removing the --feature flag for kraft.version.',
    );
  }
  if (asked !== 0 && !isDynamicQuorum) {
    throw new FormatError(
      `Cannot set kraft.version to ${asked} unless controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. ` +
        'For dynamic controllers support, try using one of --standalone, --initial-controllers, or --no-initial-controllers and removing controller.quorum.voters.',
    );
  }
  return asked;
}
