/**
 * Settings from KAFKA_* variables by the rules of the apache/kafka image: the prefix goes, letters become small, `_` stands for a dot, `__` for
 * an underscore, `___` for a dash. Does not check names: what is left after the variables known to mean something else is taken for a setting.
 */
import { trimJava } from './setting.ts';

export interface EnvironmentSetting {
  readonly variable: string;
  readonly name: string;
  readonly value: string;
}

/** What Kafka's scripts and images, and the clients of applications, read under the same prefix. None of them is a broker's setting. */
const OTHERS = new Set([
  // Kafka's start scripts and image
  ...['VERSION', 'HOME', 'HEAP_OPT', 'HEAP_OPTS', 'OPTS', 'JMX_OPTS', 'JMX_PORT', 'JMX_HOSTNAME', 'JVM_PERFORMANCE_OPTS', 'GC_LOG_OPTS', 'DEBUG', 'MODE'],
  ...['LOG4J_OPTS', 'LOG4J_ROOT_LOGLEVEL', 'LOG4J_LOGGERS', 'LOG4J_CMD_OPTS', 'TOOLS_LOG4J_LOGLEVEL', 'LOG_DIR_PATH', 'CLASSPATH', 'CLUSTER_ID', 'ENV'],
  // Applications
  ...['BROKER', 'BROKERS', 'BROKER_LIST', 'BROKER_URL', 'BOOTSTRAP', 'BOOTSTRAP_SERVER', 'BOOTSTRAP_SERVERS', 'HOST', 'HOSTS', 'URL', 'SERVER', 'SERVERS'],
  ...['TOPIC', 'TOPICS', 'GROUP', 'GROUP_ID', 'CONSUMER_GROUP', 'CLIENT_ID', 'USERNAME', 'PASSWORD', 'PATH', 'SECURITY_PROTOCOL', 'SASL_MECHANISM'],
]);

/** Kubernetes tells every pod of a namespace about a service named `kafka` in variables of these names. */
const SERVICE_LINK = /^KAFKA_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

export function environmentSettings(environment: Readonly<Record<string, string | undefined>>): EnvironmentSetting[] {
  const settings: EnvironmentSetting[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const value = environment[variable];
    if (value === undefined || !variable.startsWith('KAFKA_')) continue;
    if (OTHERS.has(variable.slice('KAFKA_'.length)) || SERVICE_LINK.test(variable)) continue;
    settings.push({ variable, name: settingName(variable), value: trimJava(value) });
  }
  return settings;
}

/** `KAFKA_LISTENER_NAME_SASL__PLAINTEXT_SCRAM___SHA___256_SASL_JAAS_CONFIG` is `listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config`. */
export function settingName(variable: string): string {
  return variable
    .slice('KAFKA_'.length)
    .toLowerCase()
    .replaceAll('_', '.')
    .replaceAll('...', '-')
    .replaceAll('..', '_');
}
