/**
 * What a consumer says in its JoinGroup metadata about the topics that it reads. Everything else in there is between the members.
 *
 *      0  version:2
 *      2  topics:[string]      the same in every version, so version 0 reads them all
 *         ...                  user data, owned partitions, generation, rack
 */
import { decode } from '../../protocol/compile.ts';
import { ConsumerProtocolSubscription } from '../../protocol/log-records/consumer-protocol.ts';
import { Reader } from '../../protocol/reader.ts';

/** null when the metadata cannot be read: clients are free to put there what they like. */
export function subscribedTopics(metadata: Buffer): readonly string[] | null {
  try {
    const reader = new Reader(metadata);
    reader.int16();
    return decode(ConsumerProtocolSubscription, 0, reader).topics;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return null;
  }
}
