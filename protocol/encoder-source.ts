/**
 * The source text of an encoder: one function for one version of one message.
 *
 * Promises: a pure function of the declaration; the encoder throws a TypeError for a value that does not fit its field, for a field that is
 * missing, and for one that is set, not ignorable and unknown to the version (Kafka's own rule). Large byte strings go out by reference.
 * Does not compile the text (`compile.ts` does).
 */
import { bodySlots, defaultSource, elementSlot, fixedBytes, isDefaultSource, mayBeLeftOut, slotsOf, taggedSlots } from './layout.ts';
import type { Int64Mode, Slot } from './layout.ts';
import { inRange } from './schema.ts';
import type { AnyField, AnyMessage, Fields } from './schema.ts';

/** In the text: w is the writer, b its buffer, d the view of that, p the position. */
export function encoderSource(message: AnyMessage, version: number, mode: Int64Mode): string {
  const emitter = new EncoderEmitter(`${message.name} v${version}`, version, mode);
  emitter.struct(message.fields, inRange(message.flexible, version), 'value', '');
  emitter.flush();
  return [
    `return function encode${message.name}V${version}(value, w) {`,
    'let b = w.buffer, d = w.view, p = w.position;',
    ...emitter.lines,
    'w.position = p;',
    '};',
  ].join('\n');
}

/** The checks of numbers: the condition that a value is none of its kind. */
const WRONG_NUMBER: { readonly [kind: string]: (value: string) => string } = {
  int8: (value) => `${value} !== ${value} << 24 >> 24`,
  int16: (value) => `${value} !== ${value} << 16 >> 16`,
  int32: (value) => `${value} !== (${value} | 0)`,
  uint16: (value) => `${value} !== (${value} & 65535)`,
  uint32: (value) => `${value} !== ${value} >>> 0`,
  int64: (value) => `!Number.isSafeInteger(${value})`,
  int64Exact: (value) => `typeof ${value} !== 'bigint'`,
  float64: (value) => `typeof ${value} !== 'number'`,
  bool: (value) => `${value} !== true && ${value} !== false`,
};

class EncoderEmitter {
  readonly lines: string[] = [];
  readonly #title: string;
  readonly #version: number;
  readonly #mode: Int64Mode;
  #names = 0;
  /** Writes that share one check for room. */
  #pending: ({ bytes: number; write: (at: string) => string } | { write: string })[] = [];
  #room: string[] = [];
  /** Inside a tagged field, whose length goes before it: nothing may go out by reference there. */
  #isInTag = false;

  constructor(title: string, version: number, mode: Int64Mode) {
    this.#title = title;
    this.#version = version;
    this.#mode = mode;
  }

