/**
 * The source text of a decoder: one function for one version of one message, without loops over fields and without calls for numbers.
 *
 * Promises: a pure function of the declaration; the decoder checks every length against the bytes left before it uses it, every count against
 * the bytes left times the element's least size before it allocates, and throws nothing but RangeError for bad bytes. The decoded value has
 * all fields of the declaration in its order, so all versions share one hidden class. Does not compile the text (`compile.ts` does).
 */
import { bodySlots, defaultSource, elementSlot, fixedBytes, leastBytes, slotsOf, taggedSlots } from './layout.ts';
import type { Int64Mode, Slot } from './layout.ts';
import { inRange } from './schema.ts';
import type { AnyMessage, Fields } from './schema.ts';

/** In the text: r is the reader, b its buffer, p the position, e the end of what may be read. */
export function decoderSource(message: AnyMessage, version: number, mode: Int64Mode): string {
  const emitter = new DecoderEmitter(`${message.name} v${version}`, version, mode);
  const value = emitter.struct(message.fields, inRange(message.flexible, version), '');
  return [
    `return function decode${message.name}V${version}(r) {`,
    'const b = r.buffer; let p = r.position, e = r.end;',
    ...emitter.lines,
    'r.position = p;',
    `return ${value};`,
    '};',
  ].join('\n');
}

class DecoderEmitter {
  readonly lines: string[] = [];
  readonly #title: string;
  readonly #version: number;
  readonly #mode: Int64Mode;
  #names = 0;
  /** Reads of fixed size that share one check. */
  #pending: string[] = [];
  #pendingBytes = 0;
  #pendingPath = '';

  constructor(title: string, version: number, mode: Int64Mode) {
    this.#title = title;
    this.#version = version;
    this.#mode = mode;
  }

