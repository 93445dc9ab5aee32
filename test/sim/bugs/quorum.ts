/** Bugs of the quorum and of its controller. */
import type { Bug } from './bug.ts';

export const quorumBugs: readonly Bug[] = [
  {
    name: 'vote without a sync',
    about: 'Raft: a vote that a power loss forgets is given again',
    changes: [{
      file: 'storage/quorum-state.ts',
      piece: 'replaceFileSync(disk, joinPath(directory, QUORUM_STATE), formatQuorumState(state));',
      replacement: `const path = joinPath(directory, QUORUM_STATE);
  const file = disk.open(path + '.tmp', 'replace');
  file.writeSync([formatQuorumState(state)], 0);
  file.close();
  disk.rename(path + '.tmp', path);
  void replaceFileSync;`,
    }],
    kinds: ['power', 'power in a turn', 'elect'],
  },
  {
    name: 'votes twice in an epoch',
    about: 'Raft: whoever asks is given the vote, also when somebody else has it (without pre-votes, which keep two from asking at once)',
    changes: [{ file: 'src/quorum/raft-turn.ts', piece: 'if (isWon(state, (turn.state.role as { ballot: Ballot }).ballot)) toCandidate(turn);', replacement: 'toCandidate(turn);' }, { file: 'src/quorum/raft.ts', piece: 'if (election.votedId >= 0) return matches({ id: election.votedId, directoryId: election.votedDirectoryId }, replica);', replacement: 'if (election.votedId >= 0 && matches(replica, replica)) return isUpToDate;' },
      { file: 'src/quorum/raft.ts', piece: 'return preVote && isUpToDate && (!role.hasFetched || role.unreachedMs !== null);', replacement: 'return isUpToDate && (!preVote || !role.hasFetched || role.unreachedMs !== null);' }],
    kinds: ['contest'],
  },
  {
    name: 'votes for a log that is behind',
    about: 'Raft 5.4.1: a candidate without all that is committed is elected',
    changes: [{ file: 'src/quorum/raft.ts', piece: 'const isUpToDate = event.lastEpoch > lastEpoch || (event.lastEpoch === lastEpoch && event.lastOffset >= logEndOffset);', replacement: 'const isUpToDate = lastEpoch + logEndOffset + event.lastOffset >= -1;' }],
    kinds: ['isolate', 'pause', 'kill', 'split', 'create topic'],
  },
  {
    name: 'commits an older epoch by counting',
    about: 'Raft 5.4.2, figure 8: what a majority has of an older epoch is taken for committed before anything of the new one is',
    changes: [{ file: 'src/quorum/raft-leader.ts', piece: 'if (majority <= epochStartOffset || majority <= (state.highWatermark ?? -1)) return;', replacement: 'if (majority < 0 * epochStartOffset || majority <= (state.highWatermark ?? -1)) return;' }],
    kinds: ['rolling', 'create topic', 'configure'],
  },
  {
    name: 'voter fetches on before its sync',
    about: 'a voter asks for what comes next, and so says that it holds what it has not synced',
    changes: [{ file: 'src/quorum/raft-answers.ts', piece: 'return durableOffset >= logEndOffset;', replacement: 'return durableOffset >= logEndOffset - 1e9;' }],
    kinds: ['slow disk', 'create topic', 'power in a turn', 'isolate'],
  },
  {
    name: 'commits what is not synced',
    about: 'the leader counts itself by what it has appended',
    changes: [{ file: 'src/quorum/raft-leader.ts', piece: '.set(key, { ...mine, endOffset: state.durableOffset })', replacement: '.set(key, { ...mine, endOffset: state.logEndOffset })' }],
    kinds: ['slow disk', 'create topic', 'power in a turn', 'isolate'],
  },
  {
    name: 'unclean elections',
    about: 'any replica may lead when none in sync is there, without anybody having allowed it',
    changes: [{ file: 'src/quorum/partition-change.ts', piece: '(isr.includes(broker) || (isr.length === 0 && elr.includes(broker))) && isAcceptableLeader(broker);', replacement: '(isr.length + elr.length >= 0) && isAcceptableLeader(broker);' }],
    kinds: ['kill', 'isolate', 'pause', 'stop'],
  },
  {
    name: 'unclean shutdown taken for a clean one',
    about: 'KIP-966: a broker that lost power stays among those that may lead',
    changes: [{ file: 'src/quorum/brokers.ts', piece: 'const isClean = existing?.epoch === request.previousBrokerEpoch;', replacement: 'const isClean = request.previousBrokerEpoch >= -1;' },
      { file: 'src/quorum/brokers.ts', piece: 'if (!context.image.elrEnabled || isClean) return sweepPartitions(inSync(brokerId, context), { remove: brokerId }, context);', replacement: 'if (isClean) return [];' }],
    kinds: ['power', 'power in a turn', 'pause'],
  },
];
