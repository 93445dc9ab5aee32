/**
 * Producer ids, from blocks that the controller hands out.
 *
 * Promises: ids are given in order and never twice; a block is asked for when the one at hand is empty, once for all who wait.
 */
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
      const block = await this.#allocate();
      this.#next = block.firstProducerId;
      this.#end = block.firstProducerId + block.blockSize;
    } finally {
      this.#asking = null;
    }
  }
}
