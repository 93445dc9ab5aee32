/**
 * Power loss of up to min.insync.replicas - 1 nodes: each node's data is on an ext4 of its own on a loop device; the node is killed, the file system is told to
 * drop what it has not written (EXT4_IOC_SHUTDOWN), and mounted again as after a real loss of power.
 * Promises: what was acknowledged is there afterwards. A power-off that loses nothing would show nothing, so first of all it is shown to lose what was not synced.
 * Does not: lose power on more nodes at once, where acks=all without fsync promises nothing, Kafka's own included. Skipped where loop devices cannot be mounted.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TOPIC } from '../crash/writers.ts';
import { type Outcome, type ScenarioContext, Skip, withCluster } from './scenario.ts';
import { describeTimes } from './times.ts';

const IMAGE_BYTES = 2 ** 30;
const DOWN_ROUNDS_SAY = 5;
/** _IOR('X', 125, __u32) of <linux/ext4.h>: direction 2 (read), 4 bytes, 'X', 125. Perl makes the call, being on every Debian; Node has no ioctl. */
const EXT4_IOC_SHUTDOWN = 0x8004587d;
/** 1: what is in the journal is kept, so names and sizes may be there without their data. 2: the journal's tail is dropped too. */
const FLAGS = [1, 2] as const;

class Disk {
  readonly #image: string;
  readonly #place: string;
  #mounted = false;

  /** Formats an image beside `place` and mounts it there. Throws where that is not allowed. */
  constructor(place: string) {
    this.#place = place;
    this.#image = `${place}.img`;
    mkdirSync(place, { recursive: true });
    execFileSync('truncate', ['-s', String(IMAGE_BYTES), this.#image]);
    execFileSync('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=1', this.#image], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.mount();
  }

  mount(): void {
    execFileSync('mount', ['-o', 'loop', this.#image, this.#place], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#mounted = true;
  }

  unmount(): void {
    if (!this.#mounted) return;
    // A process that has just ended may hold it for a moment.
    for (let tries = 0; spawnSync('umount', [this.#place]).status !== 0; tries++) {
      if (tries === 50) throw new Error(`cannot unmount ${this.#place}`);
      spawnSync('sleep', ['0.1']);
    }
    this.#mounted = false;
  }

  /** Nobody may have it open. */
  losePower(flag: 1 | 2): void {
    execFileSync('perl', ['-e', `open(my $d, "<", $ARGV[0]) or die $!; my $f = pack("L", $ARGV[1]); ioctl($d, ${EXT4_IOC_SHUTDOWN}, $f) or die "ioctl: $!"`, this.#place, String(flag)], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.unmount();
    this.mount();
  }

  remove(): void {
    this.unmount();
    rmSync(this.#image, { force: true });
  }
}

/** The proof that this machine's power-off keeps what was synced and nothing else. */
function proveLoss(dir: string): void {
  const place = join(dir, 'proof');
  const disk = new Disk(place);
  try {
    const file = openSync(join(place, 'file'), 'w');
    writeSync(file, 'synced');
    fsyncSync(file);
    writeSync(file, ' and not synced');
    closeSync(file);
    writeFileSync(join(place, 'new'), 'not synced');
    disk.losePower(2);
    const left = readFileSync(join(place, 'file'), 'utf8');
    if (left !== 'synced' || existsSync(join(place, 'new'))) throw new Error(`a loss of power left '${left}'${existsSync(join(place, 'new')) ? ' and a file that was not synced' : ''}`);
  } finally {
    disk.remove();
  }
}

export async function powerLoss(context: ScenarioContext): Promise<Outcome> {
  for (const program of ['mkfs.ext4', 'mount', 'perl']) if (spawnSync('which', [program]).status !== 0) throw new Skip(`${program} not found`);
  try {
    proveLoss(context.dir);
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    if (stderr === undefined) throw error;
    throw new Skip(`no loop device can be mounted and shut down here: ${stderr.toString().trim()}`);
  }
  const disks = new Map<number, Disk>();
  const removeAll = () => {
    for (const disk of disks.values()) disk.remove();
    disks.clear();
  };
  process.once('exit', removeAll);
  // The reference formats data/ when the settings are made, before there is anything to mount: what it wrote moves onto the disk.
  const prepared = async (cluster: { readonly nodes: readonly { readonly id: number; readonly dataDir: string }[] }) => {
    for (const { id, dataDir } of cluster.nodes) {
      const kept = `${dataDir}.formatted`;
      if (existsSync(dataDir)) execFileSync('mv', [dataDir, kept]);
      disks.set(id, new Disk(dataDir));
      rmSync(join(dataDir, 'lost+found'), { recursive: true });
      if (existsSync(kept)) execFileSync('sh', ['-c', 'cp -a "$1/." "$2" && rm -r "$1" && sync', 'sh', kept, dataDir]);
    }
  };
  return withCluster(context, { prepared, ended: async () => removeAll() }, async ({ cluster, admin, load, random, facts }) => {
    const times: number[] = [];
    let lost = 0;
    for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
      await load.more(1 + random.below(800));
      const node = random.below(2) ? cluster.node((await admin.quorum()).leaderId) : cluster.brokers[random.below(cluster.brokers.length)]!;
      const affected = (await admin.partitions(TOPIC)).filter(({ leader }) => leader === node.id).map(({ partition }) => partition);
      const killedMs = performance.now();
      await node.kill();
      disks.get(node.id)!.losePower(FLAGS[random.below(FLAGS.length)]!);
      rmSync(join(node.dataDir, 'lost+found'), { recursive: true, force: true });
      lost++;
      if (affected.length > 0) times.push(await load.writing(killedMs, affected));
      else await load.writing(killedMs);
      node.spawn();
      await cluster.ready([node]);
      // The next one may lose its power only when this one is in sync again: min.insync.replicas - 1 at once.
      await admin.settled([TOPIC, '__consumer_offsets'], context.stallMsMax);
      if (round % DOWN_ROUNDS_SAY === 0) context.say(`${lost} losses of power, ${load.acknowledged} records acknowledged`);
    }
    facts.push(`${lost} nodes lost their power, one at a time`, describeTimes('writing again after the leader lost its power', times));
  });
}
