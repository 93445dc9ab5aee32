/** What a node is by its settings (process.roles and those of the controller quorum), and what Kafka does not let be together. Does not open anything. */
import { SettingError } from '../settings.ts';
import type { Settings } from '../settings.ts';

export interface Roles {
  readonly isBroker: boolean;
  readonly isController: boolean;
  /** The settings know of no other node: a quorum of one that makes its cluster itself. */
  readonly isAlone: boolean;
}

/** Throws a SettingError, in Kafka's words where it has some. */
export function rolesOf(settings: Settings): Roles {
  const roles = settings.get('process.roles') ?? [];
  const [isBroker, isController] = [roles.includes('broker'), roles.includes('controller')];
  const nodeId = settings.get('node.id') ?? 1;
  const voters = settings.get('controller.quorum.voters').map(voterId);
  const bootstrap = settings.get('controller.quorum.bootstrap.servers');
  const { broker, controller } = settings.listeners;
  const hasQuorum = voters.length > 0 || bootstrap.length > 0;
  if (isController && hasQuorum && controller.length === 0) {
    throw new SettingError("listeners: it must contain at least one value appearing in 'controller.listener.names' when running the KRaft controller role");
  }
  if (!isController && controller.length > 0) {
    throw new SettingError(`listeners: ${controller[0]!.name} is a listener of controllers (controller.listener.names), which a node with process.roles=broker must not have`);
  }
  if (!isBroker && broker.length > 0) {
    throw new SettingError(`listeners: ${broker[0]!.name} is not in controller.listener.names, and a node with process.roles=controller listens for nobody else`);
  }
  if (!isController && !hasQuorum) {
    throw new SettingError('process.roles=broker: either controller.quorum.voters or controller.quorum.bootstrap.servers must tell where the controllers are');
  }
  if (voters.length > 0 && isController && !voters.includes(nodeId)) {
    throw new SettingError(`controller.quorum.voters: if process.roles contains the 'controller' role, the node id ${nodeId} must be included in the set of voters ${voters.join(', ')}`);
  }
  if (voters.length > 0 && !isController && voters.includes(nodeId)) {
    throw new SettingError(`controller.quorum.voters: if process.roles contains just the 'broker' role, the node id ${nodeId} must not be included in the set of voters ${voters.join(', ')}`);
  }
  const isOwn = (server: string): boolean => isOwnAddress(server, settings);
  const onlyVoter = voters.length === 0 || (voters.length === 1 && voters[0] === nodeId);
  return { isBroker, isController, isAlone: isBroker && isController && onlyVoter && bootstrap.every(isOwn) };
}

/** The settings that Kafka comes with name the node itself as the one to ask for its quorum. */
function isOwnAddress(server: string, { listeners }: Settings): boolean {
  const colon = server.lastIndexOf(':');
  const [host, port] = [server.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), Number(server.slice(colon + 1))];
  return listeners.controller.some((own) => {
    const advertised = listeners.advertised.get(own.name);
    if (advertised?.host === host && advertised.port === port) return true;
    return own.port === port && (own.host === host || ['localhost', '127.0.0.1', '::1'].includes(host));
  });
}

/** `1@host:9093` */
function voterId(voter: string): number {
  return Number(voter.slice(0, voter.indexOf('@')));
}
