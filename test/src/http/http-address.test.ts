/** The address of the operators' port, as it is written. */
import { describe, expect, it } from 'vitest';
import { parseHttpAddress } from '../../../src/http/http-address.ts';

describe('the address', () => {
  it.each([
    ['8080', '127.0.0.1', 8080],
    ['0', '127.0.0.1', 0],
    [':8080', '', 8080],
    ['0.0.0.0:8080', '0.0.0.0', 8080],
    ['localhost:8080', 'localhost', 8080],
    ['[::1]:8080', '::1', 8080],
  ])('%s', (text, host, port) => expect(parseHttpAddress(text)).toEqual({ host, port }));

  it.each(['', 'localhost', '70000', '-1', 'a:b', '::1:8080', 'http://x:80', '8080 '])('%j is none', (text) => {
    expect(() => parseHttpAddress(text)).toThrow(`ottla.http = ${text}: it should be PORT, :PORT or HOST:PORT`);
  });
});
