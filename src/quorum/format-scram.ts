/**
 * A user of a new cluster, as `--add-scram` gives one: `SCRAM-SHA-256=[name=alice,password=secret]`, or with `salt`, `iterations` and `saltedpassword`.
 * Promises: the record that Kafka's tool makes of the same text; refusals in its words. Does not keep the password.
 */
import { credentialOf, isScramMechanism, saltPassword } from '../../protocol/scram.ts';
import type { ScramMechanism } from '../../protocol/scram.ts';
import type { Random } from '../runtime/runtime.ts';
import { FormatError } from './format-features.ts';
import { newRecord } from './records.ts';
import type { NewRecord } from './records.ts';

const MECHANISM_TYPES: Readonly<Record<ScramMechanism, number>> = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 };
const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 16_384;

/** Throws a FormatError. */
export function scramRecord(text: string, random: Random): NewRecord {
  const { mechanism, fields } = parseScram(text);
  const name = take(fields, 'name');
  if (name === undefined) throw new FormatError("You must supply 'name' to add-scram");
  const saltText = take(fields, 'salt');
  const salt = saltText === undefined ? randomSalt(random) : decodeBase64(saltText, 'Failed to decode given salt');
  const iterations = iterationsOf(mechanism, take(fields, 'iterations'));
  const [password, saltedText] = [take(fields, 'password'), take(fields, 'saltedpassword')];
  if (password === undefined && saltedText === undefined) throw new FormatError("You must supply one of 'password' or 'saltedpassword' to add-scram");
  if (password === undefined && saltText === undefined) throw new FormatError("You must supply 'salt' with 'saltedpassword' to add-scram");
  if (fields.size > 0) throw new FormatError(`Unknown SCRAM configurations: ${[...fields.keys()].sort().join(', ')}`);
  const salted = password === undefined ? decodeBase64(saltedText!, 'Failed to decode given saltedPassword') : saltPassword(mechanism, password, salt, iterations);
  const { storedKey, serverKey } = credentialOf(mechanism, salted, salt, iterations);
  return newRecord('UserScramCredentialRecord', { name, mechanism: MECHANISM_TYPES[mechanism], salt, storedKey, serverKey, iterations });
}

function parseScram(text: string): { mechanism: ScramMechanism; fields: Map<string, string> } {
  const input = text.trim();
  const equals = input.indexOf('=');
  if (equals < 0) throw new FormatError(`Failed to find equals sign in SCRAM argument '${input}'`);
  const mechanism = input.slice(0, equals);
  const config = input.slice(equals + 1);
  if (!isScramMechanism(mechanism)) throw new FormatError(`The add-scram mechanism ${mechanism} is not supported.`);
  if (!config.startsWith('[')) throw new FormatError('Expected configuration string to start with [');
  if (!config.endsWith(']')) throw new FormatError('Expected configuration string to end with ]');
  const fields = new Map<string, string>();
  for (const field of config.slice(1, -1).split(',')) {
    const at = field.indexOf('=');
    if (at < 0) throw new FormatError(`No equals sign found in SCRAM component: ${field}`);
    fields.set(field.slice(0, at), unquoted(field.slice(at + 1)));
  }
  return { mechanism, fields };
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

function take(fields: Map<string, string>, name: string): string | undefined {
  const value = fields.get(name);
  fields.delete(name);
  return value;
}

function iterationsOf(mechanism: ScramMechanism, text: string | undefined): number {
  if (text === undefined) return ITERATIONS_MIN;
  if (!/^[+-]?[0-9]{1,9}$/.test(text)) throw new FormatError(`Failed to parse iterations count: ${text}`);
  const iterations = Number(text);
  // Kafka says the name of its constant here.
  const shown = mechanism.replaceAll('-', '_');
  if (iterations < ITERATIONS_MIN) throw new FormatError(`The 'iterations' value must be >= ${ITERATIONS_MIN} for add-scram using ${shown}`);
  if (iterations > ITERATIONS_MAX) throw new FormatError(`The 'iterations' value must be <= ${ITERATIONS_MAX} for add-scram using ${shown}`);
  return iterations;
}

function decodeBase64(text: string, complaint: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) throw new FormatError(`${complaint}: ${text}`);
  return bytes;
}

/** 130 random bits in base 36, as Kafka makes a salt: text, so that it can be typed. */
function randomSalt(random: Random): Buffer {
  const bits = BigInt(`0x${random.bytes(17).toString('hex')}`) & ((1n << 130n) - 1n);
  return Buffer.from(bits.toString(36), 'latin1');
}
