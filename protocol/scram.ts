/**
 * The computations of SCRAM (RFC 5802, RFC 7677) as Kafka uses it: keys, proofs, and the text of stored credentials.
 *
 * Promises: pure functions. Secrets are compared in constant time.
 * Does not: the messages of the exchange and its rules (nonces, authzid, iteration limits), randomness, or waiting: `saltPassword` takes 2 ms per 4,096
 * iterations, so a broker derives keys from passwords only where a user is made, never where one logs in.
 *
 *   SaltedPassword  = PBKDF2(password, salt, iterations)
 *   ClientKey       = HMAC(SaltedPassword, "Client Key")      StoredKey = H(ClientKey)
 *   ServerKey       = HMAC(SaltedPassword, "Server Key")
 *   AuthMessage     = client-first-bare , server-first , client-final-without-proof
 *   ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)
 *   ServerSignature = HMAC(ServerKey, AuthMessage)
 */
import assert from 'node:assert';
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

/** By their SASL names: the hash that each uses. */
const HASHES = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const;
const HASH_BYTES = { 'SCRAM-SHA-256': 32, 'SCRAM-SHA-512': 64 } as const;
export type ScramMechanism = keyof typeof HASHES;

/** What a broker stores of a user, from which the password cannot be had. */
export interface ScramCredential {
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
  readonly iterations: number;
}

export function isScramMechanism(name: string): name is ScramMechanism {
  return Object.hasOwn(HASHES, name);
}

/** The password is taken as it is, in UTF-8: Kafka leaves out RFC 5802's normalisation. */
export function saltPassword(mechanism: ScramMechanism, password: string, salt: Buffer, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, HASH_BYTES[mechanism], HASHES[mechanism]);
}

export function clientKeyOf(mechanism: ScramMechanism, saltedPassword: Buffer): Buffer {
  return hmac(mechanism, saltedPassword, 'Client Key');
}

export function storedKeyOf(mechanism: ScramMechanism, clientKey: Buffer): Buffer {
  return createHash(HASHES[mechanism]).update(clientKey).digest();
}

export function serverKeyOf(mechanism: ScramMechanism, saltedPassword: Buffer): Buffer {
  return hmac(mechanism, saltedPassword, 'Server Key');
}

/** The credential of a salted password, which is what clients send when they make a user. */
export function credentialOf(mechanism: ScramMechanism, saltedPassword: Buffer, salt: Buffer, iterations: number): ScramCredential {
  return {
    salt,
    storedKey: storedKeyOf(mechanism, clientKeyOf(mechanism, saltedPassword)),
    serverKey: serverKeyOf(mechanism, saltedPassword),
    iterations,
  };
}

export function authMessageOf(clientFirstBare: string, serverFirst: string, clientFinalWithoutProof: string): string {
  return `${clientFirstBare},${serverFirst},${clientFinalWithoutProof}`;
}

export function clientProofOf(mechanism: ScramMechanism, saltedPassword: Buffer, authMessage: string): Buffer {
  const clientKey = clientKeyOf(mechanism, saltedPassword);
  return xor(clientKey, hmac(mechanism, storedKeyOf(mechanism, clientKey), authMessage));
}

/** Whether the proof was made by someone who knows the password. */
export function isClientProof(mechanism: ScramMechanism, credential: ScramCredential, authMessage: string, proof: Buffer): boolean {
  if (proof.length !== HASH_BYTES[mechanism] || credential.storedKey.length !== proof.length) return false;
  const clientKey = xor(proof, hmac(mechanism, credential.storedKey, authMessage));
  return timingSafeEqual(storedKeyOf(mechanism, clientKey), credential.storedKey);
}

export function serverSignatureOf(mechanism: ScramMechanism, serverKey: Buffer, authMessage: string): Buffer {
  return hmac(mechanism, serverKey, authMessage);
}

/** A user's name inside a message: '=' and ',' have meanings there. */
export function saslNameOf(user: string): string {
  return user.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

/** The user of a name inside a message; undefined where an '=' is none of the two escapes. */
export function userOf(saslName: string): string | undefined {
  const withCommas = saslName.replaceAll('=2C', ',');
  if (withCommas.replaceAll('=3D', '').includes('=')) return undefined;
  return withCommas.replaceAll('=3D', '=');
}

/** Kafka's text of a credential: `salt=...,stored_key=...,server_key=...,iterations=4096`, the first three in base64. */
export function formatCredential(credential: ScramCredential): string {
  const { salt, storedKey, serverKey, iterations } = credential;
  return `salt=${salt.toString('base64')},stored_key=${storedKey.toString('base64')},server_key=${serverKey.toString('base64')},iterations=${iterations}`;
}

/** Undefined for what is no credential: four fields, each once, in any order. */
export function parseCredential(text: string): ScramCredential | undefined {
  const fields = new Map<string, string>();
  for (const field of text.split(',')) {
    const equals = field.indexOf('=');
    if (equals <= 0) return undefined;
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  const salt = parseBase64(fields.get('salt'));
  const storedKey = parseBase64(fields.get('stored_key'));
  const serverKey = parseBase64(fields.get('server_key'));
  const iterations = Number(fields.get('iterations'));
  if (fields.size !== 4 || text.split(',').length !== 4 || !salt || !storedKey || !serverKey) return undefined;
  return Number.isSafeInteger(iterations) && iterations > 0 ? { salt, storedKey, serverKey, iterations } : undefined;
}

/** Strictly: Buffer.from takes anything and leaves out what it does not know. */
function parseBase64(text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function hmac(mechanism: ScramMechanism, key: Buffer, data: string): Buffer {
  return createHmac(HASHES[mechanism], key).update(data, 'utf8').digest();
}

function xor(left: Buffer, right: Buffer): Buffer {
  assert.strictEqual(left.length, right.length);
  const result = Buffer.allocUnsafe(left.length);
  for (let i = 0; i < result.length; i++) result[i] = left[i]! ^ right[i]!;
  return result;
}
