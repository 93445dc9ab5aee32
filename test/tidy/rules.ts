/**
 * The rules of the house as functions from files to complaints. Each complaint says where, what, why, and what to do instead, for it is how a newcomer
 * learns the rule.
 */
import { posix } from 'node:path';
import type { Import, SourceFile, Token } from './source.ts';

export const LINES_MAX = 600;

/** The only files that may touch the world: they make it into the Runtime that everybody else is given. */
const ADAPTER = /^src\/runtime\/node(-[a-z]+)*\.ts$/;

/** Which room a file of the product is in. The longest path that fits is the room. */
const ROOMS: readonly (readonly [path: string, room: string])[] = [
  ['protocol/', 'protocol'],
  ['storage/', 'storage'],
  ['src/runtime/', 'runtime'],
  ['src/settings/', 'settings'],
  ['src/settings.ts', 'settings'],
  ['src/security/', 'security'],
  ['src/coordinator/', 'coordinator'],
  ['src/quorum/', 'quorum'],
  ['src/replica/', 'replica'],
  ['src/api/', 'api'],
  ['src/server/', 'server'],
  ['src/broker.ts', 'broker'],
  ['src/node/', 'broker'],
  ['src/http/', 'broker'],
  ['src/metrics/', 'metrics'],
  ['src/data-directories.ts', 'broker'],
  ['src/peer/', 'peer'],
  ['src/client/', 'client'],
  ['src/client.ts', 'client'],
  ['src/index.ts', 'library'],
  ['src/cli/', 'cli'],
  ['src/cli.ts', 'cli'],
];

const BELOW_DOMAINS = ['protocol', 'storage', 'runtime', 'settings', 'peer', 'metrics'];
const DOMAINS = ['coordinator', 'quorum', 'replica', 'security'];

/** What a room may import, types included, besides itself. Adding a room means adding its line, and a line is a decision. */
const MAY_IMPORT: { readonly [room: string]: readonly string[] } = {
  protocol: [],
  storage: ['protocol'],
  runtime: ['storage'],
  settings: ['protocol', 'runtime'],
  metrics: ['runtime'],
  peer: ['protocol', 'runtime', 'settings', 'client'],
  security: BELOW_DOMAINS,
  coordinator: BELOW_DOMAINS,
  quorum: [...BELOW_DOMAINS, 'security'],
  replica: [...BELOW_DOMAINS, 'coordinator', 'quorum', 'security'],
  api: [...BELOW_DOMAINS, ...DOMAINS],
  server: [...BELOW_DOMAINS, ...DOMAINS, 'api'],
  broker: [...BELOW_DOMAINS, ...DOMAINS, 'api', 'server'],
  client: ['protocol', 'runtime'],
  library: [...BELOW_DOMAINS, 'broker', 'client'],
  // The quorum: `format` makes its first files, which no running node does.
  cli: [...BELOW_DOMAINS, 'quorum', 'broker', 'client', 'library'],
};

/** Builtins that reach outside, wait, or tell the time. */
const WORLDLY_BUILTINS = new Set([
  'fs', 'fs/promises', 'net', 'tls', 'dgram', 'dns', 'dns/promises', 'http', 'https', 'http2', 'timers', 'timers/promises', 'worker_threads',
  'child_process', 'cluster', 'perf_hooks',
]);
const RANDOM_NAMES = new Set(['randomBytes', 'randomInt', 'randomUUID', 'randomFill', 'randomFillSync', 'getRandomValues']);
const TIMER_NAMES = new Set(['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']);

/** The only files that may pass on what others export: the two registries, and the library's front door. */
const REGISTRIES = new Set(['protocol/messages/index.ts', 'src/api/index.ts', 'src/index.ts']);

function complaint(file: SourceFile, line: number, what: string, rule: string): string {
  return `${file.path}:${line}: ${what}\n    ${rule}`;
}

function isProduct(file: SourceFile): boolean {
  return /^(src|storage|protocol)\//.test(file.path);
}

export function roomOf(path: string): string | undefined {
  return ROOMS.find(([prefix]) => (prefix.endsWith('/') ? path.startsWith(prefix) : path === prefix))?.[1];
}

/** The file that a relative specifier names. */
export function targetOf(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier);
}

export function layering(files: readonly SourceFile[]): string[] {
  return files.filter(isProduct).flatMap((file) => {
    const room = roomOf(file.path);
    if (room === undefined) {
      return [complaint(file, 1, 'is in no room', 'Every file of the product is in a room of ROOMS in test/tidy/rules.ts, which says what it may import. A new room is a new line there.')];
    }
    return file.imports.filter((each) => each.specifier.startsWith('.')).flatMap((each) => {
      const target = targetOf(file, each.specifier);
      const other = roomOf(target);
      if (other === room || (other !== undefined && MAY_IMPORT[room]!.includes(other))) return [];
      const rule = /^(test|bench)\//.test(target)
        ? 'The product imports neither test nor bench: what both need belongs to the product.'
        : `Imports go one way: ${room} may import ${[...MAY_IMPORT[room]!].join(', ') || 'nothing else'}. What is needed there must be given by the caller, or lives too high.`;
      return [complaint(file, each.line, `${room} imports ${other ?? target}: ${each.specifier}`, rule)];
    });
  });
}

