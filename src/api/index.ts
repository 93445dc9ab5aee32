/** Every API that is served, and with which versions: what ApiVersions tells, what the dispatcher knows, what the README's table shows. */
import { clusterApis } from './cluster.ts';
import { configChangeApis } from './config-changes.ts';
import { configApis } from './configs.ts';
import { controllerApis } from './controller.ts';
import { envelopeApis } from './envelope.ts';
import { featureApis } from './features.ts';
import { fetchApis } from './fetch.ts';
import { findCoordinatorApis } from './find-coordinator.ts';
import { groupApis } from './groups.ts';
import { listOffsetsApis } from './list-offsets.ts';
import { logDirApis } from './log-dirs.ts';
import { metadataApis } from './metadata.ts';
import { offsetForLeaderEpochApis } from './offset-for-leader-epoch.ts';
import { offsetApis } from './offsets.ts';
import { produceApis } from './produce.ts';
import { producerIdApis } from './producer-ids.ts';
import { quorumApis } from './quorum.ts';
import { reassignmentApis } from './reassignments.ts';
import type { Served } from './serve.ts';
import { topicApis } from './topics.ts';
import { versionApis } from './versions.ts';

/** By API key. */
export const servedApis: readonly Served[] = [
  ...produceApis, ...fetchApis, ...listOffsetsApis, ...offsetForLeaderEpochApis, ...metadataApis, ...topicApis, ...clusterApis, ...configApis, ...logDirApis, ...producerIdApis, ...findCoordinatorApis,
  ...groupApis, ...offsetApis, ...configChangeApis, ...controllerApis, ...reassignmentApis, ...featureApis, ...quorumApis, ...versionApis(() => servedApis), ...envelopeApis(() => servedApis),
].sort((left, right) => left.api.key - right.api.key);
