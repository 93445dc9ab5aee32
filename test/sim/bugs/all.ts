/** All bugs that the simulator must find. Does not: hold them; they are by room in the files beside it. */
import type { Bug } from './bug.ts';
import { otherBugs } from './others.ts';
import { quorumBugs } from './quorum.ts';
import { replicationBugs } from './replication.ts';

export const bugs: readonly Bug[] = [...replicationBugs, ...quorumBugs, ...otherBugs];

export function bugNamed(name: string): Bug {
  const bug = bugs.find((one) => one.name === name);
  if (bug === undefined) throw new RangeError(`there is no bug '${name}', but: ${bugs.map((one) => one.name).join('; ')}`);
  return bug;
}
