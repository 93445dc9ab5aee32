/** A quorum that grows from one voter and shrinks again, on a network that loses nothing: nobody has a reason to elect. */
import { expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { directoryOf, RaftWorld } from './raft-world.ts';

const LONG_MS = 10_000;

it('a leader that was alone for long leads on when others vote too, and when they leave', () => {
  const world = new RaftWorld({ nodes: 3, voters: 1, random: { below: () => 0 } });
  world.run(LONG_MS);
  const [leader] = world.leaders;
  const { epoch } = leader!.state.election;
  const answers: number[] = [];
  for (const change of [
    { type: 'addVoter', voter: world.voter(2), ackWhenCommitted: true },
    { type: 'addVoter', voter: world.voter(3), ackWhenCommitted: true },
    { type: 'removeVoter', key: { id: 3, directoryId: directoryOf(3) } },
    { type: 'removeVoter', key: { id: 2, directoryId: directoryOf(2) } },
    { type: 'addVoter', voter: world.voter(2), ackWhenCommitted: true },
  ] as const) {
    world.ask(leader!, change, ({ error }) => void answers.push(error));
    world.run(world.nowMs + LONG_MS);
  }
  expect(answers).toEqual(Array.from({ length: 5 }, () => ErrorCode.NONE));
  expect(world.leaders.map(({ id, state }) => [id, state.election.epoch])).toEqual([[leader!.id, epoch]]);
});
