/**
 * IncrementalAlterConfigs and AlterConfigs: a broker looks at what is its own (its settings, its loggers), and the active controller decides the rest.
 *
 * Promises: order of checks, codes and texts of Kafka's ConfigAdminManager on a broker's listener and of its ControllerApis on a controller's. A broker's
 * settings are checked by that broker, which alone knows what they go together with; so they are changed through it, as in Kafka.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { AlterConfigs, IncrementalAlterConfigs } from '../../protocol/messages/configs.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { applied, ConfigOperation, type ConfigOutcome, type ConfigResourceName } from '../quorum/config-change.ts';
import { ResourceType } from '../quorum/image.ts';
import { ownText } from '../quorum/topic-creation.ts';
import { brokerSettingsByName } from '../settings/broker-settings.ts';
import { SettingError, type Settings } from '../settings.ts';
import { forwardToController } from './forwarding.ts';
import type { Node } from './node.ts';
import { serve } from './serve.ts';
import type { Outcome, RequestContext, Served } from './serve.ts';

type Answer = Input<typeof IncrementalAlterConfigs.response>;
type IncrementalResource = Value<typeof IncrementalAlterConfigs.request>['resources'][number];
type WholeResource = Value<typeof AlterConfigs.request>['resources'][number];
type Resource = IncrementalResource | WholeResource;

interface Request<R extends Resource> {
  readonly resources: readonly R[];
  readonly validateOnly: boolean;
}

const STORED_TYPES: ReadonlySet<number> = new Set([ResourceType.TOPIC, ResourceType.CLIENT_METRICS, ResourceType.GROUP]);
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(ResourceType));
const LOG_LEVELS = ['DEBUG', 'ERROR', 'FATAL', 'INFO', 'TRACE', 'WARN'];
/** The one logger that there is, and its level. */
const LOGGER = { name: 'root', level: 'INFO' };

const incrementallyByController: Served = serve(IncrementalAlterConfigs, '0-1', {
  listeners: 'controller',
  forward: true,
  handle: (request, context) => byController(request, context, (resources, how) => context.node.controller.alterConfigsIncrementally(resources, how)),
  onError: failures,
  arrived,
});

const wholeByController: Served = serve(AlterConfigs, '0-2', {
  listeners: 'controller',
  forward: true,
  handle: (request, context) => byController(request, context, (resources, how) => context.node.controller.replaceConfigs(resources, how)),
  onError: failures,
  arrived,
});

export const configChangeApis: readonly Served[] = [
  serve(IncrementalAlterConfigs, '0-1', {
    handle: (request, context) => byBroker(request, context, incrementallyByController),
    onError: failures,
  }),
  serve(AlterConfigs, '0-2', {
    handle: (request, context) => byBroker(request, context, wholeByController),
    onError: failures,
  }),
  incrementallyByController,
  wholeByController,
];

async function byController<R extends Resource>(
  { resources, validateOnly }: Request<R>,
  { node, connection, isForwarded }: RequestContext,
  change: (resources: readonly R[], how: { readonly validateOnly: boolean; readonly isForwarded: boolean }) => Promise<ConfigOutcome[]>,
): Promise<Answer> {
  const responses: ConfigOutcome[] = [];
  const loggers: ConfigOutcome[] = [];
  const changes = new Map<string, R | undefined>();
  for (const resource of resources) {
    const { resourceType, resourceName } = resource;
    if (resourceType === ResourceType.BROKER_LOGGER && isIncremental(resource)) {
      loggers.push(attempt(resource, () => checkLogger(resource, node)));
    } else if (!KNOWN_TYPES.has(resourceType)) {
      responses.push(failure(resource, ErrorCode.UNSUPPORTED_VERSION, `Unknown resource type ${resourceType}.`));
    } else {
      const key = `${resourceType}:${resourceName}`;
      // What is there twice is refused altogether, and told once.
      if (!changes.has(key)) changes.set(key, resource);
      else if (changes.get(key) !== undefined) {
        changes.set(key, undefined);
        responses.push(failure(resource, ErrorCode.INVALID_REQUEST, 'Duplicate resource.'));
      }
    }
  }
  const wanted: R[] = [];
  for (const resource of changes.values()) {
    if (resource?.resourceType === ResourceType.BROKER_LOGGER) {
      responses.push(failure(resource, ErrorCode.INVALID_REQUEST, 'Unexpected resource type BROKER_LOGGER.'));
    } else if (resource !== undefined) {
      wanted.push(resource);
    }
  }
  const seenByBroker = isForwarded === true || connection.listenerKind === 'broker';
  responses.push(...(await change(wanted, { validateOnly, isForwarded: seenByBroker })), ...loggers);
  return { throttleTimeMs: 0, responses };
}

