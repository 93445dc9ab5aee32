/**
 * What Kafka's storage tool refuses of a settings file before it formats anything, because no node could start on it: roles, voters and listeners that do not go together
 * (KafkaConfig.validateValues), in its words. One rule is left out: a node that is broker and controller and names no controllers is one of its own to `ottla start`.
 */
import { FormatError } from '../quorum/format-features.ts';
import type { Settings } from '../settings.ts';

/** Throws a FormatError. */
export function checkNode(settings: Settings): void {
  const roles = settings.get('process.roles')!;
  const nodeId = settings.get('node.id')!;
  const voters = settings.get('controller.quorum.voters').map((voter) => Number(voter.slice(0, voter.indexOf('@'))));
  const names = settings.get('controller.listener.names')!.map((name) => name.toUpperCase());
  const listeners = settings.get('listeners').map((text) => text.slice(0, text.indexOf('://')).toUpperCase());
  const [isBroker, isController] = [roles.includes('broker'), roles.includes('controller')];
  const isNamed = voters.length > 0 || settings.get('controller.quorum.bootstrap.servers').length > 0;
  const voterSet = `controller.quorum.voters=Set(${voters.join(', ')})`;
  if (!isNamed && !(isBroker && isController)) {
    throw new FormatError(
      'If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or controller.quorum.voters must contain a parseable set of controllers.',
    );
  }
  if (!isController) {
    if (voters.includes(nodeId)) throw new FormatError(`If process.roles contains just the 'broker' role, the node id ${nodeId} must not be included in the set of voters ${voterSet}`);
    if (listeners.some((name) => names.includes(name))) {
      throw new FormatError("controller.listener.names must not contain a value appearing in the 'listeners' configuration when running KRaft with just the broker role");
    }
    return;
  }
  if (!isBroker && !listeners.every((name) => names.includes(name))) {
    throw new FormatError('The listeners config must only contain KRaft controller listeners from controller.listener.names when process.roles=controller');
  }
  if (voters.length > 0 && !voters.includes(nodeId)) {
    throw new FormatError(`If process.roles contains the 'controller' role, the node id ${nodeId} must be included in the set of voters ${voterSet}`);
  }
  if (!listeners.some((name) => names.includes(name))) {
    throw new FormatError("controller.listener.names must contain at least one value appearing in the 'listeners' configuration when running the KRaft controller role");
  }
  if (!names.every((name) => listeners.includes(name))) {
    throw new FormatError("controller.listener.names must only contain values appearing in the 'listeners' configuration when running the KRaft controller role");
  }
}
