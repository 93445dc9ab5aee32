/** Bugs of coordinators and of the disk. */
import type { Bug } from './bug.ts';

const SHARD = 'src/coordinator/shard.ts';

export const otherBugs: readonly Bug[] = [
  {
    name: 'coordinator answers before it is loaded',
    about: 'a half-loaded coordinator says that nothing was committed, and consumers begin anew',
    changes: [{ file: SHARD, piece: "if (this.#state === 'active') return;\n    if (this.#state === 'loading')", replacement: "if (this.#state === 'active' || this.#state === 'loading') return;\n    if (this.#state === 'failed')" }],
    kinds: ['elect', 'kill', 'stop', 'slow disk'],
  },
  {
    name: 'commits of offsets answered before they are committed',
    about: 'the answer goes out when the record is appended',
    changes: [{ file: SHARD, piece: 'open.events!.push(event);', replacement: 'event.finish(null);' }],
  },
  {
    name: 'failed sync ignored',
    about: 'fsyncgate: the sync after the one that failed succeeds, and proves nothing',
    changes: [{ file: 'storage/log-writer.ts', piece: 'await file.sync();\n    } finally {', replacement: 'await file.sync().catch(() => undefined);\n    } finally {' }],
    kinds: ['disk error', 'slow disk', 'create topic', 'isolate'],
  },
  {
    name: 'mark of a clean shutdown kept',
    about: 'the mark is still there after a start, so the next crash is taken for a clean stop and nothing is recovered',
    changes: [{ file: 'storage/clean-shutdown.ts', piece: 'removeFile(disk, joinPath(directory, CLEAN_SHUTDOWN));', replacement: 'void removeFile;' }],
    kinds: ['stop', 'power', 'power in a turn', 'kill'],
  },
  {
    name: 'torn end of a log believed',
    about: 'recovery asks for lengths and not for checksums, so a batch of which a power loss took a part stays in the log',
    changes: [{ file: 'storage/recovery.ts', piece: 'if (scan.crcMatches()) {\n        const epoch', replacement: 'if (scan.load()) {\n        const epoch' }],
    kinds: ['power', 'power in a turn'],
  },
  {
    name: 'snapshot renamed without a sync',
    about: 'the metadata snapshot has its name before it has its content, and the log before it is deleted',
    changes: [{ file: 'src/quorum/snapshots.ts', piece: '    await file.sync();', replacement: '' }],
    kinds: ['power', 'power in a turn', 'create topic'],
  },
  {
    name: 'leader epochs not written down',
    about: 'KIP-101: the file of the epochs stays as it was made first, so after a restart a follower does not know which it has, and cuts in the wrong place or not at all',
    changes: [
      { file: 'storage/epoch-history.ts', piece: 'await this.#file.replace(this.format());', replacement: 'if (this.#disk.status(this.#file.path) === undefined) await this.#file.replace(this.format());' },
      { file: 'storage/epoch-history.ts', piece: 'replaceFileSync(this.#disk, this.#file.path, this.format());', replacement: 'if (this.#disk.status(this.#file.path) === undefined) replaceFileSync(this.#disk, this.#file.path, this.format());' },
    ],
    kinds: ['stop', 'kill', 'move leader'],
  },
  {
    name: 'duplicates not recognised',
    about: 'a batch that is sent again because its answer was lost is appended again',
    changes: [{ file: 'storage/producer-state.ts', piece: 'this.duplicate = repeated;', replacement: 'this.duplicate = undefined;\n        return ErrorCode.NONE;' }],
    kinds: ['cut', 'isolate', 'pause', 'kill'],
  },
];