  /** Emits the writing of the struct that the expression `from` names. */
  struct(fields: Fields, isFlexible: boolean, from: string, path: string): void {
    const slots = slotsOf(fields, this.#version, isFlexible);
    const tagged = taggedSlots(slots);
    const isDefault = new Map<Slot, { value: string; condition: string }>();
    for (const slot of slots) {
      if (!slot.isPresent) this.#refuse(slot.field, `${from}.${slot.name}`, join(path, slot.name));
    }
    for (const slot of tagged) {
      const value = this.#value(slot, from);
      isDefault.set(slot, { value, condition: this.#bind(isDefaultSource(slot.field, value, this.#mode)) });
    }
    for (const slot of bodySlots(slots)) this.#field(slot, this.#value(slot, from), join(path, slot.name));
    if (!isFlexible) return;
    // No message has 128 tagged fields, so their count is one byte.
    const count = tagged.map((slot) => `(${isDefault.get(slot)!.condition} ? 0 : 1)`).join(' + ');
    this.#fixed(1, (at) => `b[${at}] = ${count === '' ? '0' : count};`);
    for (const slot of tagged) {
      const { value, condition } = isDefault.get(slot)!;
      this.flush();
      this.lines.push(`if (!${condition}) {`);
      this.#tag(slot, value, join(path, slot.name));
      this.lines.push('}');
    }
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    let fixed = 0;
    for (const each of this.#pending) if ('bytes' in each) fixed += each.bytes;
    const room = [...(fixed > 0 || this.#room.length === 0 ? [String(fixed)] : []), ...this.#room].join(' + ');
    this.lines.push(`if (b.length - p < ${room}) { w.position = p; w.grow(${room}); b = w.buffer; d = w.view; p = w.position; }`);
    let offset = 0;
    const advance = () => {
      if (offset > 0) this.lines.push(`p += ${offset};`);
      offset = 0;
    };
    for (const each of this.#pending) {
      if ('bytes' in each) {
        this.lines.push(each.write(offset === 0 ? 'p' : `p + ${offset}`));
        offset += each.bytes;
      } else {
        advance();
        this.lines.push(each.write);
      }
    }
    advance();
    this.#pending = [];
    this.#room = [];
  }

  /** The name of a variable with the field's value, its default where the caller left it out. */
  #value(slot: Slot, from: string): string {
    const { field, name } = slot;
    if (!mayBeLeftOut(field)) return this.#bind(`${from}.${name}`);
    const value = this.#name('v');
    this.lines.push(`let ${value} = ${from}.${name};`, `if (${value} === undefined) ${value} = ${defaultSource(field, this.#mode)};`);
    return value;
  }

  /** A field that the version lacks may be set only to its default, unless it is ignorable. */
  #refuse(field: AnyField, value: string, path: string): void {
    if (field.isIgnorable) return;
    this.lines.push(`if (${value} !== undefined && !(${isDefaultSource(field, value, this.#mode)})) throw cannotCarry(${this.#what(path)});`);
  }

  #field(slot: Slot, value: string, path: string): void {
    const { field } = slot;
    if (fixedBytes(field) !== undefined) return this.#number(field, value, path);
    switch (field.kind) {
      case 'string':
        return this.#string(slot, value, path);
      case 'bytes':
      case 'records':
        return this.#bytes(slot, value, path);
      case 'array':
        return this.#array(slot, value, path);
      default:
        return this.#struct(slot, value, path);
    }
  }

  #number(field: AnyField, value: string, path: string): void {
    this.lines.push(...this.#numberCheck(field, value, path));
    this.#fixed(fixedBytes(field)!, (at) => this.#numberWrite(field, value, at));
  }

  #numberCheck(field: AnyField, value: string, path: string): string[] {
    const kind = this.#numberKind(field);
    const wrong = WRONG_NUMBER[kind]?.(value);
    return wrong === undefined ? [] : [`if (${wrong}) throw notA(${this.#what(path)}, '${kind}', ${value});`];
  }

  #numberWrite(field: AnyField, value: string, at: string): string {
    switch (this.#numberKind(field)) {
      case 'int8':
        return `b[${at}] = ${value};`;
      case 'bool':
        return `b[${at}] = ${value} ? 1 : 0;`;
      case 'int16':
      case 'uint16':
        return `d.setInt16(${at}, ${value});`;
      case 'int32':
      case 'uint32':
        return `d.setInt32(${at}, ${value});`;
      case 'int64':
        return `writeInt64(d, ${at}, ${value});`;
      case 'int64Exact':
        return `writeInt64Exact(d, ${at}, ${value});`;
      case 'float64':
        return `d.setFloat64(${at}, ${value});`;
      default:
        return `writeUuid(b, ${at}, ${value});`;
    }
  }

  #numberKind(field: AnyField): string {
    return field.kind === 'int64' && this.#mode === 'exact' ? 'int64Exact' : field.kind;
  }

