/** Which nodes there can be, by their settings, and in whose words the others are refused. */
import { describe, expect, test } from 'vitest';
import { rolesOf } from '../../../src/node/roles.ts';
import { Settings } from '../../../src/settings.ts';

const of = (...set: string[]) => rolesOf(Settings.from({ set }));
const combined = ['process.roles=broker,controller', 'controller.listener.names=CONTROLLER', 'listeners=PLAINTEXT://:9092,CONTROLLER://:9093'];
const broker = ['process.roles=broker', 'node.id=4', 'controller.listener.names=CONTROLLER', 'listeners=PLAINTEXT://:9092'];
const controller = ['process.roles=controller', 'controller.listener.names=CONTROLLER', 'listeners=CONTROLLER://:9093'];

describe('the roles of a node', () => {
  test.each([
    ['nothing that is said', [], { isBroker: true, isController: true, isAlone: true }],
    ['its own quorum', [...combined, 'controller.quorum.voters=1@localhost:9093'], { isBroker: true, isController: true, isAlone: true }],
    ["the settings that Kafka comes with", [...combined, 'controller.quorum.bootstrap.servers=localhost:9093'], { isBroker: true, isController: true, isAlone: true }],
    ['another to ask', [...combined, 'controller.quorum.bootstrap.servers=elsewhere:9093'], { isBroker: true, isController: true, isAlone: false }],
    ['one of three', [...combined, 'controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093'], { isBroker: true, isController: true, isAlone: false }],
    ['a broker', [...broker, 'controller.quorum.voters=1@a:9093'], { isBroker: true, isController: false, isAlone: false }],
    ['a controller', [...controller, 'controller.quorum.voters=1@a:9093'], { isBroker: false, isController: true, isAlone: false }],
  ])('%s', (_what, set, roles) => {
    expect(of(...set)).toEqual(roles);
  });

  test.each([
    ['a broker that knows no controllers', broker, 'either controller.quorum.voters or controller.quorum.bootstrap.servers'],
    ['a broker that is a voter', [...broker, 'controller.quorum.voters=4@a:9093'], 'the node id 4 must not be included in the set of voters 4'],
    ['a broker with a listener of controllers', [...broker, 'listeners=PLAINTEXT://:9092,CONTROLLER://:9093', 'controller.quorum.voters=1@a:9093'], 'listeners: CONTROLLER is a listener of controllers'],
    ['a controller that is no voter', [...controller, 'controller.quorum.voters=2@a:9093'], 'the node id 1 must be included in the set of voters 2'],
    ['a controller with a listener of brokers', [...controller, 'listeners=PLAINTEXT://:9092,CONTROLLER://:9093', 'controller.quorum.voters=1@a:9093'], 'listeners: PLAINTEXT is not in controller.listener.names'],
    ['a voter that cannot be reached', ['controller.quorum.voters=1@a:9093,2@b:9093'], "it must contain at least one value appearing in 'controller.listener.names'"],
  ])('%s is refused', (_what, set, text) => {
    expect(() => of(...set)).toThrow(text);
  });

  test('a node of a cluster has no development preset', () => {
    const factor = (...set: string[]) => Settings.from({ set }).get('offsets.topic.replication.factor');
    expect(factor()).toBe(1);
    expect(factor(...combined, 'controller.quorum.voters=1@localhost:9093')).toBe(1);
    expect(factor(...combined, 'controller.quorum.voters=1@a:9093,2@b:9093')).toBe(3);
    expect(factor(...broker, 'controller.quorum.voters=1@a:9093')).toBe(3);
  });
});
