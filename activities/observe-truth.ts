import type { RolloutActivities } from '../contracts/activities.ts';
import { rolloutTruth } from '../lib/predictions/rollout-truth.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

/** Activities of roll-outs on the worker's side. */
export function rolloutActivities({ config }: Pick<ActivityDependencies, 'config'>): RolloutActivities {
  return {
    observeTruth: framed(config, async (question, frame) =>
      rolloutTruth(config, question, {
        scratchDir: await frame.scratch(),
        memoryLimit: frame.duckdbMemory,
        signal: frame.signal,
      }),
    ),
  };
}