  #string(slot: Slot, value: string, path: string): void {
    const { isFlexible, isNullable } = slot;
    const allowed = isNullable ? `${value} !== null && ` : '';
    this.lines.push(`if (${allowed}typeof ${value} !== 'string') throw notA(${this.#what(path)}, 'string', ${value});`);
    const write = `p = ${isFlexible ? 'writeCompactString' : 'writeString'}(b, p, ${value});`;
    if (!isNullable) return this.#dynamic(`3 + 3 * ${value}.length`, write);
    const writeNull = isFlexible ? 'b[p++] = 0;' : 'd.setInt16(p, -1); p += 2;';
    this.#dynamic(`3 + (${value} === null ? 0 : 3 * ${value}.length)`, `if (${value} === null) { ${writeNull} } else ${write}`);
  }

  #bytes(slot: Slot, value: string, path: string): void {
    const check = `if (!isBytes(${value})) throw notA(${this.#what(path)}, '${slot.field.kind}', ${value});`;
    const length = this.#name('n');
    const write = this.#isInTag ? `copyBytes(w, ${value});` : `writeBytes(w, ${value});`;
    const body = () => {
      this.lines.push(check, `const ${length} = lengthOfBytes(${value});`);
      this.#length(slot, length);
      this.flush();
      this.lines.push('w.position = p;', write, 'b = w.buffer; d = w.view; p = w.position;');
    };
    this.#orNull(slot, value, body);
  }

  #array(slot: Slot, value: string, path: string): void {
    this.#orNull(slot, value, () => {
      const count = this.#name('n');
      this.lines.push(`if (!Array.isArray(${value})) throw notA(${this.#what(path)}, 'array', ${value});`, `const ${count} = ${value}.length;`);
      this.#length(slot, count);
      const element = elementSlot(slot);
      const index = this.#name('i');
      const bytes = fixedBytes(element.field);
      if (bytes !== undefined) return this.#numbers(element.field, bytes, { value, count, index }, path);
      this.flush();
      this.lines.push(`for (let ${index} = 0; ${index} < ${count}; ${index}++) {`);
      const each = this.#bind(`${value}[${index}]`);
      this.#field(element, each, path);
      this.flush();
      this.lines.push('}');
    });
  }

  /** Elements of one size need no check for room of their own. */
  #numbers(field: AnyField, bytes: number, names: { value: string; count: string; index: string }, path: string): void {
    const { value, count, index } = names;
    const each = this.#name('v');
    const write = [...this.#numberCheck(field, each, path), this.#numberWrite(field, each, 'p'), `p += ${bytes};`].join(' ');
    this.#dynamic(`${bytes} * ${count}`, `for (let ${index} = 0; ${index} < ${count}; ${index}++) { const ${each} = ${value}[${index}]; ${write} }`);
  }

  #struct(slot: Slot, value: string, path: string): void {
    const fields = slot.field.fields!;
    const check = `if (typeof ${value} !== 'object' || ${value} === null) throw notA(${this.#what(path)}, 'struct', ${value});`;
    if (!slot.isNullable) {
      this.lines.push(check);
      return this.struct(fields, slot.isFlexible, value, path);
    }
    // Kafka marks a nullable struct with a byte, -1 or 1; among tagged fields with a varint, 0 or 1.
    this.flush();
    this.lines.push(`if (${value} === null) {`);
    this.#fixed(1, (at) => `b[${at}] = ${slot.tag === undefined ? 255 : 0};`);
    this.flush();
    this.lines.push('} else {', check);
    this.#fixed(1, (at) => `b[${at}] = 1;`);
    this.struct(fields, slot.isFlexible, value, path);
    this.flush();
    this.lines.push('}');
  }

  #tag(slot: Slot, value: string, path: string): void {
    this.#dynamic('5', `p = writeUnsignedVarint(b, p, ${slot.tag});`);
    this.flush();
    const mark = this.#name('m');
    this.lines.push(`w.position = p; const ${mark} = w.mark();`);
    const outer = this.#isInTag;
    this.#isInTag = true;
    this.#field(slot, value, path);
    this.flush();
    this.#isInTag = outer;
    this.lines.push(`w.position = p; w.insertLength(${mark}); b = w.buffer; d = w.view; p = w.position;`);
  }

  /** The length of bytes or an array. */
  #length(slot: Slot, length: string): void {
    if (slot.isFlexible) return this.#dynamic('5', `p = writeUnsignedVarint(b, p, ${length} + 1);`);
    this.#fixed(4, (at) => `d.setInt32(${at}, ${length});`);
  }

  /** Emits `body`, and where null is allowed the length that says null beside it. */
  #orNull(slot: Slot, value: string, body: () => void): void {
    if (!slot.isNullable) return body();
    this.flush();
    this.lines.push(`if (${value} === null) {`);
    if (slot.isFlexible) this.#fixed(1, (at) => `b[${at}] = 0;`);
    else this.#fixed(4, (at) => `d.setInt32(${at}, -1);`);
    this.flush();
    this.lines.push('} else {');
    body();
    this.flush();
    this.lines.push('}');
  }

  /** A write of known size. */
  #fixed(bytes: number, write: (at: string) => string): void {
    this.#pending.push({ bytes, write });
  }

  /** A write that moves p itself, for which `room` bytes are enough. */
  #dynamic(room: string, write: string): void {
    this.#room.push(room);
    this.#pending.push({ write });
  }

  #bind(expression: string): string {
    const name = this.#name('v');
    this.lines.push(`const ${name} = ${expression};`);
    return name;
  }

  #what(path: string): string {
    return JSON.stringify(`${this.#title} ${path}`);
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
