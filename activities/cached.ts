import { log } from '@temporalio/activity';
import type { z } from 'zod';
import type { CachePolicy, StageCache } from '../contracts/cache.ts';
import { PerennialError } from '../contracts/errors.ts';
import { cacheKey, type StageIdentity } from '../lib/cache/cache-key.ts';
import { StepCache } from '../lib/cache/step-cache.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** A stage whose result may be taken over from an earlier run. */
export interface CachedStage<O> extends StageIdentity {
  /** Name of the pipeline, for lists; not part of the identity. */
  pipeline: string;
  policy: CachePolicy;
  /** What the stage gives: JSON with artifact references. */
  output: z.ZodType<O>;
}

/**
 * Takes a stage's result over from an earlier run with the same identity, or works and stores the result. An index that
 * cannot be reached costs work, never the stage.
 *
 * @param work the stage itself; deterministic, its artifacts in the store when it resolves
 * @example
 * const { output, cache } = await cachedStage(
 *   deps,
 *   { stage: 'split', codeVersion: 1, pipeline, input: { table, spec }, policy, output: splitOutput },
 *   () => split(…),
 * );
 */
export async function cachedStage<O>(
  deps: Pick<ActivityDependencies, 'store'>,
  step: CachedStage<O>,
  work: () => Promise<O>,
): Promise<{ output: O; cache: StageCache }> {
  if (step.policy.mode === 'off')
    return { output: await work(), cache: { key: null, hit: false, storedAt: null } };
  const { stage, pipeline } = step;
  const key = await cacheKey(step);
  const cache = new StepCache(await deps.store());
  const found = await unlessUnavailable(() =>
    cache.find({ stage, key }, step.policy, step.output, Date.now()),
  );
  if (found) return { output: found.output, cache: { key, hit: true, storedAt: found.storedAt } };
  const output = await work();
  const storedAt = await unlessUnavailable(() =>
    cache.remember({ stage, key }, pipeline, output, Date.now()),
  );
  return { output, cache: { key, hit: false, storedAt: storedAt ?? null } };
}

async function unlessUnavailable<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof PerennialError && error.code === 'StoreUnavailable')) throw error;
    log.warn('the step cache cannot be reached; going on without it', { reason: error.message });
    return undefined;
  }
}
