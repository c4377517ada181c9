import type { LineageActivities } from '../contracts/upkeep-activities.ts';
import { artifactStates } from '../lib/lineage/artifact-states.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { closeReproduction, openReproduction } from './reproduction.ts';

/** Activities that look back: what became of artifacts, and versions that are made again. */
export function lineageActivities(deps: ActivityDependencies): LineageActivities {
  return {
    artifactStates: framed(deps.config, async ({ digests }) => ({
      states: await artifactStates(await deps.store(), digests),
    })),
    openReproduction: framed(deps.config, (input, frame) => openReproduction(deps, input, frame)),
    closeReproduction: framed(deps.config, (input) => closeReproduction(deps, input)),
  };
}
