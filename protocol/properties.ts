/**
 * Java's properties syntax, as java.util.Properties loads and stores it: comments, continued lines, `=`, `:` or a blank between name and value,
 * backslash escapes.
 *
 * Promises: what `formatProperties` writes, Java and `parseProperties` read back the same. The text is taken as UTF-8, as Kafka writes it.
 * Does not: know any name, or reject anything; every text is a properties file. What Java refuses (`\u` without four digits) is taken literally.
 */

export interface Property {
  readonly name: string;
  readonly value: string;
  /** The line it begins on, from 1. */
  readonly line: number;
}

/** All properties in order; of a name that comes twice, the last one counts. */
export function parseProperties(text: string): Property[] {
  const properties: Property[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; at++) {
    let line = trimStart(lines[at]!);
    if (line === '' || line[0] === '#' || line[0] === '!') continue;
    const number = at + 1;
    while (/(?<!\\)(\\\\)*\\$/.test(line)) {
      // The blanks that begin the continuation do not count, and it is never a comment.
      line = line.slice(0, -1) + trimStart(lines[at + 1] ?? '');
      at++;
    }
    let end = 0;
    while (end < line.length && !'=: \t\f'.includes(line[end]!)) end += line[end] === '\\' ? 2 : 1;
    const value = line.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '');
    properties.push({ name: unescape(line.slice(0, end)), value: unescape(value), line: number });
  }
  return properties;
}

function trimStart(line: string): string {
  return line.replace(/^[ \t\f]+/, '');
}

const ESCAPES: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([^]))/g, (_, hex: string | undefined, escaped: string) =>
    hex === undefined ? (ESCAPES[escaped] ?? escaped) : String.fromCharCode(parseInt(hex, 16)),
  );
}

/** The file that Java's `store` writes for these properties, with an empty comment and the date in UTC. */
export function formatProperties(properties: Iterable<readonly [name: string, value: string]>, nowMs: number): string {
  let text = `#\n#${javaDate(nowMs)}\n`;
  for (const [name, value] of properties) text += `${escape(name).replaceAll(' ', '\\ ')}=${escape(value).replace(/^ /, '\\ ')}\n`;
  return text;
}

const LETTERS: Record<string, string> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\f': '\\f' };

function escape(text: string): string {
  return text.replace(/[\\\t\n\r\f=:#!]/g, (character) => LETTERS[character] ?? `\\${character}`);
}

/** Sat Nov 21 09:46:08 UTC 2026 */
function javaDate(ms: number): string {
  const [weekday, day, month, year, time] = new Date(ms).toUTCString().split(' ');
  return `${weekday!.slice(0, 3)} ${month} ${day} ${time} UTC ${year}`;
}
