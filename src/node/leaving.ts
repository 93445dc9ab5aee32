/**
 * A broker's leave of its cluster (controlled shutdown): its leaderships go to others before it stops.
 *
 * Promises: asks for leave only where somebody is left to take over; when the last of those leaves too, as when a whole cluster stops, it waits for nobody. Ends in
 * bounded time, whatever the controller does.
 */
import type { MetadataImage } from '../quorum/image.ts';
import type { Quorum } from '../quorum/quorum.ts';
import type { Logger } from '../runtime/logger.ts';
import type { BrokerLifecycle } from './lifecycle.ts';

/** How long a leave may take in all, and how long no controller may answer meanwhile: a failover takes less. */
const LEAVE_MS_MAX = 30_000;
const SILENCE_MS_MAX = 5000;

export async function leaveCluster({ nodeId, quorum, lifecycle, logger }: { readonly nodeId: number; readonly quorum: Quorum; readonly lifecycle: BrokerLifecycle; readonly logger: Logger }): Promise<void> {
  const hasHeirs = (image: MetadataImage): boolean => [...image.brokers.keys()].some((id) => id !== nodeId && image.isActive(id));
  if (!hasHeirs(quorum.image())) return;
  let isLast = false;
  const unsubscribe = quorum.subscribe(({ image }) => {
    if (hasHeirs(image)) return;
    isLast = true;
    lifecycle.endLeave();
  });
  const hasLeave = await lifecycle.leave({ timeoutMs: LEAVE_MS_MAX, silenceMs: SILENCE_MS_MAX });
  unsubscribe();
  if (!hasLeave && !isLast) logger.warn('stops without the leave of the controller: it does not answer, or leaderships stay');
}

export function isLeaving(image: MetadataImage, brokerId: number): boolean {
  return image.brokers.get(brokerId)?.inControlledShutdown === true;
}