  /** Emits the reading of a struct; returns the expression of its value. */
  struct(fields: Fields, isFlexible: boolean, path: string): string {
    const slots = slotsOf(fields, this.#version, isFlexible);
    const values = new Map<string, string>();
    for (const slot of slots) if (!slot.isPresent) values.set(slot.name, defaultSource(slot.field, this.#mode));
    const tagged = taggedSlots(slots);
    for (const slot of tagged) {
      const name = this.#name('t');
      this.lines.push(`let ${name} = ${defaultSource(slot.field, this.#mode)};`);
      values.set(slot.name, name);
    }
    for (const slot of bodySlots(slots)) values.set(slot.name, this.#field(slot, join(path, slot.name)));
    if (isFlexible) this.#tags(tagged, values, path);
    this.#flush();
    return `{ ${slots.map((slot) => `${slot.name}: ${values.get(slot.name)}`).join(', ')} }`;
  }

  /** Emits the reading of a field; returns the name of the variable that has it. */
  #field(slot: Slot, path: string): string {
    const { field } = slot;
    const bytes = fixedBytes(field);
    if (bytes !== undefined) return this.#fixed(bytes, path, (at) => this.#read(field.kind, at));
    switch (field.kind) {
      case 'string':
        return this.#sized(slot, path, 2, (value, length) => [
          slot.isFlexible
            ? `if (${length} > 32767 || ${length} > e - p) throw badLength(${this.#what(path)}, ${length}, e - p);`
            : `if (${length} < 0 || ${length} > e - p) throw badLength(${this.#what(path)}, ${length}, e - p);`,
          `${value} = readText(b, p, ${length}); p += ${length};`,
        ]);
      case 'bytes':
      case 'records':
        return this.#sized(slot, path, 4, (value, length) => [
          `if (${length} < 0 || ${length} > e - p) throw badLength(${this.#what(path)}, ${length}, e - p);`,
          `${value} = b.subarray(p, p += ${length});`,
        ]);
      case 'array':
        return this.#sized(slot, path, 4, (value, count) => this.#elements(slot, path, value, count));
      default:
        return slot.isNullable ? this.#nullableStruct(slot, path) : this.#bind(this.struct(field.fields!, slot.isFlexible, path));
    }
  }

  /** A value after its length, which may say that it is null. */
  #sized(slot: Slot, path: string, lengthBytes: 2 | 4, body: (value: string, length: string) => string[]): string {
    const value = this.#name('v');
    const length = slot.isFlexible
      ? this.#unsignedVarint(path)
      : this.#fixed(lengthBytes, path, (at) => this.#read(lengthBytes === 2 ? 'int16' : 'int32', at));
    this.#flush();
    // A compact length is one more than it says, so that 0 can stand for null.
    const nullMark = slot.isFlexible ? '0' : '-1';
    const lines: string[] = [];
    if (slot.isFlexible) lines.push(`${length} -= 1;`);
    if (slot.isNullable) {
      this.lines.push(`let ${value} = null;`, `if (${length} !== ${nullMark}) {`, ...lines);
    } else {
      if (slot.isFlexible) lines.unshift(`if (${length} === 0) throw notNullable(${this.#what(path)});`);
      this.lines.push(`let ${value};`, '{', ...lines);
    }
    this.lines.push(...body(value, length), '}');
    return value;
  }

  #elements(slot: Slot, path: string, value: string, count: string): string[] {
    const element = elementSlot(slot);
    const least = leastBytes(element, this.#version);
    const bytes = fixedBytes(element.field);
    // Where a string or struct may take a single byte, room for all would be eight times the frame: the array grows with what has been read instead.
    const room = bytes !== undefined || least > 1 ? `new Array(${count})` : '[]';
    const index = this.#name('i');
    const inner = this.#nested(() => {
      if (bytes !== undefined) {
        this.lines.push(`${value}[${index}] = ${this.#read(element.field.kind, 'p')};`, `p += ${bytes};`);
      } else {
        const each = element.field.kind === 'struct' ? this.struct(element.field.fields!, slot.isFlexible, path) : this.#field(element, path);
        this.#flush();
        this.lines.push(`${value}[${index}] = ${each};`);
      }
    });
    return [
      `if (${count} < 0 || ${count} * ${least} > e - p) throw badCount(${this.#what(path)}, ${count}, ${least}, e - p);`,
      `if ((r.elementsLeft -= ${count}) < 0) throw tooManyElements(${this.#what(path)}, ${count});`,
      `${value} = ${room};`,
      `for (let ${index} = 0; ${index} < ${count}; ${index}++) {`,
      ...inner,
      '}',
    ];
  }

  #nullableStruct(slot: Slot, path: string): string {
    const value = this.#name('v');
    // Kafka marks it with a byte, null below zero; among tagged fields with a varint, null for zero.
    const isNull = slot.tag === undefined ? `${this.#fixed(1, path, (at) => this.#read('int8', at))} < 0` : `${this.#unsignedVarint(path)} === 0`;
    this.#flush();
    this.lines.push(`let ${value} = null;`, `if (!(${isNull})) {`);
    const struct = this.struct(slot.field.fields!, slot.isFlexible, path);
    this.lines.push(`${value} = ${struct};`, '}');
    return value;
  }

  #tags(tagged: readonly Slot[], values: ReadonlyMap<string, string>, path: string): void {
    const what = this.#what(join(path, 'tagged fields'));
    const first = this.#fixed(1, join(path, 'tagged fields'), (at) => `b[${at}]`);
    this.#flush();
    if (tagged.length === 0) {
      this.lines.push(`if (${first} !== 0) p = skipTags(r, p - 1, e, ${what});`);
      return;
    }
    const [left, last, tag, size, outer] = [this.#name('n'), this.#name('n'), this.#name('n'), this.#name('n'), this.#name('n')];
    this.lines.push(
      `if (${first} !== 0) {`,
      `let ${left} = tagCount(r, p - 1, e, ${what}), ${last} = -1; p = r.position;`,
      `for (; ${left} > 0; ${left}--) {`,
      `const ${tag} = readUnsignedVarint(r, p, e), ${size} = readUnsignedVarint(r, r.position, e); p = r.position;`,
      `if (${tag} <= ${last} || ${size} > e - p) throw badTag(${what}, ${tag}, ${last}, ${size}, e - p);`,
      `${last} = ${tag};`,
      `switch (${tag}) {`,
    );
    for (const slot of tagged) {
      const at = join(path, slot.name);
      this.lines.push(`case ${slot.tag}: {`, `const ${outer} = e; e = p + ${size};`);
      const value = this.#field(slot, at);
      this.#flush();
      this.lines.push(`if (p !== e) throw badTagSize(${this.#what(at)}, ${size}, e - p);`);
      this.lines.push(`e = ${outer};`, `${values.get(slot.name)} = ${value};`, 'break;', '}');
    }
    this.lines.push(`default: p += ${size};`, '}', '}', '}');
  }

  /** The name of a varint, read up to its end. */
  #unsignedVarint(path: string): string {
    const value = this.#fixed(1, path, (at) => `b[${at}]`, 'let');
    this.#flush();
    this.lines.push(`if (${value} > 127) { ${value} = readUnsignedVarint(r, p - 1, e); p = r.position; }`);
    return value;
  }

  /** Puts a read of fixed size among those that wait for a common check. */
  #fixed(bytes: number, path: string, read: (at: string) => string, keyword = 'const'): string {
    const name = this.#name('v');
    if (this.#pendingBytes === 0) this.#pendingPath = path;
    this.#pending.push(`${keyword} ${name} = ${read(this.#pendingBytes === 0 ? 'p' : `p + ${this.#pendingBytes}`)};`);
    this.#pendingBytes += bytes;
    return name;
  }

  #flush(): void {
    const bytes = this.#pendingBytes;
    if (bytes === 0) return;
    this.lines.push(`if (e - p < ${bytes}) throw shortOf(${this.#what(this.#pendingPath)}, ${bytes}, e - p);`, ...this.#pending, `p += ${bytes};`);
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #read(kind: string, at: string): string {
    const byte = (offset: number) => (offset === 0 ? `b[${at}]` : `b[${at} + ${offset}]`);
    switch (kind) {
      case 'int8':
        return `${byte(0)} << 24 >> 24`;
      case 'bool':
        return `${byte(0)} !== 0`;
      case 'int16':
        return `(${byte(0)} << 24 | ${byte(1)} << 16) >> 16`;
      case 'uint16':
        return `${byte(0)} << 8 | ${byte(1)}`;
      case 'int32':
        return `${byte(0)} << 24 | ${byte(1)} << 16 | ${byte(2)} << 8 | ${byte(3)}`;
      case 'uint32':
        return `(${byte(0)} << 24 | ${byte(1)} << 16 | ${byte(2)} << 8 | ${byte(3)}) >>> 0`;
      case 'int64':
        return this.#mode === 'exact' ? `readInt64Exact(b, ${at})` : `readInt64(b, ${at})`;
      case 'int64Exact':
        return `readInt64Exact(b, ${at})`;
      case 'float64':
        return `readFloat64(b, ${at})`;
      case 'uuid':
        return `readUuid(b, ${at})`;
      default:
        throw new TypeError(`${kind} has no fixed size`);
    }
  }

  #bind(expression: string): string {
    const name = this.#name('v');
    this.lines.push(`const ${name} = ${expression};`);
    return name;
  }

  /** The lines that `emit` adds, taken out of the text. */
  #nested(emit: () => void): string[] {
    const from = this.lines.length;
    emit();
    return this.lines.splice(from);
  }

  #what(path: string): string {
    return JSON.stringify(`${this.#title} ${path}`.trimEnd());
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
