/** Settings of clusters that are harmed: the same for Apache Kafka and ottla. */

/**
 * A leader of the quorum with nothing to tell answers a fetch of Apache Kafka's after 500 ms: with less than that its idle quorum elects for ever, and with little more a busy
 * machine does. Ours asks to be answered sooner where the timeout is short.
 */
const QUORUM_FETCH_MS_MIN = 1_200;

/** A node that says nothing for `sessionMs` is fenced, or outvoted where it leads the quorum: Kafka's defaults are 9 s and 2 s. */
export function quickFailover({ sessionMs }: { readonly sessionMs: number }): string[] {
  return [
    `broker.heartbeat.interval.ms=${Math.max(50, Math.round(sessionMs / 6))}`,
    `broker.session.timeout.ms=${sessionMs}`,
    `controller.quorum.fetch.timeout.ms=${Math.max(QUORUM_FETCH_MS_MIN, sessionMs)}`,
    `controller.quorum.election.timeout.ms=${Math.max(150, Math.round(sessionMs / 3))}`,
    `controller.quorum.election.backoff.max.ms=${Math.max(100, Math.round(sessionMs / 6))}`,
    `controller.quorum.request.timeout.ms=${Math.max(QUORUM_FETCH_MS_MIN, sessionMs)}`,
    `replica.lag.time.max.ms=${sessionMs * 3}`,
    'replica.fetch.wait.max.ms=200',
    `replica.socket.timeout.ms=${Math.max(1_000, sessionMs)}`,
    `controller.socket.timeout.ms=${Math.max(1_000, sessionMs)}`,
    'replica.fetch.backoff.ms=100',
    'offsets.topic.num.partitions=3',
    // The least that Kafka allows, so that minutes see segments roll.
    'log.segment.bytes=1048576',
    'auto.create.topics.enable=false',
    'group.min.session.timeout.ms=1000',
  ];
}
