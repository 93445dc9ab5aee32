/**
 * Topics for the loads. Promises: made means that every one of the brokers asked names a leader for each of its partitions, so that no client is told by one of
 * them that there is no such topic: in a cluster each broker learns of it in its own time. Does not: delete them.
 */
import { type ITopicConfig, Kafka, logLevel } from 'kafkajs';
import { Metadata } from '../protocol/messages/metadata.ts';
import { ClientConnection } from '../src/client/connection.ts';
import { nodeRuntime } from '../src/runtime/node.ts';

const ASK_AGAIN_MS = 10;
const KNOWN_MS_MAX = 30_000;
const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';

/** `bootstrapServers`: all brokers that a client may ask. */
export async function createTopic(bootstrapServers: string, topic: ITopicConfig): Promise<void> {
  const servers = bootstrapServers.split(',');
  const admin = new Kafka({ brokers: servers, logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  try {
    // With `waitForLeaders` kafkajs asks a broker of its choice, and gives up when that one has not heard yet.
    await admin.createTopics({ topics: [topic], waitForLeaders: false });
  } finally {
    await admin.disconnect();
  }
  await Promise.all(servers.map((server) => known(server, topic.topic)));
}

async function known(server: string, topic: string): Promise<void> {
  const { network, timers } = nodeRuntime();
  const [host, port] = server.split(':') as [string, string];
  const connection = await ClientConnection.open({
    network, timers, host, port: Number(port), clientId: 'bench', connectTimeoutMs: KNOWN_MS_MAX, requestTimeoutMs: KNOWN_MS_MAX, responseBytesMax: 2 ** 20,
  });
  try {
    for (const sinceMs = performance.now(); ; await new Promise((done) => setTimeout(done, ASK_AGAIN_MS))) {
      const { topics } = await connection.request(Metadata, { topics: [{ name: topic, topicId: ZERO_ID }], allowAutoTopicCreation: false });
      const partitions = topics[0]?.partitions ?? [];
      if (partitions.length > 0 && partitions.every(({ leaderId }) => leaderId >= 0)) return;
      if (performance.now() - sinceMs > KNOWN_MS_MAX) throw new Error(`${server} knows no leaders of ${topic} after ${KNOWN_MS_MAX} ms`);
    }
  } finally {
    connection.close();
  }
}
