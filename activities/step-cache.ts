import { durationMs } from '../contracts/durations.ts';
import type { CacheActivities } from '../contracts/upkeep-activities.ts';
import { StepCache } from '../lib/cache/step-cache.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

/** Activities that show and tidy the step cache. */
export function cacheActivities(deps: ActivityDependencies): CacheActivities {
  return {
    listCache: framed(deps.config, async ({ limit, ...filter }) =>
      new StepCache(await deps.store()).list(filter, limit),
    ),

    removeCached: framed(deps.config, async ({ all: _all, ...filter }) =>
      new StepCache(await deps.store()).remove(filter),
    ),

    collectCache: framed(deps.config, async ({ keep }) => {
      const { removed, kept } = await new StepCache(await deps.store()).collect(
        durationMs(keep),
        Date.now(),
        new Set(),
      );
      return { removed, kept };
    }),
  };
}
