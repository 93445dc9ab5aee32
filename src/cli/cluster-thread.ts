/** Where a thread of `ottla --nodes` begins. Each thread compiles for itself, unless what others have compiled is read: nothing may be imported before that. */
import module from 'node:module';

module.enableCompileCache();

await import('./cluster-node.ts');
