/** One GET over the sockets of a Runtime, for a short answer of a server of ours. Rejects when there is none in time. Does not follow redirects, speak TLS, or read chunks. */
import type { Network, Socket, Timers } from '../runtime/runtime.ts';

const ANSWER_BYTES_MAX = 65_536;

export async function httpGet(options: {
  readonly network: Network; readonly timers: Timers; readonly host: string; readonly port: number; readonly path: string; readonly timeoutMs: number;
}): Promise<{ status: number; body: string }> {
  const { network, timers, host, port, path, timeoutMs } = options;
  const socket: Socket = await network.connect({ host, port, timeoutMs });
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (error: Error | null): void => {
      timer.cancel();
      socket.destroy();
      const found = /^HTTP\/1\.[01] ([0-9]{3}) [^]*?\r\n\r\n([^]*)$/.exec(text);
      if (found === null) reject(error ?? new Error('what it sent is no HTTP answer'));
      else resolve({ status: Number(found[1]), body: found[2]! });
    };
    const timer = timers.after(timeoutMs, () => end(new Error(`nothing came within ${timeoutMs} ms`)));
    socket.onData = (chunk) => {
      text += chunk.toString('utf8');
      if (text.length > ANSWER_BYTES_MAX) end(null);
    };
    socket.onClose = (error) => end(error ?? null);
    socket.write([Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host.includes(':') ? `[${host}]` : host}:${port}\r\nConnection: close\r\n\r\n`)]);
  });
}
