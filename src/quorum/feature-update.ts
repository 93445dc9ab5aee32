/**
 * UpdateFeatures as the controller decides it: levels that every node supports, one direction at a time (KIP-584, KIP-1022).
 *
 * Promises: pure but for kraft.version, which is the quorum's own and is handed to it; all updates of a request or none; order of checks and texts are those
 * of Kafka's FeatureControlManager. A downgrade of metadata.version that would lose metadata is refused, safe or not.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { UpdateFeaturesRequest, UpdateFeaturesResponse } from '../../protocol/messages/cluster.ts';
import { ELIGIBLE_LEADER_REPLICAS_VERSION, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_MIN, metadataVersionRules, SUPPORTED_FEATURES } from './features.ts';
import type { MetadataImage, SupportedFeature } from './image.ts';
import { newRecord, type NewRecord } from './records.ts';
import { ownText } from './topic-creation.ts';

export type FeatureUpdates = Value<typeof UpdateFeaturesRequest>;
export type FeatureUpdatesAnswer = Input<typeof UpdateFeaturesResponse>;
type FeatureUpdate = FeatureUpdates['featureUpdates'][number];

/** FeatureUpdate.UpgradeType. */
const UPGRADE = 1;
const SAFE_DOWNGRADE = 2;
const UNSAFE_DOWNGRADE = 3;

/** Up to version 1 each feature has a result of its own in the answer. */
const RESULTS_UP_TO = 1;
/** Not null: Kafka writes the error's name there. */
const NO_ERROR = 'NONE';

/** By Kafka's MetadataVersion: at these levels metadata came in that an older version would lose. */
const METADATA_CHANGED_AT = new Set([7, 8, 11, 13, 14, 15, 17, 23, 30]);

/** The least metadata.version that a level of a feature needs, beyond the minimum. */
const DEPENDENCIES: Readonly<Record<string, { readonly level: number; readonly metadataVersion: number }>> = {
  [ELIGIBLE_LEADER_REPLICAS_VERSION]: { level: 1, metadataVersion: 23 },
};

export interface FeatureContext {
  readonly image: MetadataImage;
  readonly nodeId: number;
  readonly kraftVersion: number;
  /** All must have registered before a level is raised. */
  readonly voterIds: readonly number[];
  /** Raises kraft.version, or only says whether it could. Throws a KafkaError. */
  readonly upgradeKraftVersion: (level: number, validateOnly: boolean) => void;
}

export function updateFeatures({ featureUpdates, validateOnly }: FeatureUpdates, context: FeatureContext): NewRecord[] {
  const proposed = new Map(context.image.features);
  for (const { feature, maxVersionLevel } of featureUpdates) proposed.set(feature, maxVersionLevel);
  const records = featureUpdates.flatMap((update) => recordsOf(update, { proposed, validateOnly }, context));
  return validateOnly ? [] : records;
}

export function featureAnswer({ featureUpdates }: FeatureUpdates, apiVersion: number, error: KafkaError | null): FeatureUpdatesAnswer {
  if (error !== null) {
    const errorMessage = `The update failed for all features since the following feature had an error: ${ownText(error)}`;
    return { throttleTimeMs: 0, errorCode: error.code, errorMessage, results: [] };
  }
  const results = apiVersion > RESULTS_UP_TO ? [] : featureUpdates.map(({ feature }) => ({ feature, errorCode: ErrorCode.NONE, errorMessage: NO_ERROR }));
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, results };
}

