/** Kafka's Java producer for the cluster tests: NumberedProducer.java, compiled against the reference's jars. What is compiled stays in OTTLA_CACHE. Needs Java, javac and Maven. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { SMALL_JVM, referenceDir } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import { cacheDir } from '../../bench/librdkafka.ts';

/** The words that run it, up to its own arguments. */
export async function javaProducer(): Promise<readonly string[]> {
  const source = join(import.meta.dirname, 'NumberedProducer.java');
  const libs = join(referenceDir(), 'libs', '*');
  const classes = join(cacheDir(), `numbered-producer-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12)}`);
  if (!existsSync(classes)) {
    const building = `${classes}.${process.pid}`;
    mkdirSync(building, { recursive: true });
    await command('javac', ['-d', building, '-cp', libs, source]);
    renameSync(building, classes);
  }
  return ['java', ...SMALL_JVM.KAFKA_HEAP_OPTS.split(' '), ...SMALL_JVM.KAFKA_JVM_PERFORMANCE_OPTS.split(' '), '-Dorg.apache.logging.log4j.level=OFF', '-cp', `${classes}:${libs}`, 'NumberedProducer'];
}
