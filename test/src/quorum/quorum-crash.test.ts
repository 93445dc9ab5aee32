/**
 * Crashes of the quorum, all of them: one life of a node, from the format of its directory to its close, and after every call of it that changed
 * the disk the world ends in every way that the crash disk knows. A new node must find what was acknowledged, and nothing that was never asked for.
 *
 * OTTLA_CRASH_SEEDS is the number of random outcomes at each boundary (2).
 */
import { expect, it } from 'vitest';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { loadMetaProperties } from '../../../storage/meta-properties.ts';
import { CrashDisk } from '../../storage/crash-disk.ts';
import { type Outcome, PLAIN_OUTCOMES, showOutcome } from '../../storage/crash-outcome.ts';
import { DIRECTORY, newTopic, QuorumWorld } from './world.ts';

const SEEDS = Number(process.env['OTTLA_CRASH_SEEDS'] ?? 2);

/** What a step leaves behind, as far as clients can tell. */
function stateOf(quorum: Quorum): string {
  const image = quorum.image();
  const topics = [...image.topics.values()].map(({ name, partitions }) => `${name}(${partitions.length})`).sort();
  return `${topics.join(' ')} next producer ${image.producerIds?.nextProducerId ?? 0} ${[...image.topicConfig('c')].join()}`;
}

type Step = (life: { world: QuorumWorld; quorum: Quorum; epoch: number }) => Promise<unknown>;

const deleteTopic = (name: string): Step => ({ quorum }) => quorum.controller!.deleteTopics([quorum.image().topic(name)!.id]);

const STEPS: readonly Step[] = [
  ({ quorum }) => quorum.controller!.createTopics([newTopic('a', { numPartitions: 3 })]),
  ({ quorum, epoch }) => quorum.controller!.allocateProducerIds(1, epoch),
  ({ quorum }) => quorum.controller!.createTopics([newTopic('b')]),
  ({ quorum }) => quorum.snapshot(),
  deleteTopic('a'),
  ({ quorum }) => quorum.controller!.createTopics([newTopic('c', { configs: [{ name: 'retention.ms', value: '5' }] })]),
  ({ quorum }) => quorum.controller!.createPartitions([{ name: 'c', count: 4, assignments: null }]),
  ({ quorum }) => quorum.snapshot(),
  ({ quorum, epoch }) => quorum.controller!.allocateProducerIds(1, epoch),
  deleteTopic('c'),
  ({ quorum }) => quorum.close(),
];

it('a node that crashes anywhere finds what it had acknowledged', { timeout: 120_000 }, async () => {
  // Steps acknowledged and begun; the first is the format.
  const progress = { acknowledged: 0, begun: 0 };
  const disk = new CrashDisk({ observe: () => ({ ...progress }) });
  const world = new QuorumWorld({
    disk, settings: { 'metadata.max.retention.bytes': 1, 'internal.metadata.log.segment.bytes': 1_500 },
  });
  /** After 0, 1, 2 ... steps. */
  const states = ['', ''];
  progress.begun = 1;
  const directoryId = world.directoryId();
  progress.acknowledged = 1;
  const life = { world, ...(await world.start()) };
  states[0] = stateOf(life.quorum);
  states[1] = states[0];
  for (const step of STEPS) {
    progress.begun++;
    await step(life);
    states.push(stateOf(life.quorum));
    progress.acknowledged++;
  }
  expect(states.at(-1)).toBe('b(1) next producer 2000 ');
  expect(world.failure).toBeUndefined();

  let images = 0;
  for (let boundary = 0; boundary <= disk.boundaries; boundary++) {
    const { acknowledged, begun } = disk.observedAt(boundary);
    const outcomes: Outcome[] = disk.isInDoubt(boundary)
      ? [...PLAIN_OUTCOMES, ...Array.from({ length: SEEDS }, (_, index) => ({ seed: boundary * 100 + index }))]
      : ['everything'];
    for (const outcome of outcomes) {
      images++;
      const where = `crash after call ${boundary} (${showOutcome(outcome)}), ${acknowledged} of ${begun} steps acknowledged`;
      const image = disk.image(boundary, outcome);
      try {
        const meta = loadMetaProperties(image, DIRECTORY);
        if (acknowledged >= 1) expect(meta).toMatchObject({ status: 'ok', value: { directoryId } });
        const next = new QuorumWorld({ disk: image, seed: boundary });
        const { quorum } = await next.start();
        const allowed = states.slice(acknowledged, begun + 1);
        const found = stateOf(quorum);
        expect(allowed).toContain(found);
        await quorum.close();
        const again = await new QuorumWorld({ disk: image, seed: boundary }).start();
        expect(stateOf(again.quorum)).toBe(found);
        await again.quorum.close();
      } catch (error) {
        throw new Error(`${where}: ${(error as Error).message}\n${disk.transcript(boundary)}`, { cause: error });
      }
    }
  }
  expect(images).toBeGreaterThan(300);
});
