/** What a benchmark's client does: produces, consumes what is there, follows the tail. Each driver makes the same loads with another client library. */

export interface Target {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly partitions: number;
}

export interface ProduceLoad extends Target {
  readonly records: number;
  readonly recordBytes: number;
  /** Absent: as fast as possible. */
  readonly recordsPerSecond?: number;
  /** One record in each request, several requests in flight. */
  readonly oneRecordRequests?: boolean;
}

export interface ConsumeLoad extends Target {
  readonly records: number;
  readonly recordBytes: number;
}

/** A consumer at the end of the log and a producer at a fixed rate, both at once; the result is the consumer's. */
export interface FollowLoad extends ConsumeLoad {
  readonly recordsPerSecond: number;
}

export interface LoadResult {
  readonly records: number;
  /** Keys and values, without what the protocol adds. */
  readonly bytes: number;
  readonly seconds: number;
  /** Produced: from handing the record over to its acknowledgement. Followed: from handing over to arrival, where the driver can tell. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export interface Driver {
  readonly name: string;
  /** Builds what it needs. Resolves with the version of its client, or throws an Error that says what is missing. */
  prepare(): Promise<string>;
  produce(load: ProduceLoad): Promise<LoadResult>;
  /** Reads `records` records from the beginning. */
  consume(load: ConsumeLoad): Promise<LoadResult>;
  follow(load: FollowLoad): Promise<LoadResult>;
}
