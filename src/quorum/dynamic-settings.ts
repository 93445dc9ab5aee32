/** The node's settings with what the metadata says on top (KIP-226): of all brokers, and of this one. Made anew only when the metadata's part changed. */
import { SettingError, type Settings } from '../settings.ts';
import { type MetadataImage, ResourceType } from './image.ts';

export class DynamicSettings {
  readonly #settings: Settings;
  readonly #brokerName: string;
  #broker: ReadonlyMap<string, string> | undefined;
  #cluster: ReadonlyMap<string, string> | undefined;
  #inForce: Settings;

  constructor(settings: Settings, nodeId: number) {
    this.#settings = settings;
    this.#inForce = settings;
    this.#brokerName = String(nodeId);
  }

  at(image: MetadataImage): Settings {
    const broker = image.configOf(ResourceType.BROKER, this.#brokerName);
    const cluster = image.configOf(ResourceType.BROKER, '');
    if (broker !== this.#broker || cluster !== this.#cluster) {
      this.#broker = broker;
      this.#cluster = cluster;
      this.#inForce = broker.size === 0 && cluster.size === 0 ? this.#settings : this.#with(broker, cluster);
    }
    return this.#inForce;
  }

  /** What does not go together was set past the broker's own check, by way of a controller: what was in force stays, as in Kafka. */
  #with(broker: ReadonlyMap<string, string>, cluster: ReadonlyMap<string, string>): Settings {
    try {
      return this.#settings.withOverrides({ broker, cluster });
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      return this.#inForce;
    }
  }
}
