import { type MaterializedView, materializedView } from '../../contracts/feature-store.ts';
import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import { type AnewJob, type MaterializeJob, materializeProgress } from './materialize-job.ts';
import type { FeatureStoreAccess } from './open-feature-store.ts';

const writers = new Aside(
  () => ownScript(import.meta.url, './materialize-process.ts'),
  'writes the online feature store',
);

/**
 * Materialises a view in a process of its own, see `materializeView`: packing and encrypting records would hold the
 * event loop.
 *
 * @param signal aborting kills the process; the next run makes good what it left
 * @param onProgress is told of the stretches of time that are complete, of those that had changed
 * @throws PerennialError `SqlInvalid`, `InputInvalid`; `FeaturesUnavailable` where the store is away; `StageFailed`,
 *   retryable where another process began to materialise the view, or the process ends without a word
 * @example
 * const access = await featureStoreAccess(config, artifacts);
 * await materializedAside({ plan, sources, access, pipeline: 'delays', until, personal: false, spillDir });
 */
export async function materializedAside(
  job: MaterializeJob,
  signal?: AbortSignal,
  onProgress?: (complete: number, changed: number) => void,
): Promise<MaterializedView> {
  const answer = await writers.ask(job, signal, (said) => {
    const told = materializeProgress.safeParse(said);
    if (told.success) onProgress?.(told.data.complete, told.data.changed);
  });
  return materializedView.parse(answer);
}

/**
 * Has the files of a store written anew, see `OnlineBackend.writeAnew`: all records are copied.
 *
 * @throws PerennialError as {@link materializedAside}
 */
export async function writtenAnewAside(anew: FeatureStoreAccess, signal?: AbortSignal): Promise<void> {
  await writers.ask({ anew } satisfies AnewJob, signal);
}
