/**
 * The head of one HTTP/1.1 request out of bytes that come as they like. Only what has no body is taken, so a request ends where its head ends.
 *
 * Promises: at most `headBytesMax` bytes are held; what is no request is an HttpError with the status to answer, after which the connection must close, since
 * nobody knows where the next request begins. Does not know paths.
 */

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly keepAlive: boolean;
}

export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}

const HEADERS_MAX = 100;
// RFC 9112: method SP target SP version. The target is what browsers and scrapers send: a path of visible characters.
const REQUEST_LINE = /^([A-Z]{1,16}) (\/[\x21-\x7e]*) HTTP\/1\.([01])$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

export class HttpRequestReader {
  readonly #headBytesMax: number;
  #held: Buffer = Buffer.alloc(0);
  /** Where the search for the end goes on: what was searched once is not searched again. */
  #searched = 0;

  constructor({ headBytesMax }: { readonly headBytesMax: number }) {
    this.#headBytesMax = headBytesMax;
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  /** The chunk is copied. Throws an HttpError when more is held than a head may have. */
  push(chunk: Buffer): void {
    // A client may send its next requests before it has its answers, but none of that is worth more memory than one head.
    if (this.#held.length + chunk.length > 2 * this.#headBytesMax) throw new HttpError(431, 'too many bytes of request headers');
    this.#held = Buffer.concat([this.#held, chunk]);
  }

  /** The next whole request, undefined while there is none. Throws an HttpError. */
  next(): HttpRequest | undefined {
    const end = this.#held.indexOf('\r\n\r\n', Math.max(0, this.#searched - 3), 'latin1');
    if (end < 0) {
      this.#searched = this.#held.length;
      if (this.#held.length > this.#headBytesMax) throw new HttpError(431, 'too many bytes of request headers');
      return undefined;
    }
    if (end > this.#headBytesMax) throw new HttpError(431, 'too many bytes of request headers');
    const head = this.#held.toString('latin1', 0, end);
    this.#held = this.#held.subarray(end + 4);
    this.#searched = 0;
    return parseHead(head);
  }
}

function parseHead(head: string): HttpRequest {
  const [first = '', ...lines] = head.split('\r\n');
  const match = REQUEST_LINE.exec(first);
  if (match === null) throw new HttpError(/ HTTP\/[2-9]/.test(first) ? 505 : 400, 'no HTTP/1.1 request line');
  const [, method, target, minor] = match as unknown as [string, string, string, string];
  if (lines.length > HEADERS_MAX) throw new HttpError(431, 'too many request headers');
  let keepAlive = minor === '1';
  let hasHost = false;
  for (const line of lines) {
    const header = HEADER.exec(line);
    if (header === null) throw new HttpError(400, 'a malformed request header');
    const value = header[2]!.trim();
    switch (header[1]!.toLowerCase()) {
      case 'host':
        hasHost = true;
        break;
      case 'connection':
        if (/(^|,)\s*close\s*(,|$)/i.test(value)) keepAlive = false;
        else if (minor === '0' && /(^|,)\s*keep-alive\s*(,|$)/i.test(value)) keepAlive = true;
        break;
      case 'content-length':
        if (value !== '0') throw new HttpError(413, 'a request with a body');
        break;
      case 'transfer-encoding':
        throw new HttpError(413, 'a request with a body');
    }
  }
  if (minor === '1' && !hasHost) throw new HttpError(400, 'no Host header');
  const query = target.indexOf('?');
  return { method, path: query < 0 ? target : target.slice(0, query), keepAlive };
}
