/**
 * A disk that remembers what of it would survive a power loss, and that fails where it is told to.
 *
 * It records every call that changes something. A crash is then not an event but a question asked afterwards: what may the disk hold if the world had
 * stopped after the first `boundary` of these calls? So one run of a flow shows all its crashes. What the flow had been promised by then is what `observe`
 * returned last before the next change.
 *
 * What may be lost is what POSIX does not promise and file systems really lose: contents not synced since (all, a suffix, any of several writes, a write torn
 * at a sector, the size kept and the bytes zero, a truncation), and names whose directory was not synced since (creations, renames, removals, one by one).
 * A sync counts from the moment it has resolved. After a sync that failed, what was to be synced stays in doubt for ever, even if a later one succeeds.
 *
 * Does not: reorder what a running process sees; lose what was synced; tear inside a sector.
 */
import assert from 'node:assert';
import { DiskError } from '../../storage/disk.ts';
import type { Disk, DiskFile, FileStatus, OpenMode } from '../../storage/disk.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { Choice } from './crash-outcome.ts';
import type { ContentChange, Doubtful, NameChange, NodeId, Outcome } from './crash-outcome.ts';

export type CallKind =
  | 'open' | 'close' | 'list' | 'status' | 'readFile' | 'read' | 'write' | 'truncate' | 'sync' | 'rename' | 'unlink'
  | 'makeDirectory' | 'removeDirectory' | 'syncDirectory' | 'setModified';

/** One call of the code under test, changing something or not. */
export interface Call {
  readonly number: number;
  readonly kind: CallKind;
  readonly path: string;
}

/** How a call fails: with the code, after half of the bytes where it is a write and `isShort`. */
export interface Fault {
  readonly code: string;
  readonly isShort?: boolean;
}

/** A moment that changes nothing but durability. */
interface Sync {
  readonly kind: 'sync';
}

type Entry = (NameChange | ContentChange | Sync) & { readonly text: string };

const ROOT: NodeId = 0;

export interface CrashDiskOptions<T> {
  /** What is on the disk, durably, when it starts; it is copied. */
  readonly from?: MemoryDisk;
  /** Asked before each call. */
  readonly fault?: (call: Call) => Fault | undefined;
  readonly nowMs?: () => number;
  /** Asked before each change: whatever a test wants to know of that moment. */
  readonly observe?: () => T;
}

export class CrashDisk<T = undefined> implements Disk {
  /** What the running process sees. */
  readonly live: MemoryDisk;
  readonly calls: Call[] = [];
  fault: ((call: Call) => Fault | undefined) | undefined;
  readonly #observe: (() => T) | undefined;
  readonly #journal: Entry[] = [];
  /** What was observed before each entry of the journal. */
  readonly #observed: T[] = [];
  /** Names and contents that were durable at the start. */
  readonly #baseNames = new Map<NodeId, Map<string, NodeId>>();
  readonly #baseContents = new Map<NodeId, Buffer>();
  /** Names as the running process sees them. */
  readonly #names = new Map<NodeId, Map<string, NodeId>>();
  readonly #locks: (() => void)[] = [];
  #nextId = ROOT + 1;

  constructor(options: CrashDiskOptions<T> = {}) {
    this.live = new MemoryDisk(options.nowMs === undefined ? {} : { nowMs: options.nowMs });
    this.fault = options.fault;
    this.#observe = options.observe;
    this.#names.set(ROOT, new Map());
    this.#baseNames.set(ROOT, new Map());
    if (options.from !== undefined) this.#adopt(options.from, '', ROOT);
  }