function recordsOf(
  { feature, maxVersionLevel: level, upgradeType }: FeatureUpdate,
  { proposed, validateOnly }: { readonly proposed: ReadonlyMap<string, number>; readonly validateOnly: boolean },
  context: FeatureContext,
): NewRecord[] {
  const { image } = context;
  const refuse = (why: string): never => {
    throw new KafkaError(ErrorCode.INVALID_UPDATE_VERSION, `Invalid update version ${level} for feature ${feature}. ${why}`);
  };
  if (upgradeType !== UPGRADE && upgradeType !== SAFE_DOWNGRADE && upgradeType !== UNSAFE_DOWNGRADE) {
    refuse('The controller does not support the given upgrade type.');
  }
  const current = feature === KRAFT_VERSION ? context.kraftVersion : (image.features.get(feature) ?? 0);
  if (level < 0) refuse('A feature version cannot be less than 0.');
  const unsupported = reasonNotSupported(feature, level, context);
  if (unsupported !== null) refuse(unsupported);
  if (level < current && upgradeType === UPGRADE) {
    refuse("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.");
  }
  if (level > current && upgradeType !== UPGRADE) refuse("Can't downgrade to a newer version.");
  if (feature === METADATA_VERSION) {
    checkMetadataVersion(current, level, { allowUnsafe: upgradeType === UNSAFE_DOWNGRADE });
  } else if (feature === KRAFT_VERSION) {
    if (upgradeType === UPGRADE) {
      context.upgradeKraftVersion(level, validateOnly);
      // The quorum writes its own record; this one is there to be waited for.
      return [newRecord('NoOpRecord', {})];
    }
    if (level !== current) refuse("Can't downgrade the version of this feature.");
    return [];
  } else {
    if (!SUPPORTED_FEATURES.some(({ name }) => name === feature)) refuse(`Feature ${feature} not found.`);
    const metadataVersion = proposed.get(METADATA_VERSION) ?? 0;
    if (level >= 1 && metadataVersion < METADATA_VERSION_MIN) {
      refuse(`${feature} could not be set to ${level} because it depends on metadata.version=${METADATA_VERSION_MIN} (3.3-IV3)`);
    }
    const dependency = DEPENDENCIES[feature];
    if (dependency !== undefined && level >= dependency.level && metadataVersion < dependency.metadataVersion) {
      refuse(`${feature} could not be set to ${level} because it depends on metadata.version level ${dependency.metadataVersion}`);
    }
  }
  return [newRecord('FeatureLevelRecord', { name: feature, featureLevel: level })];
}

function checkMetadataVersion(current: number, level: number, { allowUnsafe }: { readonly allowUnsafe: boolean }): void {
  if (level >= current) return;
  let changed = false;
  for (let one = current; one > level; one--) changed ||= METADATA_CHANGED_AT.has(one);
  if (!changed) return;
  const why = allowUnsafe
    ? 'Unsafe metadata downgrade is not supported in this version.'
    : 'Refusing to perform the requested downgrade because it might delete metadata information.';
  throw new KafkaError(ErrorCode.INVALID_UPDATE_VERSION, `Unsupported metadata.version downgrade from ${current} to ${level}. ${why}`);
}

function reasonNotSupported(feature: string, level: number, { image, nodeId, voterIds }: FeatureContext): string | null {
  const own = SUPPORTED_FEATURES.find(({ name }) => name === feature);
  const local = reason(`Local controller ${nodeId}`, level, own ?? DISABLED);
  if (local !== null) return local;
  for (const broker of image.brokers.values()) {
    const why = reason(`Broker ${broker.id}`, level, rangeOf(broker.features, feature));
    if (why !== null) return why;
  }
  if (!metadataVersionRules(image.metadataVersion ?? 0).supportsControllerRegistration) return null;
  for (const controller of image.controllers.values()) {
    const why = controller.id === nodeId ? null : reason(`Controller ${controller.id}`, level, rangeOf(controller.features, feature));
    if (why !== null) return why;
  }
  const missing = voterIds.find((id) => id !== nodeId && !image.controllers.has(id));
  return missing === undefined ? null : `controller ${missing} has not registered, and may not support this feature`;
}

const DISABLED = { min: 0, max: 0 };

function rangeOf(features: readonly SupportedFeature[], name: string): { min: number; max: number } {
  const found = features.find((feature) => feature.name === name);
  return found === undefined ? DISABLED : { min: found.minSupportedVersion, max: found.maxSupportedVersion };
}

function reason(what: string, level: number, { min, max }: { readonly min: number; readonly max: number }): string | null {
  if (level >= min && level <= max) return null;
  return max === 0 ? `${what} does not support this feature.` : `${what} only supports versions ${min === max ? min : `${min}-${max}`}`;
}
