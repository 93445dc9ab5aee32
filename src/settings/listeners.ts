/**
 * Where a node listens and what it tells clients: `listeners`, `advertised.listeners` and what belongs to them, read together and checked as
 * Kafka checks them (KafkaConfig.validateValues). One rule differs: a listener on all addresses needs no advertised one, for clients that have
 * none are told the address they came to. Does not resolve names or open ports.
 */
import { nearest } from './nearest.ts';

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';

export interface ListenerAddress {
  /** In capitals. */
  readonly name: string;
  /** '' is every address. An IPv6 address has no brackets. */
  readonly host: string;
  readonly port: number;
  readonly securityProtocol: SecurityProtocol;
}

export interface Listeners {
  /** Those that clients and brokers use. */
  readonly broker: readonly ListenerAddress[];
  /** Those that were asked for and must stay closed: what was to be encrypted or authenticated is not served in the open. */
  readonly unserved: readonly ListenerAddress[];
  /** Those of the controller quorum: none is fine for a quorum of one. */
  readonly controller: readonly ListenerAddress[];
  /** What clients are told, by listener name. A listener that is missing here tells clients the address they came to. */
  readonly advertised: ReadonlyMap<string, ListenerAddress>;
  readonly interBroker: string;
}

export interface ListenerTexts {
  readonly listeners: readonly string[];
  readonly advertised: readonly string[] | null;
  readonly protocolMap: string;
  readonly protocolMapGiven: boolean;
  readonly controllerNames: readonly string[];
  readonly interBrokerName: string | null;
  readonly interBrokerProtocol: string | null;
  readonly roles: readonly string[];
}

const SERVED_PROTOCOLS: readonly SecurityProtocol[] = ['PLAINTEXT'];
const PROTOCOLS: readonly string[] = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'];

/** Throws an Error that names the setting at fault. */
export function readListeners(texts: ListenerTexts): Listeners {
  const protocols = protocolMap(texts);
  const all = texts.listeners.map((text) => parseListener('listeners', text, protocols));
  refuseDoubles(all, texts.listeners);
  const controllerNames = new Set(texts.controllerNames.map((name) => name.toUpperCase()));
  const controller = all.filter((listener) => controllerNames.has(listener.name));
  const forClients = all.filter((listener) => !controllerNames.has(listener.name));
  const broker = forClients.filter(isServed);
  const unserved = forClients.filter((listener) => !isServed(listener));
  if (broker.length === 0 && unserved.length > 0) {
    const [{ name, securityProtocol }] = unserved as [ListenerAddress];
    throw new Error(`listeners: ${name} is a ${securityProtocol} listener, which is not served yet, and there is no ${SERVED_PROTOCOLS.join(' or ')} one`);
  }
  if (texts.roles.includes('broker') && broker.length === 0) {
    throw new Error(`listeners = ${texts.listeners.join(',')}: there must be at least one broker listener, and controller.listener.names takes them all`);
  }
  const advertised = new Map<string, ListenerAddress>();
  for (const text of texts.advertised ?? []) {
    const listener = parseListener('advertised.listeners', text, protocols);
    checkAdvertised(listener, text, all, advertised);
    advertised.set(listener.name, listener);
  }
  return { broker, unserved, controller, advertised, interBroker: interBrokerListener(texts, forClients, protocols) };
}

function protocolMap(texts: ListenerTexts): Map<string, SecurityProtocol> {
  const map = new Map<string, SecurityProtocol>();
  for (const entry of texts.protocolMap.split(',').map((one) => one.trim()).filter((one) => one !== '')) {
    const colon = entry.lastIndexOf(':');
    if (colon < 0) throw new Error(`listener.security.protocol.map: '${entry}' should be NAME:PROTOCOL`);
    const protocol = entry.slice(colon + 1).trim().toUpperCase();
    if (!PROTOCOLS.includes(protocol)) {
      const meant = nearest(protocol, PROTOCOLS);
      throw new Error(`listener.security.protocol.map: invalid security protocol '${protocol}'${meant === undefined ? '' : `, did you mean ${meant}?`}`);
    }
    map.set(entry.slice(0, colon).trim().toUpperCase(), protocol as SecurityProtocol);
  }
  // Kafka takes controller listeners for PLAINTEXT as long as the map was left alone and no listener says otherwise.
  if (!texts.protocolMapGiven) for (const name of texts.controllerNames) if (!map.has(name.toUpperCase())) map.set(name.toUpperCase(), 'PLAINTEXT');
  return map;
}