/** Only protocol knows packages, and only those that package.json has the product depend on. */
export function packages(files: readonly SourceFile[], dependencies: ReadonlySet<string>): string[] {
  return files.filter(isProduct).flatMap((file) => file.imports
    .filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .flatMap((each) => {
      const name = each.specifier.split('/').slice(0, each.specifier.startsWith('@') ? 2 : 1).join('/');
      if (!dependencies.has(name)) {
        return [complaint(file, each.line, `imports ${each.specifier}`, 'The product imports its own files, builtins as node:..., and the dependencies of package.json. Those are few, and stay so.')];
      }
      return file.path.startsWith('protocol/') ? [] : [complaint(file, each.line, `imports ${each.specifier}`, 'Packages are codecs and checksums, which only protocol/ knows.')];
    }));
}

export function bannedBuiltins(files: readonly SourceFile[]): string[] {
  return files.filter((file) => isProduct(file) && !ADAPTER.test(file.path)).flatMap((file) => file.imports.flatMap((each) => {
    const builtin = each.specifier.replace(/^node:/, '');
    if (WORLDLY_BUILTINS.has(builtin)) {
      return [complaint(file, each.line, `imports ${each.specifier}`, 'Files, sockets, timers and threads come in through the Runtime (src/runtime/runtime.ts) or a Disk, so that a whole cluster can run in a simulated world.')];
    }
    if (builtin === 'zlib') {
      const waits = each.kind === 'type' ? [] : each.names.filter((name) => !/Sync$|^crc32$|^constants$/.test(name));
      return waits.map((name) => complaint(file, each.line, `imports ${name} from ${each.specifier}`, 'Of zlib only the synchronous functions, by name: the others finish when a thread pool likes.'));
    }
    return [];
  }));
}

export function bannedGlobals(files: readonly SourceFile[]): string[] {
  return files.filter((file) => isProduct(file) && !ADAPTER.test(file.path)).flatMap((file) => {
    const { tokens } = file;
    return tokens.flatMap((token, at) => {
      if (token.kind !== 'name') return [];
      const what = worldlyUse(tokens, at);
      return what === undefined ? [] : [complaint(file, token.line, what, 'Time, timers and randomness are given, never taken: use the Clock, Timers and Random of the Runtime, or take `now` as an argument. Only src/runtime/node*.ts touch the real ones.')];
    });
  });
}

function worldlyUse(tokens: readonly Token[], at: number): string | undefined {
  const text = (offset: number): string => {
    const token = tokens[at + offset];
    return token === undefined || token.kind === 'string' || token.kind === 'template' ? '' : token.text;
  };
  const name = text(0);
  const isMember = text(-1) === '.' && text(-2) !== 'globalThis';
  if (RANDOM_NAMES.has(name)) return name;
  if (isMember) return undefined;
  // Not a property's or a method's own name: `setTimeout: ...` in an object or an interface.
  if (TIMER_NAMES.has(name) && text(1) !== ':') return name;
  if (name === 'Date' && text(1) === '.' && text(2) === 'now') return 'Date.now';
  if (name === 'Date' && text(-1) === 'new' && (text(1) !== '(' || text(2) === ')')) return 'new Date()';
  if (name === 'Date' && text(-1) !== 'new' && text(1) === '(') return 'Date()';
  if (name === 'performance' && text(1) === '.') return `performance.${text(2)}`;
  if (name === 'Math' && text(1) === '.' && text(2) === 'random') return 'Math.random';
  if (name === 'process' && text(1) === '.' && ['hrtime', 'nextTick'].includes(text(2))) return `process.${text(2)}`;
  return undefined;
}

