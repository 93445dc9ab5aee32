/** What connections are held to, out of the settings. */
import type { ServerLimits } from '../server/server.ts';
import type { Settings } from '../settings.ts';

/** Below its own mark of so many bytes a socket does not tell when it has drained, and whoever waited for that would wait for ever. */
const OUTPUT_BYTES_LEAST = 65_536;

export function limitsOf(settings: Settings): ServerLimits {
  const queuedBytesMax = settings.get('queued.max.request.bytes');
  return {
    frameBytesMax: settings.get('socket.request.max.bytes'),
    requestsInFlightMax: settings.get('ottla.connection.inflight.requests'),
    bytesInFlightMax: settings.get('ottla.connection.inflight.bytes'),
    outputBytesMax: Math.max(settings.get('ottla.connection.output.bytes'), OUTPUT_BYTES_LEAST),
    connectionsMax: settings.get('max.connections'),
    connectionsPerAddressMax: settings.get('max.connections.per.ip'),
    connectionsPerAddressOverrides: overridesOf(settings.get('max.connections.per.ip.overrides')),
    bytesInFlightTotalMax: queuedBytesMax > 0 ? queuedBytesMax : settings.get('ottla.inflight.bytes'),
    idleMsMax: settings.get('connections.max.idle.ms'),
    firstRequestMsMax: settings.get('ottla.connection.first.request.ms'),
  };
}

/** `host:count,...` */
function overridesOf(text: string): ReadonlyMap<string, number> {
  const entries = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  return new Map(entries.map((entry) => [entry.slice(0, entry.lastIndexOf(':')), Number(entry.slice(entry.lastIndexOf(':') + 1))]));
}
