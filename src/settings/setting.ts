/**
 * One setting: its type, default and rule, and how a text becomes its value and back. Promises Kafka's own verdicts and texts
 * (ConfigDef, 4.3.1) because INVALID_CONFIG carries them to clients. Does not know names, sources or other settings.
 */

export type SettingType = 'boolean' | 'short' | 'int' | 'long' | 'double' | 'string' | 'list' | 'class' | 'password';
export type UpdateMode = 'read-only' | 'per-broker' | 'cluster-wide';
export type SettingValue = boolean | number | string | readonly string[] | null;

export interface Rules {
  readonly min?: number;
  readonly max?: number;
  /** A value outside [min, max] that is good all the same. */
  readonly orElse?: number;
  readonly oneOf?: readonly string[];
  readonly ignoreCase?: boolean;
  readonly notEmpty?: boolean;
  /** `*`, or `partition:broker` pairs. */
  readonly throttledReplicas?: boolean;
  /** `latest`, `earliest` or `by_duration:` with an ISO 8601 duration. */
  readonly offsetReset?: boolean;
}

interface Traits extends Rules {
  /** How it can be changed while the broker runs; read-only when absent. */
  readonly update?: UpdateMode;
  /** The broker acts on it. The others are taken because Kafka takes them, and do nothing yet. */
  readonly served?: boolean;
  /** Kafka keeps it from its users: not listed by DescribeConfigs. */
  readonly internal?: boolean;
  /** It cannot stand in a file. */
  readonly dynamicOnly?: boolean;
}

export interface Setting<T extends SettingValue = SettingValue> extends Traits {
  readonly type: SettingType;
  readonly default: T;
  /** The default as a file would write it. null: none. */
  readonly defaultText: string | null;
  readonly sensitive: boolean;
}

/** A text that a setting cannot take. `message` is Kafka's own, and names the setting and the value. */
export class InvalidSettingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidSettingError';
  }
}

export const INT_MAX = 2_147_483_647;
export const LONG_MAX = 9_223_372_036_854_775_807n;
const LONG_MIN = -LONG_MAX - 1n;

type OrNull<D, T> = D extends null ? T | null : T;

function declare<T extends SettingValue>(type: SettingType, fallback: T, defaultText: string | null, traits: Traits = {}): Setting<T> {
  return { type, default: fallback, defaultText, sensitive: type === 'password', ...traits };
}

function whole<D extends number | bigint | null>(type: SettingType, value: D, traits?: Traits): Setting<OrNull<D, number>> {
  const number = value === null ? null : saturate(BigInt(value));
  return declare(type, number as OrNull<D, number>, value === null ? null : String(value), traits);
}

export const int = <D extends number | null>(value: D, traits?: Traits): Setting<OrNull<D, number>> => whole('int', value, traits);
export const short = <D extends number | null>(value: D, traits?: Traits): Setting<OrNull<D, number>> => whole('short', value, traits);
/** A 64-bit number, held as a number that saturates at +-(2^53 - 1): nothing that is set so is ever counted that far. */
export const long = <D extends number | bigint | null>(value: D, traits?: Traits): Setting<OrNull<D, number>> => whole('long', value, traits);
export const double = (value: number, traits?: Traits): Setting<number> => declare('double', value, javaDouble(value), traits);
export const boolean = (value: boolean, traits?: Traits): Setting<boolean> => declare('boolean', value, String(value), traits);
export const string = <D extends string | null>(value: D, traits?: Traits): Setting<OrNull<D, string>> =>
  declare('string', value as OrNull<D, string>, value, traits);
export const className = <D extends string | null>(value: D, traits?: Traits): Setting<OrNull<D, string>> =>
  declare('class', value as OrNull<D, string>, value, traits);
export const password = (value: null, traits?: Traits): Setting<string | null> => declare<string | null>('password', value, value, traits);
export const list = <D extends string | null>(value: D, traits?: Traits): Setting<OrNull<D, readonly string[]>> =>
  declare('list', (value === null ? null : elements(value, true)) as OrNull<D, readonly string[]>, value, traits);

/** The value that `text` means for the setting, checked by its rules. Throws InvalidSettingError. */
export function parseSetting(name: string, setting: Setting, text: string): SettingValue {
  const trimmed = trimJava(text);
  const value = parseType(name, setting, text, trimmed);
  checkRules(name, setting, value, trimmed);
  return value;
}

/** What DescribeConfigs says of a text that has been parsed: numbers without signs and spaces, lists joined by a comma. */
export function canonicalText(setting: Setting, text: string): string {
  const trimmed = trimJava(text);
  switch (setting.type) {
    case 'boolean':
      return trimmed.toLowerCase();
    case 'short':
    case 'int':
    case 'long':
      return String(BigInt(trimmed.replace(/^\+/, '')));
    case 'double':
      return javaDouble(parseDouble(trimmed)!);
    case 'list':
      return elements(trimmed, !setting.throttledReplicas).join(',');
    default:
      return trimmed;
  }
}