export function headers(files: readonly SourceFile[]): string[] {
  return files.filter((file) => !/^(#!.*\n)?\/\*\*\s/.test(file.text)).map((file) =>
    complaint(file, 1, 'opens without a header', 'A file opens with /** what it promises and what it does not */, so that a reader knows whether it is the one they look for.'));
}

export function lengths(files: readonly SourceFile[]): string[] {
  return files.filter((file) => file.lines > LINES_MAX).map((file) =>
    complaint(file, file.lines, `has ${file.lines} lines`, `One sitting reads a file: about 400 lines, ${LINES_MAX} at most. A longer file is a file that wants to be two; name the second noun.`));
}

export function exportsByName(files: readonly SourceFile[]): string[] {
  return files.filter((file) => file.path !== 'test/vitest.config.ts').flatMap((file) => file.tokens.flatMap((token, at) => {
    const next = file.tokens[at + 1];
    const isDefault = token.kind === 'name' && ((token.text === 'export' && next?.text === 'default' && next.kind === 'name') || (token.text === 'as' && next?.text === 'default' && next.kind === 'name'));
    return isDefault ? [complaint(file, token.line, 'has a default export', 'Exports have names, so that a thing is called the same everywhere and can be searched for.')] : [];
  }));
}

/** A file that passes on all of another, or more than it has itself. */
export function barrels(files: readonly SourceFile[]): string[] {
  return files.filter((file) => !REGISTRIES.has(file.path)).flatMap((file) => {
    const passedOn = file.imports.filter((each) => each.kind === 'export');
    const exported = file.tokens.filter((token, at) => token.kind === 'name' && token.text === 'export' && file.tokens[at - 1]?.text !== '.').length;
    const isBarrel = passedOn.length > 0 && (passedOn.some((each) => each.names[0] === '*') || passedOn.length * 2 > exported);
    return isBarrel
      ? [complaint(file, passedOn[0]!.line, `passes on ${passedOn[0]!.specifier}`, `Who needs something imports it from the file that has it. Only ${[...REGISTRIES].join(', ')} pass things on.`)]
      : [];
  });
}

export function erasable(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => file.tokens.flatMap((token, at) => {
    const [before, after, afterName] = [file.tokens[at - 1], file.tokens[at + 1], file.tokens[at + 2]];
    const isDeclared = token.kind === 'name' && before?.text !== '.' && after?.kind === 'name' && afterName?.text === '{';
    return isDeclared && ['enum', 'namespace'].includes(token.text)
      ? [complaint(file, token.line, `declares the ${token.text} ${after!.text}`, 'The source runs unbuilt, with its types stripped: a const object with `as const` and a type of the same name does what an enum does.')]
      : [];
  }));
}

/** Cycles of imports that are there at run time; types may go in circles within the layering. */
export function cycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const complaints: string[] = [];
  const visit = (file: SourceFile, path: readonly string[]): void => {
    const known = path.indexOf(file.path);
    if (known >= 0) {
      const circle = [...path.slice(known), file.path];
      complaints.push(complaint(file, 1, `imports itself: ${circle.join(' -> ')}`, 'A cycle of imports has no first file, neither to read nor to run. What both ends need is a third file, or an argument.'));
      return;
    }
    if (done.has(file.path)) return;
    for (const each of file.imports) {
      if (each.kind === 'type' || each.kind === 'dynamic' || !each.specifier.startsWith('.')) continue;
      const target = byPath.get(targetOf(file, each.specifier));
      if (target !== undefined) visit(target, [...path, file.path]);
    }
    done.add(file.path);
  };
  for (const file of files) visit(file, []);
  return complaints;
}

/** Imports that lead nowhere, and files that nothing leads to from `roots`. A file may also be named by its path in a string, as what is run as a process. */
export function deadFiles(files: readonly SourceFile[], roots: readonly string[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const reach = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) return;
    reached.add(path);
    for (const each of file.imports) if (each.specifier.startsWith('.')) reach(targetOf(file, each.specifier));
    for (const token of file.tokens) if (token.kind === 'string' && /^\.{1,2}\/.*\.ts$/.test(token.text)) reach(targetOf(file, token.text));
  };
  roots.forEach(reach);
  const missing = files.flatMap((file) => file.imports
    .filter((each: Import) => each.specifier.startsWith('.') && /\.ts$/.test(each.specifier) && !byPath.has(targetOf(file, each.specifier)))
    .map((each) => complaint(file, each.line, `imports ${each.specifier}, which is not there`, 'An import names a file, with its extension, in the letters that it is written in.')));
  const dead = files.filter((file) => !reached.has(file.path)).map((file) =>
    complaint(file, 1, 'is used by nobody', 'What neither the command, the library, a test nor a benchmark reaches is not kept: delete it, or test it.'));
  return [...missing, ...dead];
}

/** Where somebody's checkout lies is nobody else's business, and breaks in the next clone. */
const MACHINE_PATH = new RegExp(`(^|[\\s'"\`(=:])/(${['work', 'root', 'home', 'Users'].join('|')})/[\\w.-]+`);

export function machinePaths(texts: readonly { readonly path: string; readonly text: string }[]): string[] {
  return texts.flatMap(({ path, text }) => text.split('\n').flatMap((line, at) => {
    const found = MACHINE_PATH.exec(line);
    return found === null ? [] : [`${path}:${at + 1}: names a path of one machine:${found[0]}\n    Paths are relative to the repository, given by the environment, or in a temporary directory that the system names.`];
  }));
}
