/**
 * DescribeConfigs: the settings in force of topics, of this broker, of its loggers, of groups and of client metrics subscriptions, with where each comes from.
 *
 * Promises: of this broker, the settings that it acts on. A resource that cannot be described is told on its own. Documentation is not kept here: the
 * field is null, which clients print as nothing.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { DescribeConfigs } from '../../protocol/messages/configs.ts';
import { DynamicSettings } from '../quorum/dynamic-settings.ts';
import { ResourceType } from '../quorum/image.ts';
import { ownText } from '../quorum/topic-creation.ts';
import { topicNameFault } from '../quorum/topic-names.ts';
import { ConfigSource } from '../settings/description.ts';
import type { SettingDescription } from '../settings/description.ts';
import type { Settings } from '../settings.ts';
import type { Node } from './node.ts';
import { serve } from './serve.ts';

type Resource = Value<typeof DescribeConfigs.request>['resources'][number];
type Result = Input<typeof DescribeConfigs.response>['results'][number];
type Entry = Result['configs'][number];

/** Kafka's default where nothing is set, though the field could be null. */
const NO_MESSAGE = '';
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(ResourceType));

export const configApis = [
  serve(DescribeConfigs, '1-4', {
    listeners: 'both',
    handle(request, { node }) {
      const unknown = request.resources.find(({ resourceType }) => !KNOWN_TYPES.has(resourceType));
      if (unknown !== undefined) {
        throw new KafkaError(ErrorCode.INVALID_REQUEST, `Unexpected resource type UNKNOWN for resource ${unknown.resourceName}`);
      }
      const settings = new DynamicSettings(node.settings, node.nodeId).at(node.image());
      const results = request.resources.map((resource) => describe(resource, { node, settings, includeSynonyms: request.includeSynonyms }));
      return { throttleTimeMs: 0, results };
    },
    onError: (code, request) => ({
      throttleTimeMs: 0,
      results: request.resources.map((resource) => failure(resource, code, errorMessage(code))),
    }),
  }),
];

interface Described {
  readonly node: Node;
  readonly settings: Settings;
  readonly includeSynonyms: boolean;
}

function describe(resource: Resource, described: Described): Result {
  const { resourceType, resourceName, configurationKeys } = resource;
  try {
    const all = entriesOf(resource, described);
    if (all === undefined) return failure(resource, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_MESSAGE);
    const wanted = configurationKeys === null || configurationKeys.length === 0 ? undefined : new Set(configurationKeys);
    return {
      errorCode: ErrorCode.NONE,
      errorMessage: NO_MESSAGE,
      resourceType,
      resourceName,
      configs: wanted === undefined ? all : all.filter(({ name }) => wanted.has(name)),
    };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return failure(resource, error.code, ownText(error));
  }
}

function failure({ resourceType, resourceName }: Resource, errorCode: ErrorCode, errorMessage: string | null): Result {
  return { errorCode, errorMessage, resourceType, resourceName, configs: [] };
}

/** undefined for a topic that does not exist. */
function entriesOf({ resourceType, resourceName }: Resource, { node, settings, includeSynonyms }: Described): Entry[] | undefined {
  const image = node.image();
  const show = (descriptions: readonly SettingDescription[]): Entry[] => descriptions.map((one) => entry(one, includeSynonyms));
  switch (resourceType) {
    case ResourceType.TOPIC: {
      const fault = topicNameFault(resourceName);
      if (fault !== null) throw new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, fault);
      if (image.topic(resourceName) === undefined) return undefined;
      return show(settings.topic.describe(image.topicConfig(resourceName)));
    }
    case ResourceType.BROKER:
      if (resourceName === '') return show(settings.describeClusterOverrides());
      if (brokerId(resourceName) !== node.nodeId) {
        throw invalid(`Unexpected broker id, expected ${node.nodeId} or empty string, but received ${resourceName}`);
      }
      return show(settings.describe());
    case ResourceType.BROKER_LOGGER:
      if (resourceName === '') throw invalid('Broker id must not be empty');
      if (brokerId(resourceName) !== node.nodeId) throw invalid(`Unexpected broker id, expected ${node.nodeId} but received ${resourceName}`);
      // One logger, of one level: what a person reads is the standard error stream.
      return [{ name: 'root', value: 'INFO', readOnly: false, configSource: ConfigSource.DYNAMIC_BROKER_LOGGER, isSensitive: false, synonyms: [], documentation: null }];
    case ResourceType.GROUP:
      if (resourceName === '') throw invalid('Group name must not be empty');
      return show(settings.group.describe(image.configOf(resourceType, resourceName)));
    case ResourceType.CLIENT_METRICS:
      if (resourceName === '') throw invalid('Client metrics subscription name must not be empty');
      return clientMetrics(image.configOf(resourceType, resourceName), includeSynonyms);
    default:
      throw invalid(`Unsupported resource type: ${resourceType}`);
  }
}

function entry({ name, value, source, readOnly, isSensitive, synonyms, configType }: SettingDescription, includeSynonyms: boolean): Entry {
  return { name, value, readOnly, configSource: source, isSensitive, synonyms: includeSynonyms ? synonyms : [], configType, documentation: null };
}

/** Types on the wire: INT and LIST. */
const CLIENT_METRICS_SETTINGS = [
  { name: 'interval.ms', fallback: '300000', configType: 3 },
  { name: 'match', fallback: '', configType: 7 },
  { name: 'metrics', fallback: '', configType: 7 },
] as const;

function clientMetrics(overrides: ReadonlyMap<string, string>, includeSynonyms: boolean): Entry[] {
  return CLIENT_METRICS_SETTINGS.map(({ name, fallback, configType }) => {
    const own = overrides.get(name);
    const value = own ?? fallback;
    return {
      name,
      value,
      readOnly: false,
      configSource: own === undefined ? ConfigSource.DEFAULT : ConfigSource.CLIENT_METRICS,
      isSensitive: false,
      synonyms: includeSynonyms && own !== undefined ? [{ name, value, source: ConfigSource.CLIENT_METRICS }] : [],
      configType,
      documentation: null,
    };
  });
}

function brokerId(name: string): number {
  if (!/^[+-]?\d+$/.test(name)) throw invalid(`Broker id must be an integer, but it is: ${name}`);
  return Number(name);
}

function invalid(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_REQUEST, message);
}
