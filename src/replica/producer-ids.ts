/**
 * Producer ids, from blocks that the controller hands out.
 *
 * Promises: ids are given in order and never twice; a block is asked for when the one at hand is empty, once for all who wait.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
export interface ProducerIdBlock {
  readonly firstProducerId: number;
  readonly blockSize: number;
}

export class ProducerIds {
  readonly #allocate: () => Promise<ProducerIdBlock>;
  #next = 0;
  #end = 0;
  #asking: Promise<void> | null = null;

  /** `allocate` resolves once the block is this node's for good. */
  constructor(allocate: () => Promise<ProducerIdBlock>) {
    this.#allocate = allocate;
  }

  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#asking ??= this.#ask();
      await this.#asking;
    }
    return this.#next++;
  }

  async #ask(): Promise<void> {
    try {
      const { firstProducerId, blockSize } = await this.#allocate();
      // Whoever counts on from a block that is none gives ids that are others'.
      if (firstProducerId < 0 || blockSize <= 0 || !Number.isSafeInteger(firstProducerId + blockSize)) {
        throw new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, `the controller gave ${blockSize} producer ids from ${firstProducerId} on, which cannot be`);
      }
      this.#next = firstProducerId;
      this.#end = firstProducerId + blockSize;
    } finally {
      this.#asking = null;
    }
  }
}
