/** Whole frames: size, header, body, both ways, for every API and version; and the tables of APIs and errors. */
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { decode } from '../../protocol/compile.ts';
import { ErrorCode, errorMessage, errorName, isRetriable } from '../../protocol/errors.ts';
import {
  decodeCorrelationId,
  decodeRequestHeader,
  decodeResponseFrame,
  encodeRequestFrame,
  encodeResponseFrame,
  requestHeaderVersion,
  responseHeaderVersion,
} from '../../protocol/frame.ts';
import { apis } from '../../protocol/messages/index.ts';
import { describeGolden, goldenJson, goldenLines, inputOf, valueOf, vectorLines } from './golden.ts';

interface FrameLine {
  readonly type: string;
  readonly kind: 'request' | 'response';
  readonly apiKey: number;
  readonly version: number;
  readonly headerVersion: number;
  readonly correlationId: number;
  readonly clientId?: string | null;
  readonly hex: string;
  readonly json: any;
}

function check(line: FrameLine): string[] {
  const api = apis.get(line.apiKey)!;
  const { version, correlationId } = line;
  const frame = Buffer.from(line.hex, 'hex');
  const wrong: string[] = [];
  const expectSame = (what: string, got: unknown, wanted: unknown) => {
    if (!isDeepStrictEqual(got, wanted)) wrong.push(`${line.type} v${version}: ${what} ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
  };
  expectSame('size', frame.readInt32BE(0), frame.length - 4);
  if (line.kind === 'request') {
    const clientId = line.clientId!;
    expectSame('header version', requestHeaderVersion(api, version), line.headerVersion);
    const header = decodeRequestHeader(frame.subarray(4));
    expectSame('header', [header.apiKey, header.apiVersion, header.correlationId, header.clientId], [line.apiKey, version, correlationId, clientId]);
    expectSame('api', [header.api?.request.name, header.isVersionKnown], [line.type, true]);
    const value = decode(api.request, version, header.reader);
    expectSame('bytes left', header.reader.remaining, 0);
    expectSame('body', value, valueOf(api.request.fields, line.json, 'ordinary'));
    const encoded = encodeRequestFrame(api, version, { correlationId, clientId }, inputOf(api.request.fields, line.json, 'ordinary'));
    expectSame('frame', Buffer.concat(encoded).toString('hex'), line.hex);
  } else {
    expectSame('header version', responseHeaderVersion(api, version), line.headerVersion);
    expectSame('correlation id', decodeCorrelationId(frame.subarray(4)), correlationId);
    const response = decodeResponseFrame(api, version, frame.subarray(4));
    expectSame('correlation id', response.correlationId, correlationId);
    expectSame('body', response.body, valueOf(api.response.fields, line.json, 'ordinary'));
    const encoded = encodeResponseFrame(api, version, correlationId, inputOf(api.response.fields, line.json, 'ordinary'));
    expectSame('frame', Buffer.concat(encoded).toString('hex'), line.hex);
  }
  return wrong;
}

test('our own small set of frames', () => {
  const lines = vectorLines('frames.jsonl') as FrameLine[];
  expect(new Set(lines.map((line) => line.apiKey))).toEqual(new Set(apis.keys()));
  expect(lines.flatMap(check)).toEqual([]);
});

describeGolden(() => {
  test('frames', () => {
    const lines = goldenLines('frames.jsonl.gz') as FrameLine[];
    expect(lines.length).toBe(goldenJson('index.json').lines['frames.jsonl.gz']);
    expect(lines.flatMap(check)).toEqual([]);
  });

  test('the table of APIs', () => {
    const theirs = goldenJson('api-keys.json')
      .filter((api: any) => api.valid)
      .map((api: any) => ({
        key: api.id,
        name: api.message,
        latestVersionUnstable: api.latestVersionUnstable,
        listeners: Object.keys(api.listeners),
        versions: api.versions,
        min: api.minVersion,
        max: api.latestVersion,
      }));
    const ours = [...apis.values()].map((api) => {
      const versions = [];
      for (let version = api.request.versions.min; version <= api.request.versions.max; version++) {
        versions.push({ version, requestHeader: requestHeaderVersion(api, version), responseHeader: responseHeaderVersion(api, version) });
      }
      const { min, max } = api.request.versions;
      expect(api.response.versions).toEqual(api.request.versions);
      return { key: api.key, name: api.name, latestVersionUnstable: api.latestVersionUnstable, listeners: api.listeners, versions, min, max };
    });
    expect(ours).toEqual(theirs);
  });

  test('the table of errors', () => {
    const theirs = goldenJson('errors.json').map((error: any) => [error.name, error.code, error.message, error.retriable]);
    const ours = Object.entries(ErrorCode).map(([name, code]) => {
      expect(errorName(code)).toBe(name);
      return [name, code, errorMessage(code), isRetriable(code)];
    });
    expect(ours).toEqual(theirs);
  });
});
