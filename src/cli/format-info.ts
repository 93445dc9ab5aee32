/** `ottla storage info`: which log directories are there, whose they are, and what is wrong with them, in the words of Kafka's tool. Changes nothing. */
import type { Disk } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import { loadMetaProperties, META_PROPERTIES } from '../../storage/meta-properties.ts';
import type { MetaProperties } from '../../storage/meta-properties.ts';

/** The exit code: 1 where there is a problem. */
export function directoriesInfo(disk: Disk, directories: readonly string[], say: (line: string) => void): number {
  const problems: string[] = [];
  const found: string[] = [];
  let first: MetaProperties | undefined;
  for (const directory of [...directories].sort()) {
    const status = disk.status(directory);
    if (status === undefined) problems.push(`${directory} does not exist`);
    else if (!status.isDirectory) problems.push(`${directory} is not a directory`);
    else {
      found.push(directory);
      const loaded = loadMetaProperties(disk, directory);
      if (loaded.status === 'missing') problems.push(`${directory} is not formatted.`);
      else if (loaded.status !== 'ok') problems.push(`Error loading ${joinPath(directory, META_PROPERTIES)}: ${loaded.status === 'empty' ? 'it is empty' : loaded.reason}`);
      else if (first === undefined) first = loaded.value;
      else if (loaded.value.clusterId !== first.clusterId) problems.push('Mismatched cluster IDs between storage directories.');
      else if (loaded.value.nodeId !== first.nodeId) problems.push('Mismatched node IDs between storage directories.');
    }
  }
  if (found.length > 0) list(found.length === 1 ? 'Found log directory:' : 'Found log directories:', found, say);
  if (first !== undefined) {
    const directoryId = first.directoryId === undefined ? '' : `directory.id=${first.directoryId}, `;
    say(`Found metadata: {cluster.id=${first.clusterId}, ${directoryId}node.id=${first.nodeId}, version=1}`);
    say('');
  }
  if (problems.length > 0) list(problems.length === 1 ? 'Found problem:' : 'Found problems:', problems, say);
  return problems.length > 0 ? 1 : 0;
}

function list(title: string, lines: readonly string[], say: (line: string) => void): void {
  say(title);
  for (const line of lines) say(`  ${line}`);
  say('');
}
