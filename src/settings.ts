/**
 * The settings of one node, immutable: read from a file, the environment, `name=value` arguments and a preset, checked as Kafka checks them,
 * and given out typed by name.
 *
 * Promises: every name that Kafka 4.3.1 takes is taken; an unknown name or a bad value is a SettingError that names the setting, the value,
 * the place it came from, the rule, and the nearest right name. Later sources win: preset, file, environment, `set`, `values`.
 * Does not read files or the environment itself: their text is given.
 */
import { brokerSettings, brokerSettingsByName, isIgnored, listenerOverride, synonymsOf } from './settings/broker-settings.ts';
import type { BrokerSettingName, BrokerSettings, ValueOf } from './settings/broker-settings.ts';
import { checkTogether } from './settings/consistency.ts';
import { ConfigSource, describeSetting } from './settings/description.ts';
import type { SettingDescription, SettingSynonym } from './settings/description.ts';
import { environmentSettings } from './settings/environment.ts';
import { GroupSettings } from './settings/group-settings.ts';
import { readListeners } from './settings/listeners.ts';
import type { Listeners } from './settings/listeners.ts';
import { nearest } from './settings/nearest.ts';
import { DEVELOPMENT, STANDING } from './settings/preset.ts';
import { parseProperties } from '../protocol/properties.ts';
import { canonicalText, InvalidSettingError, parseSetting } from './settings/setting.ts';
import type { Setting, SettingValue } from './settings/setting.ts';
import { TopicSettings } from './settings/topic-settings.ts';

export type { BrokerSettingName } from './settings/broker-settings.ts';
export type SettingInput = string | number | boolean | readonly string[];

export interface SettingsSources {
  /** The text of a properties file; `name` is how errors call it. */
  readonly file?: { readonly name: string; readonly text: string } | undefined;
  /** KAFKA_* variables are read, the others are not looked at. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** `name=value`, as after `--set`. */
  readonly set?: readonly string[] | undefined;
  readonly values?: Readonly<Record<string, SettingInput>> | undefined;
  /** Leaves the development preset out. */
  readonly production?: boolean | undefined;
}

/** A setting that cannot be taken. Its message is one line for the person who wrote it. */
export class SettingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SettingError';
  }
}

interface Given {
  readonly text: string;
  readonly value: SettingValue;
}

/** Overrides that live in the metadata: of this broker, and of all brokers. */
export interface DynamicOverrides {
  readonly broker: ReadonlyMap<string, string>;
  readonly cluster: ReadonlyMap<string, string>;
}

type Layer = ReadonlyMap<string, Given>;

export class Settings {
  readonly topic: TopicSettings;
  readonly group: GroupSettings;
  readonly listeners: Listeners;
  /** Settings that were given and that this broker takes without acting on them. Listeners that stay closed are in `listeners.unserved`. */
  readonly withoutEffect: readonly string[];
  readonly #static: Layer;
  readonly #brokerOverrides: Layer;
  readonly #clusterOverrides: Layer;
  readonly #values = new Map<string, SettingValue>();

  private constructor(layers: { given: Layer; broker: Layer; cluster: Layer }, withoutEffect: readonly string[]) {
    this.#static = layers.given;
    this.#brokerOverrides = layers.broker;
    this.#clusterOverrides = layers.cluster;
    this.withoutEffect = withoutEffect;
    const server = {
      text: (name: BrokerSettingName) => this.text(name),
      value: (name: BrokerSettingName) => this.get(name),
      synonyms: (name: string) => this.#synonyms(name),
    };
    this.topic = new TopicSettings(server);
    this.group = new GroupSettings(server);
    this.listeners = this.#readListeners();
    const fault = checkTogether(this);
    if (fault !== null) throw new SettingError(fault);
  }

  /** Throws SettingError. */
  static from(sources: SettingsSources = {}): Settings {
    const given = new Map<string, Given>();
    const withoutEffect = new Set<string>();
    const take = (name: string, text: string, place: string): void => {
      if (isIgnored(name)) {
        withoutEffect.add(name);
        return;
      }
      const override = listenerOverride(name);
      const setting = brokerSettingsByName.get(override?.setting ?? name);
      if (setting === undefined) throw unknown(name, text, place);
      const value = parse(name, setting, text, place);
      if (setting.dynamicOnly || override !== undefined || !setting.served) withoutEffect.add(name);
      if (setting.dynamicOnly) return;
      given.set(name, { text: canonicalText(setting, text), value });
    };
    for (const { name, value, place } of written(sources)) take(name, value, place);
    if (given.has('broker.id')) nameTheNode(given);
    const isProduction = sources.production === true || isOfCluster(given);
    for (const [name, text] of Object.entries({ ...STANDING, ...(isProduction ? {} : DEVELOPMENT) })) {
      if (!given.has(name)) given.set(name, { text, value: parse(name, brokerSettingsByName.get(name)!, text, 'the preset') });
    }
    nameTheNode(given);
    return new Settings({ given, broker: new Map(), cluster: new Map() }, [...withoutEffect]);
  }

