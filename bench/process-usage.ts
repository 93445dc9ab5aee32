/**
 * What a process tree uses: CPU seconds, resident memory and its peak, read from /proc (Linux).
 * Promises: children are included, also those already reaped; the peak can be restarted, so that it belongs to one measurement.
 * Does not: sample over time, or see memory of a process that has gone.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

/** The kernel's clock ticks a second as /proc shows them: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** `pid` and everything below it, as of now. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statFields(Number(name));
    if (stat === null) continue;
    const parent = Number(stat[PARENT_FIELD]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree: number[] = [];
  const left = [pid];
  while (left.length > 0) {
    const next = left.pop()!;
    tree.push(next);
    left.push(...(children.get(next) ?? []));
  }
  return tree;
}

// /proc/PID/stat after "pid (name) ": state:0 ppid:1 ... utime:11 stime:12 cutime:13 cstime:14. The name may hold
// blanks and brackets, so the cut is at the last one.
const PARENT_FIELD = 1;
const CPU_FIELDS = [11, 12, 13, 14];

function statFields(pid: number): string[] | null {
  const text = procFile(pid, 'stat');
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Null when the process has ended in between, which a tree may do at any time. */
function procFile(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

function statusBytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

/** CPU seconds of `pid` alone, its reaped children included; 0 when it has gone. */
export function cpuSeconds(pid: number): number {
  const stat = statFields(pid);
  return stat === null ? 0 : CPU_FIELDS.reduce((sum, field) => sum + Number(stat[field]), 0) / TICKS_PER_SECOND;
}

/** Sums over the tree of `pid`. Shared pages count once for each process that maps them, as in every RSS. */
export function usage(pid: number): Usage {
  let cpu = 0,
    rss = 0,
    peak = 0;
  for (const each of processTree(pid)) {
    const status = procFile(each, 'status') ?? '';
    cpu += cpuSeconds(each);
    rss += statusBytes(status, 'VmRSS');
    peak += statusBytes(status, 'VmHWM');
  }
  return { cpuSeconds: cpu, rssBytes: rss, peakRssBytes: peak };
}

/** Lets the peak of every process in the tree begin again at what it uses now (writing 5 to clear_refs; proc(5)). */
export function restartPeak(pid: number): void {
  for (const each of processTree(pid)) writeFileSync(`/proc/${each}/clear_refs`, '5');
}

/** CPU seconds that all processes of the machine have used since it started, idle and waiting for disk left out. */
export function machineCpuSeconds(): number {
  // cpu  user nice system idle iowait irq softirq steal ...
  const fields = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))![1]!.split(' ').map(Number);
  return (fields[0]! + fields[1]! + fields[2]! + fields[5]! + fields[6]!) / TICKS_PER_SECOND;
}
