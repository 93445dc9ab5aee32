/** UpdateFeatures: the levels that the whole cluster settles on. Decided by the active controller. */
import { ErrorCode } from '../../protocol/errors.ts';
import { UpdateFeatures } from '../../protocol/messages/cluster.ts';
import { KRAFT_VERSION } from '../quorum/features.ts';
import { serve } from './serve.ts';

/** Up to version 1 each feature has a result of its own. */
const RESULTS_UP_TO = 1;

export const featureApis = [
  serve(UpdateFeatures, '0-2', {
    forward: true,
    handle: (request, { node, apiVersion }) => node.controller.updateFeatures(request, apiVersion),
    onError: (errorCode, { featureUpdates }, { apiVersion }, message) => ({
      throttleTimeMs: 0,
      errorCode,
      errorMessage: message,
      results: apiVersion > RESULTS_UP_TO ? [] : featureUpdates.map(({ feature }) => ({ feature, errorCode, errorMessage: message })),
    }),
    arrived: ({ featureUpdates, validateOnly }, { errorCode }, image) =>
      validateOnly ||
      errorCode !== ErrorCode.NONE ||
      featureUpdates.every(({ feature, maxVersionLevel }) => feature === KRAFT_VERSION || (image.features.get(feature) ?? 0) === maxVersionLevel),
  }),
];
