/** The static types that a declaration has, checked by the compiler, and the notation of versions. */
import { expect, expectTypeOf, test } from 'vitest';
import { apis, HeartbeatRequest, OffsetCommitRequest, ProduceRequest } from '../../protocol/messages/index.ts';
import type { Piece } from '../../protocol/deferred-bytes.ts';
import { inRange, versionRange } from '../../protocol/schema.ts';
import type { Input, Value } from '../../protocol/schema.ts';

test('decoded values have every field', () => {
  expectTypeOf<Value<typeof HeartbeatRequest>>().toEqualTypeOf<{
    readonly groupId: string;
    readonly generationId: number;
    readonly memberId: string;
    readonly groupInstanceId: string | null;
  }>();
  type Partition = Value<typeof OffsetCommitRequest>['topics'][number]['partitions'][number];
  expectTypeOf<Partition['committedOffset']>().toEqualTypeOf<bigint>();
  expectTypeOf<Value<typeof ProduceRequest>['topicData'][number]['partitionData'][number]['records']>().toEqualTypeOf<Buffer | null>();
});

test('a field without a default must not be forgotten', () => {
  type Heartbeat = Input<typeof HeartbeatRequest>;
  expectTypeOf({ groupId: 'g', generationId: 1, memberId: 'm' }).toExtend<Heartbeat>();
  // @ts-expect-error memberId is missing
  const forgotten: Heartbeat = { groupId: 'g', generationId: 1 };
  // @ts-expect-error there is no such field
  const unknown: Heartbeat = { groupId: 'g', generationId: 1, memberId: 'm', instance: 'i' };
  // @ts-expect-error a number
  const wrong: Heartbeat = { groupId: 'g', generationId: '1', memberId: 'm' };
  expect([forgotten, unknown, wrong]).toHaveLength(3);
});

test('what was decoded can be encoded', () => {
  expectTypeOf<Value<typeof ProduceRequest>>().toExtend<Input<typeof ProduceRequest>>();
  expectTypeOf<Input<typeof ProduceRequest>['topicData'][number]['partitionData'][number]['records']>().toEqualTypeOf<Buffer | readonly Piece[] | null>();
});

test.each([
  ['3+', [3, 4, 99], [2]],
  ['0-4', [0, 4], [5]],
  ['2', [2], [1, 3]],
  ['10-12', [10, 12], [9, 13]],
  ['none', [], [0, 1]],
] as const)('%s', (text, within, without) => {
  for (const version of within) expect(inRange(versionRange(text), version)).toBe(true);
  for (const version of without) expect(inRange(versionRange(text), version)).toBe(false);
});

test('the registry is by key, in order, with one name for the API and its messages', () => {
  expect([...apis.keys()]).toEqual([...apis.keys()].sort((a, b) => a - b));
  for (const [key, api] of apis) {
    expect(api.key).toBe(key);
    expect([api.request.name, api.response.name]).toEqual([`${api.name}Request`, `${api.name}Response`]);
  }
});
