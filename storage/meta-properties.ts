/**
 * `meta.properties`: to which cluster and node a log directory belongs, and its own id.
 *
 *     #
 *     #Sat Nov 21 09:46:08 UTC 2026
 *     node.id=1
 *     directory.id=9Qv_gnq-t2feTT_K0Y6Uuw
 *     version=1
 *     cluster.id=mNdAVA5ZSzWRJUXuBoWdtQ
 *
 * Promises: Kafka's lines in Kafka's order (that of Java's hash table); a directory of a version that is not known is corrupt, with that reason.
 * Does not: compare the ids with anybody's settings.
 */
import { formatProperties, parseProperties } from '../protocol/properties.ts';
import { corrupt, joinPath, loadFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';

export const META_PROPERTIES = 'meta.properties';

export interface MetaProperties {
  readonly clusterId: string;
  readonly nodeId: number;
  /** Absent in directories of brokers before 3.7; whoever opens one gives it an id. */
  readonly directoryId: string | undefined;
}

export function loadMetaProperties(disk: Disk, directory: string): Loaded<MetaProperties> {
  return loadFile(disk, joinPath(directory, META_PROPERTIES), parseMetaProperties);
}

export function writeMetaProperties(disk: Disk, directory: string, properties: MetaProperties, nowMs: number): void {
  replaceFileSync(disk, joinPath(directory, META_PROPERTIES), formatMetaProperties(properties, nowMs));
}

export function parseMetaProperties(bytes: Buffer): Loaded<MetaProperties> {
  const properties = new Map(parseProperties(bytes.toString('utf8')).map(({ name, value }) => [name, value]));
  const version = properties.get('version');
  if (version === '0') return corrupt('version 0, of a cluster with ZooKeeper');
  if (version !== '1') {
    if (version === undefined) return corrupt('no version');
    return corrupt(Number(version) > 1 ? `version ${JSON.stringify(version)}, of a newer release than this one, which knows version 1` : `version ${JSON.stringify(version)}`);
  }
  const clusterId = properties.get('cluster.id');
  if (clusterId === undefined || clusterId === '') return corrupt('no cluster.id');
  const nodeId = properties.get('node.id');
  if (nodeId === undefined) return corrupt('no node.id');
  if (!/^\d{1,10}$/.test(nodeId) || Number(nodeId) > 0x7fffffff) return corrupt(`node.id=${JSON.stringify(nodeId)}`);
  const directoryId = properties.get('directory.id');
  if (directoryId !== undefined && !isUuid(directoryId)) return corrupt(`directory.id=${JSON.stringify(directoryId)}`);
  return { status: 'ok', value: { clusterId, nodeId: Number(nodeId), directoryId } };
}

export function formatMetaProperties({ clusterId, nodeId, directoryId }: MetaProperties, nowMs: number): Buffer {
  const properties: [string, string][] = [['node.id', String(nodeId)]];
  if (directoryId !== undefined) properties.push(['directory.id', directoryId]);
  properties.push(['version', '1'], ['cluster.id', clusterId]);
  return Buffer.from(formatProperties(properties, nowMs));
}

/** Kafka's text of 16 bytes: 22 characters of URL-safe base64, of which the last has only its upper two bits. */
export function isUuid(text: string): boolean {
  return /^[A-Za-z0-9_-]{21}[AQgw]$/.test(text);
}
