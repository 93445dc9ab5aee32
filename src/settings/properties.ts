/**
 * Reads the text of a Java properties file as java.util.Properties.load does: comments, continued lines, `=`, `:` or a blank between key and
 * value, and backslash escapes. The text is taken as UTF-8, which is what people write. Does not know which names are settings.
 */

export interface Property {
  readonly name: string;
  readonly value: string;
  /** The line it starts on, from 1. */
  readonly line: number;
}

/** All properties in order; a name that comes twice is given twice (the last one counts). */
export function parseProperties(text: string): Property[] {
  const properties: Property[] = [];
  for (const { line, logical } of logicalLines(text)) {
    const { key, value } = split(logical);
    properties.push({ name: unescape(key), value: unescape(value), line });
  }
  return properties;
}

/** Lines without leading blanks, comments and empty lines, those that end in an odd number of backslashes joined with the next. */
function* logicalLines(text: string): Generator<{ line: number; logical: string }> {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; at++) {
    let logical = lines[at]!.replace(/^[ \t\f]+/, '');
    if (logical === '' || logical.startsWith('#') || logical.startsWith('!')) continue;
    const line = at + 1;
    while (isContinued(logical)) {
      logical = logical.slice(0, -1);
      if (at + 1 === lines.length) break;
      logical += lines[++at]!.replace(/^[ \t\f]+/, '');
    }
    yield { line, logical };
  }
}

function isContinued(line: string): boolean {
  let backslashes = 0;
  while (line[line.length - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}

/** The key ends at the first `=`, `:` or blank that no backslash stands before; blanks around one `=` or `:` belong to neither side. */
function split(line: string): { key: string; value: string } {
  let end = 0;
  while (end < line.length && !'=: \t\f'.includes(line[end]!)) end += line[end] === '\\' ? 2 : 1;
  end = Math.min(end, line.length);
  const rest = line.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '');
  return { key: line.slice(0, end), value: rest };
}

function unescape(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|[^])/g, (_, escaped: string) => {
    switch (escaped[0]) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'u':
        return escaped.length === 5 ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16)) : escaped;
      default:
        return escaped;
    }
  });
}