function parseType(name: string, setting: Setting, text: string, trimmed: string): SettingValue {
  const invalid = (why: string) => new InvalidSettingError(`Invalid value ${text} for configuration ${name}: ${why}`);
  switch (setting.type) {
    case 'boolean':
      switch (trimmed.toLowerCase()) {
        case 'true':
          return true;
        case 'false':
          return false;
        default:
          throw invalid('Expected value to be either true or false');
      }
    case 'short':
      return parseWhole(trimmed, -32_768n, 32_767n) ?? fail(invalid('Not a number of type SHORT'));
    case 'int':
      return parseWhole(trimmed, -2_147_483_648n, 2_147_483_647n) ?? fail(invalid('Not a number of type INT'));
    case 'long':
      return parseWhole(trimmed, LONG_MIN, LONG_MAX) ?? fail(invalid('Not a number of type LONG'));
    case 'double':
      return parseDouble(trimmed) ?? fail(invalid('Not a number of type DOUBLE'));
    case 'list':
      return elements(trimmed, !setting.throttledReplicas);
    case 'string':
    case 'class':
    case 'password':
      return trimmed;
  }
}

function checkRules(name: string, rules: Setting, value: SettingValue, text: string): void {
  const invalid = (shown: string, why: string) => new InvalidSettingError(`Invalid value ${shown} for configuration ${name}: ${why}`);
  if (typeof value === 'number') {
    const shown = rules.type === 'double' ? javaDouble(value) : canonicalText(rules, text);
    if (rules.orElse !== undefined) {
      if (value !== rules.orElse && (value < rules.min! || value > rules.max!)) {
        throw invalid(shown, `Value must be between ${rules.min} and ${rules.max} or equal to ${rules.orElse}`);
      }
      return;
    }
    if (rules.min !== undefined && value < rules.min) throw invalid(shown, `Value must be at least ${rules.min}`);
    if (rules.max !== undefined && value > rules.max) throw invalid(shown, `Value must be no more than ${rules.max}`);
    return;
  }
  if (Array.isArray(value)) return checkList(name, rules, value, invalid);
  if (typeof value !== 'string') return;
  if (rules.notEmpty && value === '') throw invalid(value, 'String must be non-empty');
  if (rules.offsetReset && !isOffsetReset(value)) {
    const format = `The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.`;
    throw invalid(value, `Invalid value \`${value}\` for configuration ${name}. ${format}`);
  }
  if (rules.oneOf === undefined) return;
  const known = rules.ignoreCase ? rules.oneOf.some((one) => one.toUpperCase() === value.toUpperCase()) : rules.oneOf.includes(value);
  if (!known) throw invalid(value, `String must be one of${rules.ignoreCase ? ' (case insensitive)' : ''}: ${rules.oneOf.join(', ')}`);
}

function checkList(name: string, rules: Rules, value: readonly string[], invalid: (shown: string, why: string) => Error): void {
  if (rules.throttledReplicas) {
    const alone = value.length === 1 && value[0] === '*';
    if (!alone && !value.every((pair) => pair === '' || /^[0-9]+:[0-9]+$/.test(pair))) {
      throw invalid(
        `[${value.join(', ')}]`,
        `${name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`,
      );
    }
    return;
  }
  if (value.length === 0) {
    if (!rules.notEmpty) return;
    const valid = rules.oneOf === undefined ? 'any non-empty value' : `[${rules.oneOf.join(', ')}]`;
    throw new InvalidSettingError(`Configuration '${name}' must not be empty. Valid values include: ${valid}`);
  }
  if (value.includes('')) throw new InvalidSettingError(`Configuration '${name}' values must not be empty.`);
  const stranger = rules.oneOf === undefined ? undefined : value.find((one) => !rules.oneOf!.includes(one));
  if (stranger !== undefined) throw invalid(stranger, `String must be one of: ${rules.oneOf!.join(', ')}`);
}

function isOffsetReset(value: string): boolean {
  if (value === 'earliest' || value === 'latest') return true;
  return /^by_duration:P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+([.,]\d{1,9})?S)?)?$/i.test(value) && value.startsWith('by_duration');
}

/** The elements of a list without the spaces around commas. Kafka drops a second one of a kind where it has a rule for lists; empty ones are left for the rule to see. */
function elements(text: string, once: boolean): readonly string[] {
  if (text === '') return [];
  const all = text.split(/\s*,\s*/);
  return once ? [...new Set(all)] : all;
}

/** Java's String.trim: all up to the space goes, and nothing else (no no-break space). */
export function trimJava(text: string): string {
  return text.replace(/^[\u0000-\u0020]+|[\u0000-\u0020]+$/g, '');
}

function parseWhole(text: string, min: bigint, max: bigint): number | undefined {
  if (!/^[+-]?[0-9]{1,25}$/.test(text)) return undefined;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value < min || value > max ? undefined : saturate(value);
}

function saturate(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}

function parseDouble(text: string): number | undefined {
  if (/^[+-]?NaN$/.test(text)) return NaN;
  if (/^[+-]?Infinity$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?$/.test(text) ? Number.parseFloat(text) : undefined;
}

/** A double as Java's Double.toString writes it: `0.5`, `2.0`, `1.0E-5`. Both languages give the shortest digits that read back the same. */
export function javaDouble(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e7)) {
    const digits = Object.is(value, -0) ? '-0' : String(value);
    return digits.includes('.') ? digits : `${digits}.0`;
  }
  const [mantissa, exponent] = value.toExponential().split('e');
  return `${mantissa!.includes('.') ? mantissa : `${mantissa}.0`}E${Number(exponent)}`;
}

function fail(error: Error): never {
  throw error;
}
