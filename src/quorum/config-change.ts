/**
 * IncrementalAlterConfigs and AlterConfigs as the controller decides them: from the image and the changes to ConfigRecords and an answer per resource.
 *
 * Promises: pure; a resource changes as a whole or not at all; order of checks, codes and texts are those of Kafka's ConfigurationControlManager. As there,
 * values of BROKER resources are the broker's to check before it passes them on (`src/api/configs.ts`): the controller knows no other node's settings.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { isListSetting, listDefault } from '../settings/lists.ts';
import { ELIGIBLE_LEADER_REPLICAS_VERSION } from './features.ts';
import { type MetadataImage, ResourceType } from './image.ts';
import { rulesOf } from './partition-target.ts';
import { newRecord, type NewRecord } from './records.ts';
import { ownText } from './topic-creation.ts';
import { topicNameFault } from './topic-names.ts';

/** AlterConfigOp.OpType. */
export const ConfigOperation = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const;
const OPERATION_NAMES = ['SET', 'DELETE', 'APPEND', 'SUBTRACT'];

export interface ConfigResourceName {
  readonly resourceType: number;
  readonly resourceName: string;
}

export interface IncrementalChange extends ConfigResourceName {
  readonly configs: readonly { readonly name: string; readonly configOperation: number; readonly value: string | null }[];
}

export interface WholeChange extends ConfigResourceName {
  readonly configs: readonly { readonly name: string; readonly value: string | null }[];
}

export interface ConfigOutcome extends ConfigResourceName {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

export interface ConfigContext {
  readonly image: MetadataImage;
  /** What is wrong with all settings of a topic, a group or a client metrics subscription together. Throws a KafkaError. */
  readonly check: (resourceType: number, name: string, configs: ReadonlyMap<string, string>) => void;
  /** Whether a node of that id is known: as a broker, or as a controller. */
  readonly isKnownNode: (nodeId: number) => boolean;
  /** Whether a broker has looked at the request before. */
  readonly isForwarded: boolean;
}

/** Java's Short.MAX_VALUE: a longer value could not be told in DescribeConfigs' older versions. */
const VALUE_CHARS_MAX = 32_767;
const MIN_INSYNC_REPLICAS = 'min.insync.replicas';
const CORDONED_LOG_DIRS = 'cordoned.log.dirs';

type Configs = ReadonlyMap<string, string>;
/** null takes the setting away. */
type Changes = ReadonlyMap<string, string | null>;

export function alterConfigsIncrementally(
  resources: readonly IncrementalChange[],
  context: ConfigContext,
): { records: NewRecord[]; outcomes: ConfigOutcome[] } {
  return alter(resources, (resource, current) => {
    const changes = new Map<string, string | null>();
    // A name that occurs twice: the last counts, as in Kafka's map.
    for (const { name, configOperation, value } of resource.configs) changes.set(name, applied(resource, name, { configOperation, value }, current));
    return { explicit: changes, implicit: new Map() };
  }, context);
}

/** What is not named goes back to its default. */
export function replaceConfigs(resources: readonly WholeChange[], context: ConfigContext): { records: NewRecord[]; outcomes: ConfigOutcome[] } {
  return alter(resources, ({ configs }, current) => {
    const explicit = new Map(configs.map(({ name, value }) => [name, value]));
    const implicit = new Map([...current.keys()].filter((name) => !explicit.has(name)).map((name) => [name, null]));
    return { explicit, implicit };
  }, context);
}

function alter<R extends ConfigResourceName>(
  resources: readonly R[],
  wanted: (resource: R, current: Configs) => { readonly explicit: Changes; readonly implicit: Changes },
  context: ConfigContext,
): { records: NewRecord[]; outcomes: ConfigOutcome[] } {
  const { image } = context;
  const records: NewRecord[] = [];
  const outcomes = resources.map((resource): ConfigOutcome => {
    const { resourceType, resourceName } = resource;
    try {
      const current = image.configOf(resourceType, resourceName);
      const { explicit, implicit } = wanted(resource, current);
      // A record for what a broker has already makes it read its files again (KAFKA-14136).
      const changed = [...explicit].filter(([name, value]) => resourceType === ResourceType.BROKER || (current.get(name) ?? null) !== value);
      const changes = new Map([...changed, ...implicit]);
      checkChanges(resource, changes, context);
      for (const [name, value] of changes) records.push(newRecord('ConfigRecord', { resourceType, resourceName, name, value }));
      return { resourceType, resourceName, errorCode: ErrorCode.NONE, errorMessage: null };
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return { resourceType, resourceName, errorCode: error.code, errorMessage: ownText(error) };
    }
  });
  return { records: [...records, ...clearedElrs(records, image)], outcomes };
}

/** Eligible leader replicas were counted under another minimum (KIP-966). */
function clearedElrs(records: readonly NewRecord[], image: MetadataImage): NewRecord[] {
  if (!image.elrEnabled) return [];
  return records.flatMap((record) => {
    if (record.name !== 'ConfigRecord' || record.value.name !== MIN_INSYNC_REPLICAS) return [];
    const { resourceType, resourceName } = record.value;
    return [newRecord('ClearElrRecord', { topicName: resourceType === ResourceType.TOPIC ? resourceName : '' })];
  });
}

/** The value of one setting after one operation, null for none. */
export function applied(
  { resourceType }: ConfigResourceName,
  name: string,
  { configOperation, value }: { readonly configOperation: number; readonly value: string | null },
  current: Configs,
): string | null {
  switch (configOperation) {
    case ConfigOperation.SET:
      return value;
    case ConfigOperation.DELETE:
      return null;
    case ConfigOperation.APPEND:
    case ConfigOperation.SUBTRACT: {
      if (!isListSetting(resourceType === ResourceType.TOPIC ? 'topic' : resourceType === ResourceType.BROKER ? 'broker' : 'other', name)) {
        throw invalid(`Can't ${OPERATION_NAMES[configOperation]} to key ${name} because its type is not LIST.`);
      }
      if (value === null) throw new KafkaError(ErrorCode.INVALID_REQUEST, `Null value not supported for : ${name}`);
      const before = current.get(name) ?? listDefault(resourceType === ResourceType.TOPIC ? 'topic' : 'broker', name) ?? '';
      const parts = before.split(',').filter((part) => part !== '');
      const given = value.split(',');
      if (configOperation === ConfigOperation.APPEND) {
        for (const part of given) if (!parts.includes(part)) parts.push(part);
        return parts.join(',');
      }
      for (const part of given) {
        const at = parts.indexOf(part);
        if (at !== -1) parts.splice(at, 1);
      }
      return parts.join(',');
    }
    default:
      // Kafka's controller fails on it.
      throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR);
  }
}