  get<N extends BrokerSettingName>(name: N): ValueOf<BrokerSettings[N]> {
    let value = this.#values.get(name);
    if (value === undefined) {
      const given = this.#inForce(name);
      value = given === undefined ? (brokerSettings[name] as Setting<SettingValue>).default : given.value;
      this.#values.set(name, value);
    }
    return value as ValueOf<BrokerSettings[N]>;
  }

  /** In force, as DescribeConfigs shows it; null when unset. */
  text(name: BrokerSettingName): string | null {
    return this.#inForce(name)?.text ?? brokerSettings[name].defaultText;
  }

  /** Whether somebody (or the preset) set it, rather than Kafka's default. */
  isSet(name: BrokerSettingName): boolean {
    return this.#inForce(name) !== undefined;
  }

  /** The text of `listener.name.LISTENER.NAME`, where one is given. */
  listenerText(listener: string, name: string): string | undefined {
    return this.#static.get(`listener.name.${listener.toLowerCase()}.${name}`)?.text;
  }

  /** The same settings under other dynamic overrides. What cannot be changed while running, or does not parse, is passed over. */
  withOverrides(overrides: DynamicOverrides): Settings {
    const layer = (texts: ReadonlyMap<string, string>, perBroker: boolean): Layer => {
      const taken = new Map<string, Given>();
      for (const [name, text] of texts) {
        const setting = brokerSettingsByName.get(name);
        if (setting === undefined || !isDynamic(setting, perBroker)) continue;
        try {
          taken.set(name, { value: parseSetting(name, setting, text), text: canonicalText(setting, text) });
        } catch (error) {
          if (!(error instanceof InvalidSettingError)) throw error;
        }
      }
      return taken;
    };
    return new Settings({ given: this.#static, broker: layer(overrides.broker, true), cluster: layer(overrides.cluster, false) }, this.withoutEffect);
  }

  /** What is wrong with dynamic overrides of a broker (or, without one, of all brokers), in Kafka's words (DynamicBrokerConfig.validateConfigs), or null. */
  validateOverrides(overrides: ReadonlyMap<string, string>, perBroker: boolean): string | null {
    const names = [...overrides.keys()].filter((name) => brokerSettingsByName.has(name));
    const some = (text: string, isWrong: (name: string, setting: Setting) => boolean): string | null => {
      const wrong = names.filter((name) => isWrong(name, brokerSettingsByName.get(name)!));
      return wrong.length === 0 ? null : `${text}: [${wrong.join(', ')}]`;
    };
    const fault =
      some('Cannot update these configs dynamically', (_name, setting) => !isDynamic(setting, true)) ??
      some('These security configs can be dynamically updated only per-listener using the listener prefix', (name) => name.startsWith('ssl.'));
    if (fault !== null) return fault;
    for (const name of names) {
      try {
        parseSetting(name, brokerSettingsByName.get(name)!, overrides.get(name)!);
      } catch (error) {
        if (error instanceof InvalidSettingError) return error.message;
        throw error;
      }
    }
    return some('Cannot update these configs at default cluster level, broker id must be specified', (_name, setting) => !isDynamic(setting, perBroker));
  }

  /** The settings of this broker that it acts on. */
  describe(): SettingDescription[] {
    const names = Object.keys(brokerSettings) as BrokerSettingName[];
    // As Kafka: what can only be set while running is shown where it is. And whoever has set something sees it, whether it does anything here or not.
    const isOverridden = (name: string): boolean => this.#brokerOverrides.has(name) || this.#clusterOverrides.has(name);
    return names
      .filter((name) => isOverridden(name) || (isShown(brokerSettings[name]) && ((brokerSettings[name] as Setting).dynamicOnly !== true || this.isSet(name))))
      .map((name) => this.#describe(name));
  }

  /** Those that are overridden for all brokers. */
  describeClusterOverrides(): SettingDescription[] {
    return [...this.#clusterOverrides].map(([name, { text }]) => {
      const synonyms = this.#synonyms(name).filter((one) => one.source === ConfigSource.DYNAMIC_DEFAULT_BROKER);
      return describeSetting({ name, setting: brokerSettingsByName.get(name)!, value: text, readOnly: false, synonyms });
    });
  }

  #describe(name: BrokerSettingName): SettingDescription {
    const setting: Setting = brokerSettings[name];
    return describeSetting({ name, setting, value: this.text(name), readOnly: (setting.update ?? 'read-only') === 'read-only', synonyms: this.#synonyms(name) });
  }

  #inForce(name: string): Given | undefined {
    return this.#brokerOverrides.get(name) ?? this.#clusterOverrides.get(name) ?? this.#static.get(name);
  }

  /** All values that a setting has, strongest first. As Kafka, what stands before the first one under the setting's own name is left out. */
  #synonyms(name: string): readonly SettingSynonym[] {
    const names = synonymsOf(name);
    const found: SettingSynonym[] = [];
    const layers: readonly [Layer, ConfigSource][] = [
      [this.#brokerOverrides, ConfigSource.DYNAMIC_BROKER],
      [this.#clusterOverrides, ConfigSource.DYNAMIC_DEFAULT_BROKER],
      [this.#static, ConfigSource.STATIC_BROKER],
    ];
    const show = (one: string, text: string) => (brokerSettingsByName.get(one)!.sensitive ? null : text);
    for (const [layer, source] of layers) {
      for (const one of names) {
        const given = layer.get(one);
        if (given !== undefined) found.push({ name: one, value: show(one, given.text), source });
      }
    }
    for (const one of names) {
      const setting = brokerSettingsByName.get(one);
      const text = setting?.dynamicOnly ? null : setting?.defaultText;
      if (text !== null && text !== undefined) found.push({ name: one, value: show(one, text), source: ConfigSource.DEFAULT });
    }
    const first = found.findIndex((one) => one.name === name);
    return first < 0 ? [] : found.slice(first);
  }

  #readListeners(): Listeners {
    try {
      return readListeners({
        listeners: this.get('listeners'),
        advertised: this.get('advertised.listeners'),
        protocolMap: this.get('listener.security.protocol.map'),
        protocolMapGiven: this.isSet('listener.security.protocol.map'),
        controllerNames: this.get('controller.listener.names') ?? [],
        interBrokerName: this.get('inter.broker.listener.name'),
        interBrokerProtocol: this.isSet('security.inter.broker.protocol') ? this.get('security.inter.broker.protocol') : null,
        roles: this.get('process.roles') ?? [],
      });
    } catch (error) {
      throw new SettingError((error as Error).message);
    }
  }
}

function* written(sources: SettingsSources): Generator<{ name: string; value: string; place: string }> {
  if (sources.file !== undefined) {
    const { name: file, text } = sources.file;
    for (const { name, value, line } of parseProperties(text)) yield { name, value, place: `${file} line ${line}` };
  }
  for (const { variable, name, value } of environmentSettings(sources.environment ?? {})) yield { name, value, place: variable };
  for (const pair of sources.set ?? []) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw new SettingError(`--set ${pair}: it should be NAME=VALUE`);
    yield { name: pair.slice(0, equals).trim(), value: pair.slice(equals + 1), place: '--set' };
  }
  for (const [name, value] of Object.entries(sources.values ?? {})) {
    yield { name, value: Array.isArray(value) ? value.join(',') : String(value), place: 'settings' };
  }
}

/** The development preset is for one node on its own: internal topics of one replica would be the end of a cluster that loses one. */
function isOfCluster(given: ReadonlyMap<string, Given>): boolean {
  const list = (name: string) => (given.get(name)?.value ?? []) as readonly string[];
  const roles = list('process.roles');
  return list('controller.quorum.voters').length > 1 || list('controller.quorum.bootstrap.servers').length > 1 || (roles.length > 0 && roles.length < 2);
}

/** node.id and the older broker.id are one thing. */
function nameTheNode(given: Map<string, Given>): void {
  const [node, broker] = [given.get('node.id'), given.get('broker.id')];
  if (node !== undefined && broker !== undefined && node.text !== broker.text && broker.text !== '-1') {
    throw new SettingError(`broker.id = ${broker.text} and node.id = ${node.text}: you must set node.id to the same value as broker.id`);
  }
  if (node === undefined && broker !== undefined && broker.text !== '-1') given.set('node.id', broker);
  if (node !== undefined && broker === undefined) given.set('broker.id', node);
}

function parse(name: string, setting: Setting, text: string, place: string): SettingValue {
  try {
    return parseSetting(name, setting, text);
  } catch (error) {
    if (!(error instanceof InvalidSettingError)) throw error;
    // A secret stays out of the message, and so out of logs.
    const message = setting.sensitive ? `Invalid value for configuration ${name}` : error.message;
    throw new SettingError(`${message} (${place})`);
  }
}

function unknown(name: string, text: string, place: string): SettingError {
  const listener = /^listener\.name\.[^.]+\./.exec(name);
  const candidates = brokerSettingsByName.keys();
  const meant = listener === null ? nearest(name, candidates) : nearest(name.slice(listener[0].length), candidates);
  const hint = meant === undefined ? '' : `; did you mean ${listener?.[0] ?? ''}${meant}?`;
  // What may be a secret under a mistyped name stays out of the message too.
  const secret = /pass|secret|jaas|key/i.test(name) || (meant !== undefined && brokerSettingsByName.get(meant)!.sensitive);
  const shown = secret ? '[hidden]' : text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return new SettingError(`unknown setting ${name} = ${shown} (${place})${hint}`);
}

function isDynamic(setting: Setting, perBroker: boolean): boolean {
  return setting.update === 'cluster-wide' || (perBroker && setting.update === 'per-broker');
}

function isShown(setting: Setting): boolean {
  return setting.served === true && !setting.internal;
}
