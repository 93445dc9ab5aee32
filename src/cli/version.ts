/** The version of this package, as its package.json has it: found by the package's own name, from the sources and from what was built. */
import { createRequire } from 'node:module';

export function version(): string {
  const { version: text } = createRequire(import.meta.url)('ottla/package.json') as { version: string };
  return text;
}
