/**
 * Network partitions: every node in a network namespace of its own, cut off by blackhole routes, under load from a namespace that is neither.
 * Promises: nothing outside of the namespaces that it makes is touched, and these go with the processes that hold them; where they cannot be made it is
 * skipped, and says why. Does not: lose single packets, which this kernel cannot (no netem); the simulator does.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { TOPIC } from '../crash/writers.ts';
import { sleep } from './admin.ts';
import { type Outcome, type ScenarioContext, Skip, withCluster } from './scenario.ts';
import { describeTimes } from './times.ts';

/** Set in the process that runs in a network namespace of its own. */
const INSIDE = 'OTTLA_OWN_NETWORK';
/** Addresses of documentation (RFC 5737): none of them is anybody's, and the namespaces are linked to nothing. */
const NET = '192.0.2';
const HUB = `${NET}.1`;
const addressOf = (id: number) => `${NET}.${10 + id}`;

const CUT_MS_MIN = 2_000;
const CUT_MS_MAX = 12_000;
const FEW_ROUNDS = 5;
const SHORT_CUT_MS_MAX = 5_000;

function unshareWords(): string[] {
  // Whoever is not root may be root in a namespace of users, where the machine allows these.
  return ['unshare', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--net', '--'];
}

/**
 * Runs this program again in a network namespace with nothing but a loopback, and resolves with its exit status; null where it runs in one already, or
 * where none can be made.
 */
export async function enterOwnNetwork(): Promise<number | null> {
  if (process.env[INSIDE] !== undefined) return null;
  const [program, ...words] = unshareWords();
  if (spawnSync(program!, [...words, 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status !== 0) return null;
  const child = spawn(program!, [...words, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(signal).on(signal, () => child.kill(signal));
  return new Promise((done) => child.once('error', () => done(127)).once('exit', (code) => done(code ?? 1)));
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A namespace for each node, linked to a bridge in ours. */
class Namespaces {
  readonly #holders = new Map<number, ChildProcess>();
  readonly #cuts: { readonly from: number; readonly to: string }[] = [];

  constructor(ids: readonly number[]) {
    const ending = () => this.close();
    process.once('exit', ending);
    ip('link', 'add', 'hub', 'type', 'bridge');
    ip('addr', 'add', `${HUB}/24`, 'dev', 'hub');
    ip('link', 'set', 'hub', 'up');
    for (const id of ids) {
      const holder = spawn('unshare', ['--net', '--', 'sleep', 'infinity'], { stdio: 'ignore' });
      this.#holders.set(id, holder);
      this.#entered(holder.pid!);
      ip('link', 'add', `node${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
      ip('link', 'set', `node${id}`, 'master', 'hub', 'up');
      this.#inside(id, 'link', 'set', 'lo', 'up');
      this.#inside(id, 'addr', 'add', `${addressOf(id)}/24`, 'dev', 'eth0');
      this.#inside(id, 'link', 'set', 'eth0', 'up');
    }
  }

  /** Waits until the holder has a namespace that is not ours. */
  #entered(pid: number): void {
    const own = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' });
    for (let tries = 0; tries < 1_000; tries++) {
      const its = spawnSync('readlink', [`/proc/${pid}/ns/net`], { encoding: 'utf8' }).stdout;
      if (its !== '' && its !== own) return;
    }
    throw new Error('unshare did not make a namespace');
  }

  #inside(id: number, ...words: readonly string[]): void {
    execFileSync('nsenter', [...this.prefixOf(id).slice(1), 'ip', ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  prefixOf(id: number): string[] {
    return ['nsenter', '--net', '--target', String(this.#holders.get(id)!.pid), '--'];
  }

  /** What node `from` sends to `to` (a node, or 'clients') goes nowhere from now on. */
  cut(from: number, to: number | 'clients'): void {
    const address = to === 'clients' ? HUB : addressOf(to);
    this.#inside(from, 'route', 'add', 'blackhole', `${address}/32`);
    this.#cuts.push({ from, to: address });
  }

  heal(): void {
    for (const { from, to } of this.#cuts.splice(0)) this.#inside(from, 'route', 'del', 'blackhole', `${to}/32`);
  }

  close(): void {
    for (const holder of this.#holders.values()) holder.kill('SIGKILL');
    if (this.#holders.size > 0) spawnSync('ip', ['link', 'del', 'hub'], { stdio: 'ignore' });
    this.#holders.clear();
  }
}

type Cut = 'off' | 'from nodes' | 'deaf' | 'mute';
/** Wholly cut off; from the other nodes, but not from clients; hears nobody; is heard by nobody. */
const CUTS: readonly Cut[] = ['off', 'from nodes', 'mute', 'deaf'];

export async function partitions(context: ScenarioContext): Promise<Outcome> {
  if (process.env[INSIDE] === undefined) throw new Skip('no network namespaces: unshare --net is refused here');
  const ids = context.nodes.map(({ id }) => id);
  const namespaces = new Namespaces(ids);
  try {
    return await withCluster(context, { hostOf: addressOf, prefixOf: (id) => namespaces.prefixOf(id) }, async ({ cluster, admin, load, random, facts }) => {
      const times: number[] = [],
        heals: number[] = [];
      for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
        await load.more(1 + random.below(500));
        // All kinds in turn, from one that the seed says.
        const kind = CUTS[(context.seed + round) % CUTS.length]!;
        const node = random.below(2) ? cluster.node((await admin.quorum()).leaderId) : cluster.brokers[random.below(cluster.brokers.length)]!;
        const affected = (await admin.partitions(TOPIC)).filter(({ leader }) => leader === node.id).map(({ partition }) => partition);
        const cutMs = CUT_MS_MIN + random.below((context.rounds <= FEW_ROUNDS ? SHORT_CUT_MS_MAX : CUT_MS_MAX) - CUT_MS_MIN);
        const others = ids.filter((id) => id !== node.id);
        admin.unasked.add(node.id);
        for (const other of others) {
          if (kind !== 'deaf') namespaces.cut(node.id, other);
          if (kind !== 'mute') namespaces.cut(other, node.id);
        }
        if (kind === 'off') namespaces.cut(node.id, 'clients');
        // Until the last route was there the node may have been heard.
        const sinceMs = performance.now();
        const writing = load.writing(sinceMs, affected).then((tookMs) => {
          if (affected.length > 0 && tookMs < cutMs) times.push(tookMs);
        });
        await sleep(cutMs);
        namespaces.heal();
        admin.unasked.delete(node.id);
        const healedMs = performance.now();
        await writing;
        await load.writing(healedMs);
        await admin.settled([TOPIC], context.stallMsMax);
        heals.push(performance.now() - healedMs);
        context.say(`node ${node.id} ${kind} for ${cutMs} ms, whole again ${heals.at(-1)!.toFixed(0)} ms after, ${load.acknowledged} records acknowledged`);
      }
      facts.push(describeTimes('writing again while the leader was cut off', times), describeTimes('all in sync after the cut was healed', heals));
    });
  } finally {
    namespaces.close();
  }
}
