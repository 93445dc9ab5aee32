/** The text of `ottla.http`: `8080` is this machine only, `:8080` all addresses, `host:8080` and `[v6]:8080` one. Does not resolve names. */
import { SettingError } from '../settings.ts';

export interface HttpAddress {
  /** '' for all addresses. */
  readonly host: string;
  readonly port: number;
}

/** Throws a SettingError. */
export function parseHttpAddress(text: string): HttpAddress {
  const match = /^(?:(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]/]*)):)?([0-9]{1,5})$/.exec(text);
  const port = match === null ? NaN : Number(match[3]);
  if (match === null || port > 65_535) throw new SettingError(`ottla.http = ${text}: it should be PORT, :PORT or HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port };
}
