/**
 * A TypeScript file as far as the rules of the house need it: its tokens without comments, and what it imports and exports.
 *
 * Promises: strings, comments, templates (with the code inside them) and regular expressions are told apart from code, so that a word in a text is
 * no import and no forbidden global. Does not: parse. What a slash begins is decided by the token before it, which is right for code that a person
 * would write.
 */

export type TokenKind = 'name' | 'punctuation' | 'string' | 'template' | 'number' | 'regex';

export interface Token {
  readonly kind: TokenKind;
  /** Of a string: its content, escapes left as they are. Of a template: the text around its expressions, whose tokens follow. */
  readonly text: string;
  readonly line: number;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** 'type' is gone at run time; 'dynamic' is `import()` or `require()`, also in a type; 'export' is `export ... from`. */
  readonly kind: 'value' | 'type' | 'dynamic' | 'export';
  /** The names that are taken from the module, by its own names; '*' for all of it, 'default' for that. */
  readonly names: readonly string[];
}

export interface SourceFile {
  /** Relative to the repository, with '/'. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly tokens: readonly Token[];
  readonly imports: readonly Import[];
}

const NAME_START = /[A-Za-z_$\u0080-\uffff#@]/;
const NAME_PART = /[A-Za-z0-9_$\u0080-\uffff]/;
/** After these a slash begins a regular expression, as after most punctuation. */
const BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'delete', 'void', 'throw', 'new', 'else', 'do', 'instanceof', 'yield', 'await', 'default', 'extends']);

export function parseSource(path: string, text: string): SourceFile {
  const tokens = tokensOf(text);
  return { path, text, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), tokens, imports: importsOf(tokens) };
}

export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  /** For each template that is open: how many braces its expression has open. */
  const templates: number[] = [];

  const push = (kind: TokenKind, tokenText: string): void => void tokens.push({ kind, text: tokenText, line });
  const moveTo = (end: number): void => {
    for (; at < end; at++) if (text[at] === '\n') line++;
  };

  /** From after a backtick or a closing brace to the next expression or the end of the template. */
  const template = (): void => {
    const start = at;
    let end = at;
    while (end < text.length && text[end] !== '`' && !(text[end] === '$' && text[end + 1] === '{')) end += text[end] === '\\' ? 2 : 1;
    push('template', text.slice(start, end));
    if (text[end] === '$') templates.push(0);
    moveTo(Math.min(text.length, end + (text[end] === '$' ? 2 : 1)));
  };

  if (text.startsWith('#!')) moveTo(lineEnd(text, 0));
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      moveTo(at + 1);
    } else if (text.startsWith('//', at)) {
      moveTo(lineEnd(text, at));
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2);
      moveTo(end < 0 ? text.length : end + 2);
    } else if (char === '"' || char === "'") {
      let end = at + 1;
      while (end < text.length && text[end] !== char && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
      push('string', text.slice(at + 1, end));
      moveTo(end + 1);
    } else if (char === '`') {
      moveTo(at + 1);
      template();
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop();
      moveTo(at + 1);
      template();
    } else if (NAME_START.test(char)) {
      let end = at + 1;
      while (end < text.length && NAME_PART.test(text[end]!)) end++;
      push('name', text.slice(at, end));
      moveTo(end);
    } else if (/[0-9]/.test(char)) {
      let end = at + 1;
      while (end < text.length && (NAME_PART.test(text[end]!) || text[end] === '.')) end++;
      push('number', text.slice(at, end));
      moveTo(end);
    } else if (char === '/' && beginsRegex(tokens.at(-1))) {
      const end = regexEnd(text, at);
      push('regex', text.slice(at, end));
      moveTo(end);
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1]!++;
      if (templates.length > 0 && char === '}') templates[templates.length - 1]!--;
      push('punctuation', text.startsWith('=>', at) ? '=>' : text.startsWith('...', at) ? '...' : char);
      moveTo(at + tokens.at(-1)!.text.length);
    }
  }
  return tokens;
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function beginsRegex(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === 'name') return BEFORE_REGEX.has(before.text);
  return before.kind === 'punctuation' && ![')', ']', '}'].includes(before.text);
}

function regexEnd(text: string, at: number): number {
  let inClass = false;
  let end = at + 1;
  for (; end < text.length && text[end] !== '\n'; end++) {
    if (text[end] === '\\') end++;
    else if (text[end] === '[') inClass = true;
    else if (text[end] === ']') inClass = false;
    else if (text[end] === '/' && !inClass) break;
  }
  end++;
  while (end < text.length && NAME_PART.test(text[end]!)) end++;
  return end;
}

/** `import` and `export ... from` statements, `import()` and `require()` of a constant. */
export function importsOf(tokens: readonly Token[]): Import[] {
  const imports: Import[] = [];
  const is = (at: number, text: string): boolean => tokens[at]?.kind !== 'string' && tokens[at]?.text === text;
  const isString = (at: number): boolean => tokens[at]?.kind === 'string';

  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (token.kind !== 'name' || is(at - 1, '.')) continue;
    const add = (kind: Import['kind'], stringAt: number, names: readonly string[]): void =>
      void imports.push({ specifier: tokens[stringAt]!.text, line: token.line, kind, names });
    if ((token.text === 'import' || token.text === 'require') && is(at + 1, '(') && isString(at + 2)) add('dynamic', at + 2, ['*']);
    else if (token.text === 'import' && isString(at + 1)) add('value', at + 1, []);
    else if (token.text === 'import' && (tokens[at + 1]?.kind === 'name' || is(at + 1, '{') || is(at + 1, '*'))) {
      const isType = is(at + 1, 'type') && !is(at + 2, 'from') && !is(at + 2, ',');
      const clause = clauseFrom(tokens, isType ? at + 2 : at + 1);
      if (clause !== undefined) add(isType ? 'type' : 'value', clause.specifierAt, clause.names);
    } else if (token.text === 'export' && (is(at + 1, '*') || is(at + 1, '{') || (is(at + 1, 'type') && (is(at + 2, '{') || is(at + 2, '*'))))) {
      const clause = clauseFrom(tokens, is(at + 1, 'type') ? at + 2 : at + 1);
      if (clause !== undefined) add('export', clause.specifierAt, clause.names);
    }
  }
  return imports;
}

/** The names between here and `from 'x'`; undefined where the statement has no `from`. */
function clauseFrom(tokens: readonly Token[], start: number): { names: string[]; specifierAt: number } | undefined {
  const names: string[] = [];
  let inBraces = false;
  for (let at = start; at < tokens.length; at++) {
    const { kind, text } = tokens[at]!;
    const isFrom = kind === 'name' && text === 'from' && !inBraces && tokens[at + 1]?.kind === 'string';
    if (isFrom) return { names, specifierAt: at + 1 };
    if (text === '{') inBraces = true;
    else if (text === '}') inBraces = false;
    else if (text === '*') names.push('*');
    else if (text === ';') return undefined;
    else if (kind === 'name' && tokens[at - 1]?.text !== 'as' && text !== 'as') {
      if (inBraces && text === 'type' && tokens[at + 1]?.kind === 'name' && tokens[at + 1]?.text !== 'as') continue;
      names.push(inBraces ? text : 'default');
    } else if (!inBraces && kind !== 'name' && text !== ',') return undefined;
    if (text === '}' && !(tokens[at + 1]?.kind === 'name' && tokens[at + 1]?.text === 'from')) return undefined;
  }
  return undefined;
}
