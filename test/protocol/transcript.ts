/** The transcript of a cluster of Apache Kafka 4.3.1, as whoever plays one of its parts needs it: who asked whom what when, and what the answer was. */
import { decode } from '../../protocol/compile.ts';
import { decodeRequestHeader } from '../../protocol/frame.ts';
import { apis } from '../../protocol/messages/index.ts';
import { goldenLines } from './golden.ts';

export const TRANSCRIPT = 'transcripts/controller-and-brokers.jsonl.gz';
/** Where the nodes of the transcript listen: 1 is the controller. */
export const TRANSCRIPT_PORTS: ReadonlyMap<number, number> = new Map([[26_091, 1], [26_092, 2], [26_093, 3]]);

export interface TranscriptFrame {
  /** Seconds. */
  readonly t: number;
  readonly port: number;
  readonly conn: number;
  readonly dir: 'request' | 'response';
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId?: string | null;
  /** Without the length. */
  readonly size: number;
  readonly hex: string;
}

export interface TranscriptExchange {
  readonly atMs: number;
  readonly port: number;
  readonly conn: number;
  readonly apiKey: number;
  readonly clientId: string | null;
  /** Without the length. */
  readonly frame: Buffer;
  readonly request: any;
  /** null where none was seen: whoever asked was gone, or the end came. */
  readonly answer: { readonly atMs: number; readonly version: number; readonly frame: Buffer } | null;
}

export function transcriptFrames(): TranscriptFrame[] {
  return (goldenLines(TRANSCRIPT) as (TranscriptFrame & { readonly step?: string })[]).filter(({ step }) => step === undefined);
}

/** In the order of the requests. */
export function transcriptExchanges(frames: readonly TranscriptFrame[]): TranscriptExchange[] {
  const answers = new Map<string, TranscriptFrame>();
  for (const frame of frames) if (frame.dir === 'response') answers.set(`${frame.conn} ${frame.correlationId}`, frame);
  return frames.filter(({ dir }) => dir === 'request').map(({ t, port, conn, apiKey, correlationId, hex }) => {
    const frame = Buffer.from(hex, 'hex');
    const { clientId, apiVersion, reader } = decodeRequestHeader(frame);
    const answered = answers.get(`${conn} ${correlationId}`);
    return {
      atMs: t * 1000, port, conn, apiKey, clientId, frame, request: decode(apis.get(apiKey)!.request, apiVersion, reader),
      answer: answered === undefined ? null : { atMs: answered.t * 1000, version: answered.version, frame: Buffer.from(answered.hex, 'hex') },
    };
  });
}
