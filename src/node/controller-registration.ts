/**
 * A controller that does not lead tells the one that does where it is reached (ControllerRegistrationManager of Kafka); the one that leads writes that itself.
 *
 * Promises: as long as the metadata do not show this start of this node, it is told, one request at a time, with a pause after each that failed.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { ControllerRegistration } from '../../protocol/messages/cluster.ts';
import type { PeerChannel } from '../peer/peer.ts';
import { metadataVersionRules, SUPPORTED_FEATURES } from '../quorum/features.ts';
import type { Endpoint, MetadataImage } from '../quorum/image.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Timer, Timers } from '../runtime/runtime.ts';

export interface RegistrarOptions {
  readonly nodeId: number;
  readonly incarnationId: string;
  readonly endpoints: readonly Endpoint[];
  readonly channel: PeerChannel;
  readonly isActive: () => boolean;
  readonly timers: Timers;
  readonly logger: Logger;
}

const RETRY_MS = 1000;

export class ControllerRegistrar {
  readonly #options: RegistrarOptions;
  #image: MetadataImage | null = null;
  #isAsking = false;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** The metadata of now, and of each change. */
  follow(image: MetadataImage): void {
    this.#image = image;
    if (!this.#isAsking && this.#timer === null && this.#isMissing(image)) void this.#tell();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #isMissing(image: MetadataImage): boolean {
    const { nodeId, incarnationId, endpoints, isActive } = this.#options;
    if (this.#closed || endpoints.length === 0 || isActive()) return false;
    if (!metadataVersionRules(image.metadataVersion ?? 0).supportsControllerRegistration) return false;
    return image.controllers.get(nodeId)?.incarnationId !== incarnationId;
  }

  async #tell(): Promise<void> {
    const { nodeId, incarnationId, endpoints, channel, timers, logger } = this.#options;
    this.#isAsking = true;
    let why: string | null = null;
    try {
      const { errorCode, errorMessage } = await channel.request(ControllerRegistration, {
        controllerId: nodeId, incarnationId, zkMigrationReady: false, listeners: endpoints,
        features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
      });
      if (errorCode !== ErrorCode.NONE) why = errorMessage ?? new KafkaError(errorCode as ErrorCode).message;
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
      why = error.message;
    }
    this.#isAsking = false;
    if (this.#closed) return;
    if (why !== null) logger.warn(`the registration as a controller failed: ${why}`);
    // What was answered is on its way here; should it be lost with its leader, somebody has to ask again.
    this.#timer = timers.after(RETRY_MS, () => {
      this.#timer = null;
      if (this.#image !== null) this.follow(this.#image);
    });
  }
}