/** What the broker itself refuses or does, it does not pass on; the answers come back in the order of the request. */
async function byBroker<R extends Resource>(request: Request<R>, context: RequestContext, served: Served): Promise<Outcome<Answer>> {
  const done = new Map<R, ConfigOutcome>();
  const first = new Map<string, R>();
  for (const resource of request.resources) {
    const key = `${resource.resourceType}:${resource.resourceName}`;
    const other = first.get(key);
    first.set(key, resource);
    if (other === undefined) continue;
    for (const one of [other, resource]) done.set(one, failure(one, ErrorCode.INVALID_REQUEST, 'Each resource must appear at most once.'));
  }
  for (const resource of request.resources) {
    if (done.has(resource)) continue;
    const outcome = attempt(resource, () => checkOnBroker(resource, context));
    if (outcome.errorCode !== ErrorCode.NONE || resource.resourceType === ResourceType.BROKER_LOGGER) done.set(resource, outcome);
  }
  const rest = { ...request, resources: request.resources.filter((resource) => !done.has(resource)) };
  const answer = rest.resources.length === 0 ? { responses: [] } : await decided(rest, context, served);
  if (typeof answer === 'symbol') return answer;
  const byResource = new Map(answer.responses.map((one) => [`${one.resourceType}:${one.resourceName}`, one]));
  const responses = request.resources.map((resource) => {
    const { resourceType, resourceName } = resource;
    const outcome = done.get(resource) ?? byResource.get(`${resourceType}:${resourceName}`) ?? failure(resource, ErrorCode.UNKNOWN_SERVER_ERROR, null);
    return { resourceType, resourceName, errorCode: outcome.errorCode, errorMessage: outcome.errorMessage };
  });
  return { throttleTimeMs: 0, responses };
}

async function decided(request: unknown, context: RequestContext, served: Served): Promise<Outcome<Answer>> {
  const answer = context.node.quorum.controller?.isActive === true ? served.handle(request, context) : forwardToController(served, request, context);
  return (await answer) as Outcome<Answer>;
}

function checkOnBroker(resource: Resource, { node }: RequestContext): void {
  const { resourceType, resourceName, configs } = resource;
  const names = configs.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw invalid('Error due to duplicate config keys');
  const nulls = configs.filter((config) => config.value === null && !('configOperation' in config && config.configOperation === ConfigOperation.DELETE));
  if (nulls.length > 0) throw invalid(`Null value not supported for : ${nulls.map(({ name }) => name).join(', ')}`);
  if (resourceType === ResourceType.BROKER_LOGGER && isIncremental(resource)) return checkLogger(resource, node);
  if (resourceType === ResourceType.BROKER) {
    if (resourceName !== '') checkNodeId(resourceName, node);
    return checkSettings(resource, node);
  }
  if (!STORED_TYPES.has(resourceType)) throw invalid(`Unknown resource type ${resourceType}`);
}

function isIncremental(resource: Resource): resource is IncrementalResource {
  return resource.configs.every((config) => 'configOperation' in config);
}

function checkNodeId(name: string, { nodeId }: Node): void {
  if (!/^[+-]?\d{1,10}$/.test(name)) throw invalid(`Node id must be an integer, but it is: ${name}`);
  if (Number(name) !== nodeId) throw invalid(`Unexpected broker id, expected ${nodeId}, but received ${name}`);
}

/** The broker's settings as they would be. */
function checkSettings(resource: Resource, node: Node): void {
  const { resourceName } = resource;
  const isPerBroker = resourceName !== '';
  const image = node.image();
  const present = image.configOf(ResourceType.BROKER, resourceName);
  const wanted = new Map<string, string>();
  if (isIncremental(resource)) {
    for (const [name, value] of present) wanted.set(name, value);
    for (const { name, configOperation, value } of resource.configs) {
      const changed = changedSetting(resource, { name, configOperation, value }, present);
      if (changed === null) wanted.delete(name);
      else wanted.set(name, changed);
    }
  } else {
    for (const { name, value } of resource.configs) wanted.set(name, value!);
  }
  const fault = node.settings.validateOverrides(wanted, isPerBroker);
  if (fault !== null) throw invalid(fault);
  try {
    const other = image.configOf(ResourceType.BROKER, isPerBroker ? '' : String(node.nodeId));
    const settings = node.settings.withOverrides(isPerBroker ? { broker: wanted, cluster: other } : { broker: other, cluster: wanted });
    checkCordoned(settings);
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw invalid(error.message);
  }
}

