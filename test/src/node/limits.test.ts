/** Each limit of connections is a setting: it reaches what the server is held to, and no other does. */
import { expect, test } from 'vitest';
import { limitsOf } from '../../../src/node/limits.ts';
import { Settings } from '../../../src/settings.ts';

const defaults = limitsOf(Settings.from());

test.each([
  ['socket.request.max.bytes', '1001', { frameBytesMax: 1001 }],
  ['ottla.connection.inflight.requests', '7', { requestsInFlightMax: 7 }],
  ['ottla.connection.inflight.bytes', '70000', { bytesInFlightMax: 70_000 }],
  ['ottla.connection.output.bytes', '70001', { outputBytesMax: 70_001 }],
  // A socket does not tell below it when it has drained.
  ['ottla.connection.output.bytes', '10', { outputBytesMax: 65_536 }],
  ['ottla.inflight.bytes', '70002', { bytesInFlightTotalMax: 70_002 }],
  ['queued.max.request.bytes', '200000000', { bytesInFlightTotalMax: 200_000_000 }],
  ['max.connections', '8', { connectionsMax: 8 }],
  ['max.connections.per.ip', '9', { connectionsPerAddressMax: 9 }],
  ['max.connections.per.ip.overrides', '127.0.0.1:2, ::1:3', { connectionsPerAddressOverrides: new Map([['127.0.0.1', 2], ['::1', 3]]) }],
  ['connections.max.idle.ms', '10', { idleMsMax: 10 }],
  ['ottla.connection.first.request.ms', '11', { firstRequestMsMax: 11 }],
])('%s=%s', (name, value, changed) => {
  expect(limitsOf(Settings.from({ set: [`${name}=${value}`] }))).toEqual({ ...defaults, ...changed });
  expect(defaults).not.toMatchObject(changed);
});
