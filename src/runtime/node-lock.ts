/**
 * The lock of a data directory: a file that names the process that holds it, because Node has neither flock nor fcntl locks.
 *
 * Promises: of all processes of one machine that ask, one holds the lock; a lock whose holder is dead is taken over, by one of them, without
 * anybody's help. On Linux it also sees an Apache Kafka that holds the same file by fcntl (`/proc/locks`).
 * Does not: keep Apache Kafka from locking a file that ottla holds (it asks only the kernel), or work between machines that share the directory
 * and a host name.
 *
 * Who is alive:
 *   same boot, same pid namespace   the pid exists and its start time is the one in the file
 *   same host, else                 dead: the machine or its container has been started again since
 *   another host                    (a container on the same volume) alive while the file is touched, which holders do every two seconds
 */
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { DiskError } from '../../storage/disk.ts';

const TOUCH_INTERVAL_MS = 2_000;
const TOUCH_AGE_MS_MAX = 10_000;
/** A taker that dies while it takes over leaves a claim, which is a lock of the next depth; so many deaths in a row are a riddle for people. */
const CLAIM_DEPTH_MAX = 8;

interface Owner {
  readonly pid: number;
  /** The start time of the process in ticks since boot; '' where the system does not tell. */
  readonly start: string;
  readonly boot: string;
  readonly namespace: string;
  readonly host: string;
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'latin1');
  } catch {
    return ''; // Not Linux, or the process is gone.
  }
}

function startOf(pid: number): string {
  // pid (comm) state ppid ... starttime is the 22nd field, and comm may hold spaces and parentheses.
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function pidNamespace(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function thisProcess(): Owner {
  return {
    pid: process.pid,
    start: startOf(process.pid),
    boot: readText('/proc/sys/kernel/random/boot_id').trim(),
    namespace: pidNamespace(),
    host: hostname(),
  };
}

function format(owner: Owner): string {
  return `pid=${owner.pid}\nstart=${owner.start}\nboot=${owner.boot}\nnamespace=${owner.namespace}\nhost=${owner.host}\n`;
}

/** undefined for what no ottla wrote: Apache Kafka leaves its lock file empty. */
function parse(text: string): Owner | undefined {
  const match = /^pid=(\d+)\nstart=(.*)\nboot=(.*)\nnamespace=(.*)\nhost=(.*)\n$/.exec(text);
  if (match === null) return undefined;
  return { pid: Number(match[1]), start: match[2]!, boot: match[3]!, namespace: match[4]!, host: match[5]! };
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Who holds the lock file `path` of content `text`, in words; undefined when nobody does. */
function holder(path: string, text: string, self: Owner): string | undefined {
  const owner = parse(text);
  if (owner === undefined) {
    const pid = kernelHolder(path);
    return pid === undefined ? undefined : `process ${pid}`;
  }
  if (owner.boot === self.boot && owner.namespace === self.namespace) {
    const alive = pidExists(owner.pid) && (owner.start === '' || startOf(owner.pid) === owner.start);
    return alive ? `process ${owner.pid}` : undefined;
  }
  if (owner.host === self.host) return undefined;
  const status = fs.statSync(path, { throwIfNoEntry: false });
  const fresh = status !== undefined && Date.now() - status.mtimeMs < TOUCH_AGE_MS_MAX;
  return fresh ? `process ${owner.pid} of host ${owner.host}` : undefined;
}

/** The process that holds an fcntl lock on the file, which is how Java locks it. */
function kernelHolder(path: string): number | undefined {
  const status = fs.statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  // 1: POSIX  ADVISORY  WRITE 14138 fe:00:9978380 0 EOF       major and minor device number in hex, inode
  for (const line of readText('/proc/locks').split('\n')) {
    const match = /POSIX\s+\S+\s+WRITE\s+(\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s/.exec(line);
    if (match === null || Number(match[4]) !== status.ino) continue;
    const device = BigInt(status.dev);
    // The layout of dev_t in glibc: 12 low bits of the major number at 8, 8 low bits of the minor at 0, its other bits at 20.
    const major = Number((device >> 8n) & 0xfffn);
    const minor = Number((device & 0xffn) | ((device >> 12n) & 0xfff00n));
    if (parseInt(match[2]!, 16) === major && parseInt(match[3]!, 16) === minor) return Number(match[1]);
  }
  return undefined;
}

function unlinkIfThere(path: string): void {
  fs.rmSync(path, { force: true });
}

/** Makes the file with this content at once and only if nothing is there. */
function createExclusively(path: string, draft: string, content: string): boolean {
  try {
    // A link and not an exclusive open: nobody may see the file without its content.
    fs.linkSync(draft, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
  }
  try {
    fs.writeFileSync(path, content, { flag: 'wx' }); // A file system without hard links.
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function take(path: string, draft: string, self: Owner, depth: number): void {
  const content = format(self);
  if (createExclusively(path, draft, content)) return;
  const text = readText(path);
  const owner = holder(path, text, self);
  if (owner !== undefined) throw new DiskError('EBUSY', path, `lock, held by ${owner},`);
  if (depth === CLAIM_DEPTH_MAX) throw new DiskError('EBUSY', path, 'lock, left by too many dead processes,');
  // The holder is dead. Of those who see that one may replace the file: the one that holds the claim, and only while it still is the dead one's.
  const claim = `${path}.claim`;
  take(claim, draft, self, depth + 1);
  try {
    if (readText(path) !== text) throw new DiskError('EBUSY', path, 'lock, just taken by another process,');
    const replacement = `${draft}.${depth}`;
    fs.writeFileSync(replacement, content);
    fs.renameSync(replacement, path);
  } finally {
    unlinkIfThere(claim);
  }
}

/** Takes the lock for this process and returns the function that gives it back. Throws a DiskError EBUSY that names the holder. */
export function lockFile(path: string): () => void {
  const self = thisProcess();
  const content = format(self);
  const draft = `${path}.${process.pid}.${Math.floor(Math.random() * 2 ** 32).toString(36)}`;
  fs.writeFileSync(draft, content, { flag: 'wx' });
  try {
    take(path, draft, self, 0);
  } finally {
    unlinkIfThere(draft);
  }
  const touch = setInterval(() => {
    const now = new Date();
    fs.utimes(path, now, now, () => {
      // A lock file that was removed by hand is not ours to make again.
    });
  }, TOUCH_INTERVAL_MS).unref();
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    clearInterval(touch);
    if (readText(path) === content) unlinkIfThere(path);
  };
}