function checkChanges(resource: ConfigResourceName, changes: Changes, context: ConfigContext): void {
  const { image } = context;
  const { resourceType, resourceName } = resource;
  const all = new Map(image.configOf(resourceType, resourceName));
  for (const [name, value] of changes) {
    if (resourceType === ResourceType.BROKER) checkBrokerChange(resourceName, name, value, context);
    if (value === null) {
      all.delete(name);
      continue;
    }
    if (value.length > VALUE_CHARS_MAX) {
      throw invalid(`The configuration value cannot be added because it exceeds the maximum value size of ${VALUE_CHARS_MAX} bytes.`);
    }
    all.set(name, value);
  }
  switch (resourceType) {
    case ResourceType.TOPIC: {
      if (resourceName === '') throw new KafkaError(ErrorCode.INVALID_REQUEST, 'Default topic resources are not allowed.');
      const fault = topicNameFault(resourceName);
      if (fault !== null) throw new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, fault);
      context.check(resourceType, resourceName, all);
      if (image.topic(resourceName) === undefined) {
        throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${resourceName}' does not exist.`);
      }
      return;
    }
    case ResourceType.BROKER:
      return checkNode(resourceName, context);
    case ResourceType.CLIENT_METRICS:
    case ResourceType.GROUP:
      return context.check(resourceType, resourceName, all);
    default:
      throw new KafkaError(ErrorCode.INVALID_REQUEST, `Unknown resource type ${resourceType}`);
  }
}

function checkNode(name: string, { isKnownNode }: ConfigContext): void {
  if (name === '') return;
  if (!/^[+-]?\d{1,10}$/.test(name)) throw new KafkaError(ErrorCode.INVALID_REQUEST, 'Unable to parse broker name as a base 10 number.');
  const nodeId = Number(name);
  if (nodeId < 0) throw new KafkaError(ErrorCode.INVALID_REQUEST, 'Invalid negative broker ID.');
  if (!isKnownNode(nodeId)) throw new KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, `No node with id ${nodeId} found.`);
}

function checkBrokerChange(brokerName: string, name: string, value: string | null, { image, isForwarded }: ConfigContext): void {
  if (name === MIN_INSYNC_REPLICAS && image.elrEnabled) {
    if (brokerName !== '') throw invalid(`Broker-level ${MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled.`);
    if (value === null) throw invalid(`Cluster-level ${MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled.`);
  }
  if (name !== CORDONED_LOG_DIRS) return;
  if (!rulesOf(image).supportsCordonedLogDirs) {
    throw invalid(`The ${CORDONED_LOG_DIRS} configuration value cannot be set because it requires metadata.version >= 4.3-IV0`);
  }
  if (isForwarded || value === null || value.trim() === '') return;
  // Only the broker itself knows which of its directories these are, so without it no directory can be added.
  const present = paths(image.configOf(ResourceType.BROKER, brokerName).get(CORDONED_LOG_DIRS) ?? '');
  if (!paths(value).every((path) => present.includes(path))) {
    throw invalid(`When updating ${CORDONED_LOG_DIRS} via controllers,  the new value must be a subset of the current configuration value.`);
  }
}

function paths(text: string): string[] {
  return text.trim() === '' ? [] : text.trim().split(/\s*,\s*/);
}

/**
 * What makes it safe to count eligible leader replicas: one minimum for the whole cluster, and none of single brokers. Nothing where that is so already.
 */
export function elrSafetyRecords(image: MetadataImage, minInsyncReplicas: number): NewRecord[] {
  const records: NewRecord[] = [];
  const resourceType = ResourceType.BROKER;
  if (!image.configOf(resourceType, '').has(MIN_INSYNC_REPLICAS)) {
    records.push(newRecord('ConfigRecord', { resourceType, resourceName: '', name: MIN_INSYNC_REPLICAS, value: String(minInsyncReplicas) }));
  }
  for (const [key, configs] of image.configs) {
    const resourceName = key.startsWith(`${resourceType}:`) ? key.slice(key.indexOf(':') + 1) : '';
    if (resourceName !== '' && configs.has(MIN_INSYNC_REPLICAS)) {
      records.push(newRecord('ConfigRecord', { resourceType, resourceName, name: MIN_INSYNC_REPLICAS, value: null }));
    }
  }
  return records;
}

export function enablesElr(updates: readonly { readonly feature: string; readonly maxVersionLevel: number }[]): boolean {
  return updates.some(({ feature, maxVersionLevel }) => feature === ELIGIBLE_LEADER_REPLICAS_VERSION && maxVersionLevel > 0);
}

function invalid(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_CONFIG, message);
}
