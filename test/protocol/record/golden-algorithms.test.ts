/** Checksums, hashes, sequence arithmetic and SCRAM against Kafka's own numbers. */
import { describe, expect, test } from 'vitest';
import { coordinatorPartition, javaStringHash, keyPartition, murmur2 } from '../../../protocol/hash.ts';
import { crc32c, loadNativeCrc32c, portableCrc32c } from '../../../protocol/record/crc32c.ts';
import { decrementSequence, incrementSequence } from '../../../protocol/record/sequence.ts';
import * as scram from '../../../protocol/scram.ts';
import { describeGolden, goldenLines, vectorLines } from '../golden.ts';

const checks: { readonly [algorithm: string]: (line: any) => void } = {
  crc32c(line) {
    const input = Buffer.from(line.input, 'base64');
    const end = line.offset + line.length;
    expect(crc32c(input, line.offset, end)).toBe(line.crc);
    expect(portableCrc32c(input, line.offset, end)).toBe(line.crc);
    const native = loadNativeCrc32c();
    if (native !== null) expect(native(input.subarray(line.offset, end)) >>> 0).toBe(line.crc);
  },
  murmur2(line) {
    const input = Buffer.from(line.input, 'base64');
    expect(murmur2(input)).toBe(line.hash);
    expect(keyPartition(input, 101)).toBe(line.positive % 101);
  },
  incrementSequence(line) {
    expect(incrementSequence(line.value, line.by)).toBe(line.result);
    expect(decrementSequence(line.result, line.by)).toBe(line.value);
  },
  coordinatorPartition(line) {
    expect(javaStringHash(line.id)).toBe(line.hashCode);
    expect(coordinatorPartition(line.id, line.partitions)).toBe(line.partition);
  },
  scram(line) {
    const { mechanism } = line;
    const salt = Buffer.from(line.salt, 'base64');
    const salted = scram.saltPassword(mechanism, line.password, salt, line.iterations);
    expect(salted.toString('base64')).toBe(line.saltedPassword);
    expect(scram.clientKeyOf(mechanism, salted).toString('base64')).toBe(line.clientKey);
    const credential = scram.credentialOf(mechanism, salted, salt, line.iterations);
    expect(credential.storedKey.toString('base64')).toBe(line.storedKey);
    expect(credential.serverKey.toString('base64')).toBe(line.serverKey);
    expect(scram.formatCredential(credential)).toBe(line.credential);
    expect(scram.parseCredential(line.credential)).toStrictEqual(credential);
    const authMessage = scram.authMessageOf(line.clientFirst.slice('n,,'.length), line.serverFirst, line.clientFinal.slice(0, line.clientFinal.lastIndexOf(',p=')));
    expect(authMessage).toBe(line.authMessage);
    const proof = scram.clientProofOf(mechanism, salted, authMessage);
    expect(proof.toString('base64')).toBe(line.clientProof);
    expect(scram.isClientProof(mechanism, credential, authMessage, proof)).toBe(true);
    expect(scram.isClientProof(mechanism, credential, `${authMessage}x`, proof)).toBe(false);
    expect(scram.serverSignatureOf(mechanism, credential.serverKey, authMessage).toString('base64')).toBe(line.serverSignature);
    expect(scram.saslNameOf(line.user)).toBe(line.saslName);
    expect(scram.userOf(line.saslName)).toBe(line.user);
  },
};

function defineTests(lines: readonly any[]): void {
  test.each(Object.keys(checks))('%s', (algorithm) => {
    const mine = lines.filter((line) => line.algorithm === algorithm);
    expect(mine.length).toBeGreaterThan(0);
    for (const line of mine) checks[algorithm]!(line);
  });
}

describe('our own set', () => defineTests(vectorLines('records/algorithms.jsonl')));
describeGolden(() => defineTests(goldenLines('algorithms.jsonl.gz')));

test('the absolute value of -2^31 counts as 0', () => {
  // Strings of that hash are easy to make: 31 * hash + unit wraps.
  expect(javaStringHash('polygenelubricants')).toBe(-0x8000_0000);
  expect(coordinatorPartition('polygenelubricants', 50)).toBe(0);
});

test('hashes go over UTF-16 units, not characters', () => {
  expect(javaStringHash('𝄞')).toBe((0xd834 * 31 + 0xdd1e) | 0);
});

test('SCRAM refuses what is no proof, no name and no credential', () => {
  const salt = Buffer.from('salt');
  const credential = scram.credentialOf('SCRAM-SHA-256', scram.saltPassword('SCRAM-SHA-256', 'secret', salt, 4096), salt, 4096);
  expect(scram.isClientProof('SCRAM-SHA-256', credential, 'm', Buffer.alloc(0))).toBe(false);
  expect(scram.isClientProof('SCRAM-SHA-256', credential, 'm', Buffer.alloc(64))).toBe(false);
  expect(scram.isScramMechanism('SCRAM-SHA-1')).toBe(false);
  expect(scram.isScramMechanism('constructor')).toBe(false);
  expect(scram.userOf('a=2cb')).toBeUndefined();
  expect(scram.userOf('=3D=2C=3D')).toBe('=,=');
  const text = scram.formatCredential(credential);
  for (const bad of ['', 'salt', text.replace('salt', 'pepper'), text.replace('4096', '0'), text.replace('4096', '1e999'), `${text},salt=`, text.replace('stored_key=', 'stored_key=!')]) {
    expect(scram.parseCredential(bad)).toBeUndefined();
  }
});
