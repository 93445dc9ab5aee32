/**
 * ApiVersions: what is served here, derived from the registry, and the features of broker and cluster.
 *
 * Promises: says exactly what is served (and Produce from 0, as Kafka does for an old client library). A version from the future is answered in version 0
 * with UNSUPPORTED_VERSION and the range of ApiVersions (KIP-511); a client name or version that is not clean text is INVALID_REQUEST.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { ApiVersions } from '../../protocol/messages/cluster.ts';
import { KRAFT_VERSION, SUPPORTED_FEATURES } from '../quorum/features.ts';
import { serve, servedOn } from './serve.ts';
import type { RequestContext, Served } from './serve.ts';

/** KIP-511: alphanumeric ends, and '.' and '-' between them. */
const CLEAN_TEXT = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
const CLIENT_NAMES_SINCE = 3;
/** Up to version 3, Java clients refuse a feature whose range begins at 0 (KAFKA-17011). */
const RANGES_FROM_ZERO_SINCE = 4;

/** `apis` is called at each request: the registry contains this handler too. */
export function versionApis(apis: () => readonly Served[]): Served[] {
  return [
    serve(ApiVersions, '0-4', {
      listeners: 'both',
      handle(request, context) {
        if (context.apiVersion >= CLIENT_NAMES_SINCE) {
          if (!CLEAN_TEXT.test(request.clientSoftwareName) || !CLEAN_TEXT.test(request.clientSoftwareVersion)) {
            return { errorCode: ErrorCode.INVALID_REQUEST, apiKeys: [], throttleTimeMs: 0 };
          }
          context.connection.clientSoftwareName = request.clientSoftwareName;
          context.connection.clientSoftwareVersion = request.clientSoftwareVersion;
        }
        return { errorCode: ErrorCode.NONE, apiKeys: servedOn(context.connection.listenerKind, apis()).map(range), throttleTimeMs: 0, ...features(context) };
      },
      onError: (code) => ({
        errorCode: code,
        apiKeys: code === ErrorCode.UNSUPPORTED_VERSION ? apis().filter((served) => served.api.key === ApiVersions.key).map(range) : [],
        throttleTimeMs: 0,
      }),
    }),
  ];
}

function range(served: Served): { apiKey: number; minVersion: number; maxVersion: number } {
  return { apiKey: served.api.key, minVersion: served.advertisedMin, maxVersion: served.versionMax };
}

function features({ node, apiVersion }: RequestContext) {
  const image = node.image();
  const supported = SUPPORTED_FEATURES.filter((feature) => apiVersion >= RANGES_FROM_ZERO_SINCE || feature.min > 0);
  const finalized = [...image.features].filter(([name, level]) => level > 0 && name !== KRAFT_VERSION);
  const kraftVersion = node.kraftVersion();
  if (kraftVersion > 0) finalized.push([KRAFT_VERSION, kraftVersion]);
  return {
    supportedFeatures: supported.map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
    finalizedFeaturesEpoch: image.offset,
    finalizedFeatures: finalized.map(([name, level]) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
  };
}
