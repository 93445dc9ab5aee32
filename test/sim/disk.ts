/**
 * The disk of one simulated machine: what its process sees, what of it would survive a power loss, and the ways in which it fails.
 *
 * Promises: a killed process leaves all that it has written; a power loss keeps what was synced and, of the rest, what the outcomes of the crash tests may keep
 * (test/storage/crash-outcome.ts: sectors torn, zeros, single writes, names lost or kept); asynchronous calls take time and take effect at their beginning or at
 * their end; after a sync that failed, what was to be synced stays in doubt for ever. The power can go in the middle of a turn, after any number of calls.
 * Does not: lose what was synced, tear inside a sector, or know what the files are.
 */
import assert from 'node:assert';
import { crc32 } from 'node:zlib';
import { DiskError } from '../../storage/disk.ts';
import type { Disk, DiskFile, FileStatus, OpenMode } from '../../storage/disk.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import type { Seeded } from '../storage/seeded.ts';
import { Choice } from '../storage/crash-outcome.ts';
import type { ContentChange, NameChange, NodeId } from '../storage/crash-outcome.ts';
import { applyName, putFile, split } from '../storage/crash-disk.ts';
import type { Process, World } from './world.ts';

export type DiskCall = 'open' | 'read' | 'write' | 'truncate' | 'sync' | 'rename' | 'unlink' | 'makeDirectory' | 'removeDirectory' | 'syncDirectory' | 'list' | 'status' | 'setModified';

const ROOT: NodeId = 0;
/** Changes of a file that are kept one by one before those that are durable become its base. */
const CHANGES_MAX = 64;

interface Content {
  /** What is durable, besides `changes`. */
  base: Buffer;
  changes: ContentChange[];
  pending: number;
}

export interface DiskTimes {
  /** The least and the most that a call takes, in ms. */
  writeMs: readonly [number, number];
  syncMs: readonly [number, number];
}

export class SimDisk implements Disk {
  readonly #world: World;
  readonly #random: Seeded;
  #live: MemoryDisk;
  /** The process that uses it now; calls of others have no effect. */
  #process: Process | null = null;
  #names = new Map<NodeId, Map<string, NodeId>>([[ROOT, new Map()]]);
  #durableNames = new Map<NodeId, Map<string, NodeId>>([[ROOT, new Map()]]);
  #pendingNames: NameChange[] = [];
  #contents = new Map<NodeId, Content>();
  #locks: (() => void)[] = [];
  readonly #before = new Map<string, Buffer>();
  #nextId = ROOT + 1;
  /** Asked before each call: the code that it fails with. */
  fault: (call: DiskCall, path: string) => string | undefined = () => undefined;
  times: DiskTimes = { writeMs: [0.02, 0.3], syncMs: [0.2, 2] };
  /** Calls that change something until `onPowerCut` is called in the middle of whatever is going on; null for no such plan. */
  #callsLeft: number | null = null;
  #onPowerCut: () => void = () => {};
  /** Faults that were given. */
  faults = 0;
  /** Grows whenever files may have become shorter: what was read of one begins anew. */
  cuts = 0;
  /** A file has got this name: small files are replaced that way. */
  onRenamed: (path: string) => void = () => {};

  constructor(world: World, name: string) {
    this.#world = world;
    this.#random = world.random(`disk ${name}`);
    this.#live = this.#empty();
  }

