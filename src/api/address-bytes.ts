/** Addresses as four or sixteen bytes, as Java's InetAddress has them, and back to text. Does not resolve names. */

/** Throws a RangeError for what is no address. */
export function addressBytes(address: string): Buffer {
  const [ip = ''] = address.split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip);
  if (mapped !== null || !ip.includes(':')) {
    const parts = (mapped?.[1] ?? ip).split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) throw new RangeError(`${address} is no address`);
    return Buffer.from(parts);
  }
  const [before = '', after] = ip.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const groups = after === undefined ? head : [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail];
  const values = groups.map((group) => parseInt(group, 16));
  if (values.length !== 8 || values.some((value) => !(value >= 0 && value <= 0xffff))) throw new RangeError(`${address} is no address`);
  const bytes = Buffer.alloc(16);
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2));
  return bytes;
}

/** null for a length that no address has. */
export function addressText(bytes: Buffer): string | null {
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.length !== 16) return null;
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}
