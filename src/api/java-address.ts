/**
 * How Java prints the address of a peer whose name it does not know: "/127.0.0.1", "/0:0:0:0:0:0:0:1". Groups tell it of their members, and it is in their records.
 */
export function javaAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return `/${mapped[1]!}`;
  if (!address.includes(':')) return `/${address}`;
  const [ip = '', scope] = address.split('%');
  const [before = '', after] = ip.split('::');
  const groups = before === '' ? [] : before.split(':');
  if (after !== undefined) {
    const tail = after === '' ? [] : after.split(':');
    while (groups.length + tail.length < 8) groups.push('0');
    groups.push(...tail);
  }
  // Java writes no leading zeros and shortens nothing else.
  const full = groups.map((group) => parseInt(group, 16).toString(16)).join(':');
  return scope === undefined ? `/${full}` : `/${full}%${scope}`;
}
