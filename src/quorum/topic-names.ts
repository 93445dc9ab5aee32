/** Kafka's rules for topic names: which are allowed, which belong to the cluster, and which collide as metric names. */

export const GROUP_METADATA_TOPIC = '__consumer_offsets';
export const TRANSACTION_STATE_TOPIC = '__transaction_state';
export const SHARE_GROUP_STATE_TOPIC = '__share_group_state';
export const CLUSTER_METADATA_TOPIC = '__cluster_metadata';

const NAME_CHARS_MAX = 249;

/** What is wrong with the name in the broker's own words (org.apache.kafka.common.internals.Topic), or null. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed';
  if (name === '.') return "Topic name is invalid: '.' is not allowed";
  if (name === '..') return "Topic name is invalid: '..' is not allowed";
  // Java counts UTF-16 units, as `length` does.
  if (name.length > NAME_CHARS_MAX) return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${NAME_CHARS_MAX}`;
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
  }
  return null;
}

/** `__cluster_metadata` is not among them: it is a directory on disk and no topic that a client can see. */
export function isInternalTopic(name: string): boolean {
  return name === GROUP_METADATA_TOPIC || name === TRANSACTION_STATE_TOPIC || name === SHARE_GROUP_STATE_TOPIC;
}

/** Metric names know no '.', so `a.b` and `a_b` would be one. Null for a name that cannot collide. */
export function collisionKey(name: string): string | null {
  return name.includes('.') || name.includes('_') ? name.replaceAll('.', '_') : null;
}