function changedSetting(
  resource: ConfigResourceName,
  { name, configOperation, value }: IncrementalResource['configs'][number],
  present: ReadonlyMap<string, string>,
): string | null {
  if (configOperation === ConfigOperation.APPEND || configOperation === ConfigOperation.SUBTRACT) {
    const setting = brokerSettingsByName.get(name);
    if (setting === undefined) throw new KafkaError(ErrorCode.INVALID_CONFIG, `Unknown config name: ${name}`);
    if (setting.type !== 'list') {
      const operation = configOperation === ConfigOperation.APPEND ? 'append' : 'subtract';
      throw new KafkaError(ErrorCode.INVALID_CONFIG, `Config value ${operation} is not allowed for config key: ${name}`);
    }
  }
  if (!Object.values<number>(ConfigOperation).includes(configOperation)) throw invalid(`Unknown operations type ${configOperation}`);
  return applied(resource, name, { configOperation, value }, present);
}

function checkCordoned(settings: Settings): void {
  const directories = settings.get('log.dirs') ?? settings.get('log.dir');
  const missing = settings.get('cordoned.log.dirs').filter((directory) => !directories.includes(directory));
  if (missing.length > 0) {
    throw invalid(`requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : ${missing.join(', ')}`);
  }
}

/** Levels are checked as Kafka does; there is one logger here, of one level, so that is all that can be set. */
function checkLogger({ resourceName, configs }: IncrementalResource, { nodeId }: Node): void {
  if (!/^[+-]?\d{1,10}$/.test(resourceName)) throw invalid(`Node id must be an integer, but it is: ${resourceName}`);
  if (Number(resourceName) !== nodeId) throw invalid(`Unexpected node id. Expected ${nodeId}, but received ${Number(resourceName)}`);
  for (const { name, configOperation, value } of configs) {
    switch (configOperation) {
      case ConfigOperation.SET:
        checkLoggerName(name);
        if (value === null || !LOG_LEVELS.includes(value)) {
          throw invalidConfig(`Cannot set the log level of ${name} to ${value} as it is not a supported log level. Valid log levels are ${LOG_LEVELS.join(', ')}`);
        }
        if (value !== LOGGER.level) throw invalidConfig(`The log level of ${name} is ${LOGGER.level} and cannot be changed.`);
        break;
      case ConfigOperation.DELETE:
        checkLoggerName(name);
        throw invalid(`Removing the log level of the ${LOGGER.name} logger is not allowed`);
      case ConfigOperation.APPEND:
        throw invalid('APPEND operation is not allowed for the BROKER_LOGGER resource');
      case ConfigOperation.SUBTRACT:
        throw invalid('SUBTRACT operation is not allowed for the BROKER_LOGGER resource');
      default:
        // Kafka fails on it.
        throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR);
    }
  }
}

function checkLoggerName(name: string): void {
  if (name !== LOGGER.name) throw invalidConfig(`Logger ${name} does not exist!`);
}

function attempt(resource: ConfigResourceName, check: () => void): ConfigOutcome {
  try {
    check();
    return failure(resource, ErrorCode.NONE, null);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return failure(resource, error.code, ownText(error));
  }
}

function failure({ resourceType, resourceName }: ConfigResourceName, errorCode: ErrorCode, errorMessage: string | null): ConfigOutcome {
  return { resourceType, resourceName, errorCode, errorMessage };
}

function failures(errorCode: ErrorCode, { resources }: Request<Resource>, _context: RequestContext, errorMessage: string | null): Answer {
  return { throttleTimeMs: 0, responses: resources.map((resource) => failure(resource, errorCode, errorMessage)) };
}

/** This node's metadata shows what was set; what was added to lists or taken back it cannot tell from before. */
function arrived({ resources, validateOnly }: Request<Resource>, { responses }: { readonly responses: readonly { readonly errorCode: number }[] }, image: ReturnType<Node['image']>): boolean {
  if (validateOnly || responses.some(({ errorCode }) => errorCode !== ErrorCode.NONE)) return true;
  return resources.every(({ resourceType, resourceName, configs }) => {
    const present = image.configOf(resourceType, resourceName);
    return configs.every((config) => {
      const operation = 'configOperation' in config ? config.configOperation : ConfigOperation.SET;
      if (operation === ConfigOperation.SET) return present.get(config.name) === config.value;
      return operation !== ConfigOperation.DELETE || !present.has(config.name);
    });
  });
}

function invalid(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_REQUEST, message);
}

function invalidConfig(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_CONFIG, message);
}
