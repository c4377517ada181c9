import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { halfWrittenBefore } from '../lib/store/open-store.ts';
import { logger } from './runtime.ts';

/**
 * Rids this machine of what was erased while its process was not there, and of what killed writers began. Beside the
 * start, which a store that is away must not hold up.
 */
export function sweepBeside(store: ArtifactStore | Promise<ArtifactStore>): void {
  Promise.resolve(store)
    .then((opened) => opened.sweep(halfWrittenBefore(Date.now())))
    .catch((error: unknown) => logger.warn({ error }, 'the artifact store could not be swept'));
}