  #empty(): MemoryDisk {
    return new MemoryDisk({ nowMs: () => 1_700_000_000_000 + Math.floor(this.#world.nowMs) });
  }

  // ---- the life of the machine

  usedBy(process: Process): void {
    this.#process = process;
    this.#callsLeft = null;
  }

  /** The process is gone: its locks are free. All that it wrote is there. */
  killed(): void {
    for (const release of this.#locks.splice(0)) release();
    this.#process = null;
    this.#callsLeft = null;
  }

  /** After so many more changes the power goes, in the middle of the turn. */
  cutPowerAfter(calls: number, onPowerCut: () => void): void {
    this.#callsLeft = calls;
    this.#onPowerCut = onPowerCut;
  }

  /** A plan of `cutPowerAfter` that has not come to pass. */
  get willLosePower(): boolean {
    return this.#callsLeft !== null;
  }

  /** The power is gone, and back: what is on the disk now is what survived. */
  losePower(): void {
    this.killed();
    this.cuts++;
    const choice = new Choice({ seed: this.#random.below(0x7fff_ffff) });
    const names = new Map([...this.#durableNames].map(([id, entries]) => [id, new Map(entries)]));
    const keepsName = choice.names(this.#pendingNames.length);
    for (const change of this.#pendingNames) {
      for (const one of [change.id, change.to?.directory]) if (one !== undefined && !names.has(one) && this.#names.has(one)) names.set(one, new Map());
      if (keepsName(change)) applyName(names, change);
    }
    const before = this.#contents;
    this.#live = this.#empty();
    this.#names = names;
    this.#durableNames = new Map([...names].map(([id, entries]) => [id, new Map(entries)]));
    this.#pendingNames = [];
    this.#contents = new Map();
    const restore = (directory: string, id: NodeId): void => {
      for (const [name, child] of names.get(id)!) {
        const path = `${directory}/${name}`;
        if (names.has(child)) {
          this.#live.makeDirectory(path);
          restore(path, child);
          continue;
        }
        const content = before.get(child)!;
        const base = choice.content(content.base, content.changes, 1);
        this.#contents.set(child, { base, changes: [], pending: 0 });
        putFile(this.#live, path, base);
      }
    };
    restore('', ROOT);
  }

  /** The machine was started anew in order: only what a failed sync has left in doubt is on the disk or not. */
  reboot(): void {
    for (const content of this.#contents.values()) for (const change of content.changes) if (!change.inDoubt) change.durableAt = 0;
    this.#durableNames = new Map([...this.#names].map(([id, entries]) => [id, new Map(entries)]));
    this.#pendingNames = [];
    this.losePower();
  }

  /** Another disk, empty. */
  wipe(): void {
    this.killed();
    this.cuts++;
    this.#before.clear();
    this.#live = this.#empty();
    this.#names = new Map([[ROOT, new Map()]]);
    this.#durableNames = new Map([[ROOT, new Map()]]);
    this.#pendingNames = [];
    this.#contents = new Map();
  }

  /** Something that is done to it by other hands, while nobody uses it. */
  withoutFaults(call: () => void): void {
    const { fault } = this;
    this.fault = () => undefined;
    call();
    this.fault = fault;
  }

  /** Damage: the file holds this from now on, and has always done so. */
  overwrite(path: string, bytes: Buffer): void {
    const file = this.#live.open(path, 'update');
    file.truncate(0);
    file.writeSync([Buffer.from(bytes)], 0);
    file.close();
    const { directory, name } = this.#locate(path);
    this.#contents.set(this.#names.get(directory)!.get(name)!, { base: Buffer.from(bytes), changes: [], pending: 0 });
  }

  /** Damage: the file is gone. */
  take(path: string): void {
    this.#live.unlink(path);
    this.#remove(path);
    for (const change of this.#pendingNames.splice(0)) {
      for (const one of [change.id, change.to?.directory]) if (one !== undefined && !this.#durableNames.has(one) && this.#names.has(one)) this.#durableNames.set(one, new Map());
      applyName(this.#durableNames, change);
    }
  }

  /** What a file held before it was replaced last; null for one that was not. */
  before(path: string): Buffer | null {
    return this.#before.get(path) ?? null;
  }

  /** Bytes of a file as its process sees them, whoever asks; null when there is none. */
  peek(path: string): Buffer | null {
    return this.#live.status(path)?.isDirectory === false ? this.#live.readFile(path) : null;
  }

  /** null when there is no such file. */
  peekSize(path: string): number | null {
    const status = this.#live.status(path);
    return status === undefined || status.isDirectory ? null : status.sizeBytes;
  }

  /** So many bytes from its beginning stay as they are whatever a power loss takes now; 0 for a file whose name it may take. */
  durableBytes(path: string): number {
    let [id, durable]: (NodeId | undefined)[] = [ROOT, ROOT];
    for (const name of split(path)) [id, durable] = [this.#names.get(id!)?.get(name), this.#durableNames.get(durable!)?.get(name)];
    const content = id === undefined || id !== durable ? undefined : this.#contents.get(id);
    if (content === undefined) return 0;
    let bytes = this.peekSize(path) ?? 0;
    for (const { durableAt, position } of content.changes) if (durableAt !== 0) bytes = Math.min(bytes, position);
    return bytes;
  }

  peekInto(path: string, target: Buffer, position: number): number {
    const file = this.#live.open(path, 'read');
    const bytes = file.readSync(target, position);
    file.close();
    return bytes;
  }

  peekList(directory: string): readonly string[] {
    return this.#live.status(directory)?.isDirectory === true ? this.#live.list(directory) : [];
  }

  /** Changes that a power loss now may lose. */
  get pendingChanges(): number {
    let pending = this.#pendingNames.length;
    for (const content of this.#contents.values()) pending += content.pending;
    return pending;
  }

  // ---- the disk

  deviceReads(): number {
    return 0;
  }

  list(directory: string): string[] {
    this.#ask('list', directory);
    return this.#live.list(directory);
  }

  status(path: string): FileStatus | undefined {
    this.#ask('status', path);
    return this.#live.status(path);
  }

  makeDirectory(path: string): void {
    this.#call('makeDirectory', path);
    this.#live.makeDirectory(path);
    let directory = ROOT;
    for (const name of split(path)) {
      let id = this.#names.get(directory)!.get(name);
      if (id === undefined) {
        id = this.#nextId++;
        this.#names.set(id, new Map());
        this.#names.get(directory)!.set(name, id);
        this.#named(id, undefined, { directory, name });
      }
      directory = id;
    }
  }

  removeDirectory(path: string): void {
    this.#call('removeDirectory', path);
    this.#live.removeDirectory(path);
    this.#remove(path);
  }

  open(path: string, mode: OpenMode): DiskFile {
    const existed = this.#live.status(path) !== undefined;
    this.#ask('open', path);
    if (!existed && mode !== 'read' && mode !== 'update') this.#call('write', path);
    const sizeBytes = existed ? this.#live.status(path)!.sizeBytes : 0;
    const file = this.#live.open(path, mode);
    const { directory, name } = this.#locate(path);
    let id = this.#names.get(directory)!.get(name);
    if (id === undefined) {
      id = this.#nextId++;
      this.#names.get(directory)!.set(name, id);
      this.#contents.set(id, { base: Buffer.alloc(0), changes: [], pending: 0 });
      this.#named(id, undefined, { directory, name });
    } else if (mode === 'replace' && sizeBytes > 0) {
      this.#changed(id, 'truncate', 0, Buffer.alloc(0));
    }
    return this.#file(path, id, file);
  }

  #file(path: string, id: NodeId, file: DiskFile): DiskFile {
    const owner = this.#process;
    const check = (): void => {
      if (owner !== this.#process || owner?.state === 'dead') throw new DiskError('EIO', path, 'use after the end of the process');
    };
    const write = (buffers: readonly Buffer[], position: number): void => {
      check();
      const code = this.#faultOf('write', path);
      // The power may just have gone.
      check();
      const bytes = buffers.length === 1 ? Buffer.from(buffers[0]!) : Buffer.concat(buffers);
      // Of a write that fails any part may have happened; a full disk takes what fits.
      const taken = code === undefined ? bytes : bytes.subarray(0, this.#random.below(bytes.length + 1));
      if (taken.length > 0) {
        file.writeSync([taken], position);
        this.#changed(id, 'write', position, taken);
      }
      if (code !== undefined) throw new DiskError(code, path, 'write');
    };
    const sync = (changes: readonly ContentChange[]): void => {
      check();
      const code = this.#faultOf('sync', path);
      check();
      const content = this.#contents.get(id)!;
      for (const change of changes) {
        if (code !== undefined) change.inDoubt = true;
        else if (!change.inDoubt && change.durableAt !== 0) {
          change.durableAt = 0;
          content.pending--;
        }
      }
      if (code !== undefined) throw new DiskError(code, path, 'fdatasync');
      compact(content);
    };
    // After a power loss the file may be gone; who asks then is refused when his turn comes, or dead.
    const pending = (): readonly ContentChange[] => this.#contents.get(id)?.changes.filter((change) => change.durableAt !== 0) ?? [];
    const later = <T>(range: readonly [number, number], label: string, effect: () => T): Promise<T> => this.#later(range, label, effect, owner);
    return {
      path,
      sizeBytes: () => {
        check();
        return file.sizeBytes();
      },
      readSync: (target, position) => {
        check();
        const code = this.#faultOf('read', path);
        if (code !== undefined) throw new DiskError(code, path, 'read');
        return file.readSync(target, position);
      },
      read: (target, position) => later(this.times.writeMs, `read ${path}`, () => {
        check();
        const code = this.#faultOf('read', path);
        if (code !== undefined) throw new DiskError(code, path, 'read');
        return file.readSync(target, position);
      }),
      write: (buffers, position) => {
        if (this.#random.chance(0.5)) return later(this.times.writeMs, `write ${path}`, () => write(buffers, position));
        let failure: unknown;
        try {
          write(buffers, position);
        } catch (error) {
          failure = error;
        }
        return later(this.times.writeMs, `write ${path}`, () => {
          if (failure !== undefined) throw failure;
        });
      },
      writeSync: write,
      truncate: (sizeBytes) => {
        check();
        this.#call('truncate', path);
        file.truncate(sizeBytes);
        this.#changed(id, 'truncate', sizeBytes, Buffer.alloc(0));
      },
      // What is written while the sync runs is not covered by it.
      sync: () => {
        const covered = pending();
        return later(this.times.syncMs, `sync ${path}`, () => sync(covered));
      },
      syncSync: () => sync(pending()),
      close: () => file.close(),
    };
  }

  readFile(path: string): Buffer {
    this.#ask('read', path);
    return this.#live.readFile(path);
  }

  rename(from: string, to: string): void {
    this.#call('rename', from);
    const source = this.#locate(from);
    const replaced = this.peek(to);
    if (replaced !== null) this.#before.set(to, replaced);
    this.#live.rename(from, to);
    const target = this.#locate(to);
    const id = this.#names.get(source.directory)!.get(source.name)!;
    this.#names.get(source.directory)!.delete(source.name);
    this.#names.get(target.directory)!.set(target.name, id);
    this.#named(id, source, target);
    this.onRenamed(to);
  }

  unlink(path: string): void {
    this.#call('unlink', path);
    this.#live.unlink(path);
    this.#remove(path);
  }

  async removeAll(path: string): Promise<void> {
    await this.#later(this.times.writeMs, `remove ${path}`, () => undefined);
    this.#removeAll(path);
  }

  #removeAll(path: string): void {
    const status = this.#live.status(path);
    if (status === undefined) return;
    if (!status.isDirectory) return this.unlink(path);
    for (const name of this.#live.list(path)) this.#removeAll(`${path}/${name}`);
    this.removeDirectory(path);
  }

  syncDirectory(path: string): void {
    this.#ask('syncDirectory', path);
    this.#live.syncDirectory(path);
    let id: NodeId = ROOT;
    for (const name of split(path)) id = this.#names.get(id)!.get(name)!;
    this.#pendingNames = this.#pendingNames.filter((change) => {
      if (change.from?.directory !== id && change.to?.directory !== id) return true;
      // What is in a directory may be durable before the directory's own name is.
      for (const one of [change.id, change.to?.directory]) if (one !== undefined && !this.#durableNames.has(one) && this.#names.has(one)) this.#durableNames.set(one, new Map());
      applyName(this.#durableNames, change);
      return false;
    });
  }

  lock(path: string): () => void {
    this.#ask('open', path);
    const release = this.#live.lock(path);
    this.#locks.push(release);
    return release;
  }

  setModified(path: string, ms: number): void {
    this.#ask('setModified', path);
    this.#live.setModified(path, ms);
  }

  // ---- faults and records

  #later<T>(range: readonly [number, number], label: string, effect: () => T, owner = this.#process): Promise<T> {
    const [least, most] = range;
    const delayMs = least + this.#random.next() * (most - least);
    return new Promise((resolve, reject) => {
      this.#world.at(delayMs, owner, label, () => {
        try {
          resolve(effect());
        } catch (error) {
          if (!(error instanceof DiskError)) throw error;
          reject(error);
        }
      });
    });
  }

  #faultOf(call: DiskCall, path: string): string | undefined {
    if (this.#process?.state === 'dead') return 'EIO';
    if (this.#callsLeft !== null && call !== 'read' && --this.#callsLeft < 0) {
      this.#callsLeft = null;
      this.#onPowerCut();
      return 'EIO';
    }
    const code = this.fault(call, path);
    if (code !== undefined) {
      this.faults++;
      this.#world.trace(() => `${this.#process?.name ?? ''} ${call} ${path} fails with ${code}`);
    }
    return code;
  }

  /** A call that changes nothing. */
  #ask(call: DiskCall, path: string): void {
    const code = this.#process?.state === 'dead' ? 'EIO' : this.fault(call, path);
    if (code !== undefined) {
      this.faults++;
      throw new DiskError(code, path, call);
    }
  }

  #call(call: DiskCall, path: string): void {
    const code = this.#faultOf(call, path);
    if (code !== undefined) throw new DiskError(code, path, call);
  }

  #named(id: NodeId, from: NameChange['from'], to: NameChange['to']): void {
    this.#pendingNames.push({ kind: 'name', id, from, to, durableAt: 2, inDoubt: false });
  }

  #changed(id: NodeId, kind: 'write' | 'truncate', position: number, bytes: Buffer): void {
    const content = this.#contents.get(id)!;
    if (kind === 'truncate') this.cuts++;
    this.#world.mix(crc32(bytes) ^ position);
    content.changes.push({ kind, id, position, bytes, durableAt: 2, inDoubt: false });
    content.pending++;
  }

  #remove(path: string): void {
    this.cuts++;
    const { directory, name } = this.#locate(path);
    const id = this.#names.get(directory)!.get(name)!;
    this.#names.get(directory)!.delete(name);
    this.#named(id, { directory, name }, undefined);
  }

  #locate(path: string): { directory: NodeId; name: string } {
    const parts = split(path);
    const name = parts.pop();
    assert(name !== undefined);
    let directory: NodeId = ROOT;
    for (const part of parts) {
      const id = this.#names.get(directory)?.get(part);
      if (id === undefined) throw new DiskError('ENOENT', path, 'open');
      directory = id;
    }
    return { directory, name };
  }
}

/** What was durable long ago becomes the base, so that a file that is synced often stays cheap. */
function compact(content: Content): void {
  if (content.changes.length < CHANGES_MAX) return;
  const first = content.changes.findIndex((change) => change.durableAt !== 0);
  const count = first < 0 ? content.changes.length : first;
  if (count === 0) return;
  content.base = new Choice('everything').content(content.base, content.changes.slice(0, count), 1);
  content.changes = content.changes.slice(count);
}