/** `NAME://host:port`, `NAME://:port` and `NAME://[v6]:port`. */
function parseListener(setting: string, text: string, protocols: ReadonlyMap<string, SecurityProtocol>): ListenerAddress {
  const match = /^([^:/]+):\/\/(?:\[([0-9a-zA-Z:%._-]*)\]|([^:[\]]*)):(-?[0-9]+)$/.exec(text);
  if (match === null) throw new Error(`${setting}: unable to parse '${text}', it should be NAME://host:port`);
  const name = match[1]!.toUpperCase();
  const port = Number(match[4]);
  if (port < 0 || port > 65_535) throw new Error(`${setting}: '${text}' has a port outside 0 to 65535`);
  const securityProtocol = protocols.get(name);
  if (securityProtocol === undefined) {
    const known = [...protocols.keys()];
    throw new Error(`${setting}: no security protocol defined for listener ${name}; listener.security.protocol.map knows ${known.join(', ')}`);
  }
  return { name, host: match[2] ?? match[3] ?? '', port, securityProtocol };
}

function isServed({ securityProtocol }: ListenerAddress): boolean {
  return SERVED_PROTOCOLS.includes(securityProtocol);
}

function refuseDoubles(listeners: readonly ListenerAddress[], texts: readonly string[]): void {
  const names = new Set<string>();
  const ports = new Map<number, ListenerAddress>();
  for (const listener of listeners) {
    if (names.has(listener.name)) throw new Error(`listeners = ${texts.join(',')}: each listener must have a different name`);
    names.add(listener.name);
    const other = ports.get(listener.port);
    // One port may serve an IPv4 and an IPv6 address.
    if (listener.port !== 0 && other !== undefined && other.host.includes(':') === listener.host.includes(':')) {
      throw new Error(`listeners = ${texts.join(',')}: each listener must have a different port`);
    }
    ports.set(listener.port, listener);
  }
}

function checkAdvertised(listener: ListenerAddress, text: string, all: readonly ListenerAddress[], seen: ReadonlyMap<string, unknown>): void {
  if (listener.host === '0.0.0.0' || listener.host === '::') {
    throw new Error(`advertised.listeners: '${text}' uses an address that nobody can connect to; name one, or leave the setting out to tell clients the address they came to`);
  }
  if (seen.has(listener.name)) throw new Error(`advertised.listeners: each listener must have a different name, ${listener.name} comes twice`);
  if (!all.some((one) => one.name === listener.name)) {
    throw new Error(`advertised.listeners: ${listener.name} is not in listeners, which has ${all.map((one) => one.name).join(', ')}`);
  }
}

function interBrokerListener(texts: ListenerTexts, broker: readonly ListenerAddress[], protocols: ReadonlyMap<string, SecurityProtocol>): string {
  const { interBrokerName, interBrokerProtocol } = texts;
  if (interBrokerName !== null && interBrokerProtocol !== null) throw new Error('only one of inter.broker.listener.name and security.inter.broker.protocol should be set');
  const name = (interBrokerName ?? interBrokerProtocol)?.toUpperCase();
  if (name === undefined) return broker.find((one) => one.name === 'PLAINTEXT')?.name ?? broker[0]?.name ?? 'PLAINTEXT';
  if (interBrokerName !== null && !protocols.has(name)) {
    throw new Error(`inter.broker.listener.name: ${name} is not in listener.security.protocol.map`);
  }
  if (broker.length > 0 && !broker.some((one) => one.name === name)) {
    throw new Error(`inter.broker.listener.name must be one of the broker's listeners, ${broker.map((one) => one.name).join(', ')}; it is ${name}`);
  }
  return name;
}