  #adopt(from: MemoryDisk, directory: string, id: NodeId): void {
    for (const name of from.list(directory)) {
      const path = `${directory}/${name}`;
      const child = this.#nextId++;
      this.#names.get(id)!.set(name, child);
      this.#baseNames.get(id)!.set(name, child);
      const status = from.status(path)!;
      if (status.isDirectory) {
        this.#names.set(child, new Map());
        this.#baseNames.set(child, new Map());
        this.live.makeDirectory(path);
        this.#adopt(from, path, child);
        continue;
      }
      const content = from.readFile(path);
      this.#baseContents.set(child, content);
      putFile(this.live, path, content);
      this.live.setModified(path, status.modifiedMs);
    }
  }

  // ---- crashes

  /** Boundaries are 0 (before the first change) to this (after the last). */
  get boundaries(): number {
    return this.#journal.length;
  }

  /** What was observed when so many changes had been made, and no further one. */
  observedAt(boundary: number): T {
    return boundary < this.#journal.length ? this.#observed[boundary]! : this.#observe!();
  }

  /** All changes, for the message of a failure. */
  transcript(boundary: number = this.boundaries, last = 40): string {
    const lines = this.#journal.slice(0, boundary).map((entry, index) => `${index} ${entry.text}`);
    return lines.slice(-last).join('\n');
  }

  /** Whether a crash at the boundary can lose anything. */
  isInDoubt(boundary: number): boolean {
    return this.#journal.slice(0, boundary).some((entry) => isPending(entry, boundary));
  }

  /** What a new process finds. */
  image(boundary: number, outcome: Outcome): MemoryDisk {
    assert(boundary >= 0);
    assert(boundary <= this.#journal.length);
    const choice = new Choice(outcome);
    const names = new Map([...this.#baseNames].map(([id, entries]) => [id, new Map(entries)]));
    const contents = new Map<NodeId, ContentChange[]>();
    const pendingNames = this.#journal.slice(0, boundary).filter((entry) => entry.kind === 'name' && isPending(entry, boundary)).length;
    const keepsName = choice.names(pendingNames);
    for (let index = 0; index < boundary; index++) {
      const entry = this.#journal[index]!;
      if (entry.kind === 'name') {
        if (!names.has(entry.id) && this.#names.has(entry.id)) names.set(entry.id, new Map());
        if (!isPending(entry, boundary) || keepsName(entry)) applyName(names, entry);
      } else if (entry.kind === 'write' || entry.kind === 'truncate') {
        const changes = contents.get(entry.id);
        if (changes === undefined) contents.set(entry.id, [entry]);
        else changes.push(entry);
      }
    }
    const disk = new MemoryDisk();
    this.#write(disk, '', ROOT, names, (id) => {
      const changes = contents.get(id);
      const base = this.#baseContents.get(id) ?? Buffer.alloc(0);
      return changes === undefined ? base : choice.content(base, changes, boundary);
    });
    return disk;
  }

  #write(disk: MemoryDisk, directory: string, id: NodeId, names: Map<NodeId, Map<string, NodeId>>, content: (id: NodeId) => Buffer): void {
    for (const [name, child] of names.get(id)!) {
      const path = `${directory}/${name}`;
      if (names.has(child)) {
        disk.makeDirectory(path);
        this.#write(disk, path, child, names, content);
      } else {
        putFile(disk, path, content(child));
      }
    }
  }

  // ---- the disk

  deviceReads(): number {
    return 0;
  }

  list(directory: string): string[] {
    this.#call('list', directory);
    return this.live.list(directory);
  }

  status(path: string): FileStatus | undefined {
    this.#call('status', path);
    return this.live.status(path);
  }

  makeDirectory(path: string): void {
    this.#call('makeDirectory', path);
    this.live.makeDirectory(path);
    let directory = ROOT;
    for (const name of split(path)) {
      let id = this.#names.get(directory)!.get(name);
      if (id === undefined) {
        id = this.#nextId++;
        this.#names.set(id, new Map());
        this.#names.get(directory)!.set(name, id);
        this.#change(`mkdir ${path}`, id, undefined, { directory, name });
      }
      directory = id;
    }
  }

  removeDirectory(path: string): void {
    this.#call('removeDirectory', path);
    this.live.removeDirectory(path);
    this.#remove(path, 'rmdir');
  }

  open(path: string, mode: OpenMode): DiskFile {
    this.#call('open', path);
    const existed = this.live.status(path) !== undefined;
    const sizeBytes = existed ? this.live.status(path)!.sizeBytes : 0;
    const file = this.live.open(path, mode);
    const { directory, name } = this.#locate(path);
    let id = this.#names.get(directory)!.get(name);
    if (id === undefined) {
      id = this.#nextId++;
      this.#names.get(directory)!.set(name, id);
      this.#change(`create ${path}`, id, undefined, { directory, name });
    } else if (mode === 'replace' && sizeBytes > 0) {
      this.#content(`truncate ${path} to 0`, 'truncate', id, 0, Buffer.alloc(0));
    }
    return this.#file(path, id, file);
  }

  #file(path: string, id: NodeId, file: DiskFile): DiskFile {
    const write = (buffers: readonly Buffer[], position: number): void => {
      const fault = this.#fault('write', path);
      const bytes = Buffer.concat(buffers);
      const taken = fault === undefined ? bytes : bytes.subarray(0, fault.isShort === true ? bytes.length >> 1 : 0);
      if (taken.length > 0) {
        file.writeSync([taken], position);
        this.#content(`write ${path} [${position}, ${position + taken.length})`, 'write', id, position, taken);
      }
      if (fault !== undefined) throw new DiskError(fault.code, path, 'write');
    };
    const sync = (before: number): void => {
      const fault = this.#fault('sync', path);
      const own = (entry: Entry): entry is ContentChange & Entry => (entry.kind === 'write' || entry.kind === 'truncate') && entry.id === id;
      this.#settle(`sync ${path}`, this.#journal.slice(0, before).filter(own), fault);
      if (fault !== undefined) throw new DiskError(fault.code, path, 'fdatasync');
    };
    return {
      path,
      sizeBytes: () => {
        this.#call('status', path);
        return file.sizeBytes();
      },
      readSync: (target, position) => {
        this.#call('read', path);
        return file.readSync(target, position);
      },
      read: async (target, position) => {
        this.#call('read', path);
        const count = file.readSync(target, position);
        await laterTurn();
        return count;
      },
      write: async (buffers, position) => {
        write(buffers, position);
        await laterTurn();
      },
      writeSync: write,
      truncate: (sizeBytes) => {
        this.#call('truncate', path);
        file.truncate(sizeBytes);
        this.#content(`truncate ${path} to ${sizeBytes}`, 'truncate', id, sizeBytes, Buffer.alloc(0));
      },
      // What is written or renamed while the sync runs is not covered by it.
      sync: async () => {
        const before = this.#journal.length;
        await laterTurn();
        sync(before);
      },
      syncSync: () => sync(this.#journal.length),
      close: () => file.close(),
    };
  }

  readFile(path: string): Buffer {
    this.#call('readFile', path);
    return this.live.readFile(path);
  }

  rename(from: string, to: string): void {
    this.#call('rename', from);
    const source = this.#locate(from);
    this.live.rename(from, to);
    const target = this.#locate(to);
    const id = this.#names.get(source.directory)!.get(source.name)!;
    this.#names.get(source.directory)!.delete(source.name);
    this.#names.get(target.directory)!.set(target.name, id);
    this.#change(`rename ${from} ${to}`, id, source, target);
  }

  unlink(path: string): void {
    this.#call('unlink', path);
    this.live.unlink(path);
    this.#remove(path, 'unlink');
  }

  async removeAll(path: string): Promise<void> {
    await laterTurn();
    const status = this.status(path);
    if (status === undefined) return;
    if (!status.isDirectory) {
      this.unlink(path);
      return;
    }
    for (const name of this.list(path)) await this.removeAll(`${path}/${name}`);
    this.removeDirectory(path);
  }

  syncDirectory(path: string): void {
    const fault = this.#fault('syncDirectory', path);
    if (fault === undefined) this.live.syncDirectory(path);
    let id: NodeId = ROOT;
    for (const name of split(path)) id = this.#names.get(id)!.get(name)!;
    const inside = (entry: Entry): entry is NameChange & Entry => entry.kind === 'name' && (entry.from?.directory === id || entry.to?.directory === id);
    this.#settle(`sync directory ${path}`, this.#journal.filter(inside), fault);
    if (fault !== undefined) throw new DiskError(fault.code, path, 'fsync');
  }

  /** Locks do not outlive the process; the file is not part of any image. */
  lock(path: string): () => void {
    const release = this.live.lock(path);
    this.#locks.push(release);
    return release;
  }

  /** The process that uses the disk dies and gives its locks back; what it has started must have ended. */
  kill(): void {
    for (const release of this.#locks.splice(0)) release();
  }

  setModified(path: string, ms: number): void {
    this.#call('setModified', path);
    this.live.setModified(path, ms);
  }

  // ---- recording

  #fault(kind: CallKind, path: string): Fault | undefined {
    const call = { number: this.calls.length, kind, path };
    this.calls.push(call);
    return this.fault?.(call);
  }

  #call(kind: CallKind, path: string): void {
    const fault = this.#fault(kind, path);
    if (fault !== undefined) throw new DiskError(fault.code, path, kind);
  }

  #change(text: string, id: NodeId, from: NameChange['from'], to: NameChange['to']): void {
    this.#record({ kind: 'name', id, from, to, durableAt: Infinity, inDoubt: false, text });
  }

  #content(text: string, kind: 'write' | 'truncate', id: NodeId, position: number, bytes: Buffer): void {
    this.#record({ kind, id, position, bytes: Buffer.from(bytes), durableAt: Infinity, inDoubt: false, text });
  }

  #record(entry: Entry): void {
    this.#journal.push(entry);
    if (this.#observe !== undefined) this.#observed.push(this.#observe());
  }

  #settle(text: string, entries: Doubtful[], fault: Fault | undefined): void {
    const durableAt = this.#journal.length + 1;
    for (const entry of entries) {
      if (entry.durableAt !== Infinity || entry.inDoubt) continue;
      if (fault === undefined) entry.durableAt = durableAt;
      // Without a descriptor the sync did not even begin.
      else if (fault.code !== 'EMFILE' && fault.code !== 'ENFILE') entry.inDoubt = true;
    }
    this.#record({ kind: 'sync', text: fault === undefined ? text : `${text} fails with ${fault.code}` });
  }

  #remove(path: string, operation: string): void {
    const { directory, name } = this.#locate(path);
    const id = this.#names.get(directory)!.get(name)!;
    this.#names.get(directory)!.delete(name);
    this.#change(`${operation} ${path}`, id, { directory, name }, undefined);
  }

  #locate(path: string): { directory: NodeId; name: string } {
    const parts = split(path);
    const name = parts.pop()!;
    let directory: NodeId = ROOT;
    for (const part of parts) directory = this.#names.get(directory)!.get(part)!;
    return { directory, name };
  }
}

function isPending(entry: Entry, boundary: number): boolean {
  return 'durableAt' in entry && entry.durableAt > boundary;
}

export function applyName(names: Map<NodeId, Map<string, NodeId>>, { id, from, to }: NameChange): void {
  if (from !== undefined) {
    const entries = names.get(from.directory);
    // Its creation or an earlier rename was lost: nothing is there to be moved or removed.
    if (entries?.get(from.name) !== id) return;
    entries.delete(from.name);
  }
  if (to !== undefined) names.get(to.directory)?.set(to.name, id);
}

export function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function laterTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function putFile(disk: Disk, path: string, content: Buffer): void {
  const file = disk.open(path, 'replace');
  file.writeSync([content], 0);
  file.close();
}

/** All files of a disk with their contents, to compare two of them or to know one again. */
export function contentsOf(disk: Disk, directory = ''): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (disk.status(path)!.isDirectory) {
      found.set(`${path}/`, Buffer.alloc(0));
      for (const [inner, bytes] of contentsOf(disk, path)) found.set(inner, bytes);
    } else {
      found.set(path, disk.readFile(path));
    }
  }
  return found;
}
