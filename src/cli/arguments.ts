/**
 * Arguments of a command: `--name value`, `--name=value`, `-n value`, switches, and words. Promises: an unknown or incomplete option is a UsageError
 * that names the nearest right one; what `help` prints is what is parsed. Does not know what the options mean.
 */
import { nearest } from '../settings/nearest.ts';

/** What was typed cannot be meant. One line; the exit code is 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export interface OptionDeclaration {
  /** The name of its value in help; a switch has none. */
  readonly value?: string;
  readonly short?: string;
  readonly help: string;
  /** May be given more than once. */
  readonly many?: boolean;
  /** Shown in help. */
  readonly fallback?: string;
}

export type OptionDeclarations = Readonly<Record<string, OptionDeclaration>>;

export interface CommandDeclaration<O extends OptionDeclarations> {
  readonly name: string;
  readonly summary: string;
  /** The words after the command, for help: `TOPIC...`. */
  readonly words?: string;
  readonly options: O;
  readonly examples?: readonly string[];
}

type OptionValue<D extends OptionDeclaration> = D extends { value: string } ? (D extends { many: true } ? readonly string[] : string | undefined) : boolean;

export interface ParsedArguments<O extends OptionDeclarations> {
  readonly options: { readonly [N in keyof O]: OptionValue<O[N]> };
  readonly words: readonly string[];
}

export function parseArguments<O extends OptionDeclarations>(command: CommandDeclaration<O>, argv: readonly string[]): ParsedArguments<O> {
  const found = new Map<string, string[] | true>();
  const words: string[] = [];
  const rest = [...argv];
  while (rest.length > 0) {
    const argument = rest.shift()!;
    if (argument === '--') {
      words.push(...rest);
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      words.push(argument);
      continue;
    }
    const equals = argument.indexOf('=');
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const name = nameOf(command, flag);
    const declaration = command.options[name]!;
    if (declaration.value === undefined) {
      if (equals >= 0) throw new UsageError(`${flag} takes no value`);
      found.set(name, true);
      continue;
    }
    const value = equals >= 0 ? argument.slice(equals + 1) : rest.shift();
    if (value === undefined) throw new UsageError(`${flag} needs a value: ${flag} ${declaration.value}`);
    const before = found.get(name);
    if (before !== undefined && declaration.many !== true) throw new UsageError(`${flag} is given twice`);
    found.set(name, [...(Array.isArray(before) ? before : []), value]);
  }
  const options: Record<string, unknown> = {};
  for (const [name, declaration] of Object.entries(command.options)) {
    const values = found.get(name);
    if (declaration.value === undefined) options[name] = values === true;
    else if (declaration.many === true) options[name] = values ?? [];
    else options[name] = Array.isArray(values) ? values[0] : undefined;
  }
  return { options: options as ParsedArguments<O>['options'], words };
}

function nameOf(command: CommandDeclaration<OptionDeclarations>, flag: string): string {
  for (const [name, { short }] of Object.entries(command.options)) {
    if (flag === `--${name}` || (short !== undefined && flag === `-${short}`)) return name;
  }
  const meant = nearest(flag.replace(/^-+/, ''), Object.keys(command.options));
  throw new UsageError(`unknown option ${flag}${meant === undefined ? '' : `; did you mean --${meant}?`} (ottla ${command.name} --help lists them)`);
}

export function helpText(command: CommandDeclaration<OptionDeclarations>): string {
  const lines = Object.entries(command.options).map(([name, { value, short, help, many, fallback }]) => {
    const left = `  ${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    const notes = [many ? 'may be repeated' : '', fallback === undefined ? '' : `default ${fallback}`].filter((note) => note !== '');
    return [left, `${help}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`] as const;
  });
  const width = Math.max(0, ...lines.map(([left]) => left.length)) + 2;
  return [
    `${command.summary}`,
    '',
    `  ottla ${command.name}${lines.length === 0 ? '' : ' [OPTIONS]'}${command.words === undefined ? '' : ` ${command.words}`}`,
    '',
    ...lines.map(([left, right]) => left.padEnd(width) + right),
    ...(command.examples === undefined ? [] : ['', ...command.examples.map((example) => `  ${example}`)]),
  ].join('\n');
}

/** A whole number in [min, max]. */
export function wholeNumber(option: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = /^[+-]?[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    const bounds = max === Number.MAX_SAFE_INTEGER ? `not less than ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`--${option} ${text}: it should be a whole number ${bounds}`);
  }
  return value;
}
