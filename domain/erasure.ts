import {
  type ErasureFindings,
  type FoundRows,
  MAX_LISTED_MODELS,
  type ModelOfPerson,
} from '../contracts/erasure.ts';

/** How often what was found is looked for again, where something came in between. */
export const MAX_ROUNDS = 5;

/**
 * What the rounds of one erasure found together. What could not be looked through is that of the last one.
 *
 * @param rounds in order; not empty
 */
export function mergedFindings(rounds: readonly ErasureFindings[]): ErasureFindings {
  const found = new Map<string, FoundRows>();
  const models = new Map<string, ModelOfPerson>();
  for (const round of rounds) {
    for (const { places, rows, ...what } of round.found) {
      const key = JSON.stringify(what);
      const known = found.get(key) ?? { ...what, places: 0, rows: 0 };
      found.set(key, { ...known, places: known.places + places, rows: known.rows + rows });
    }
    for (const model of round.models) {
      const key = JSON.stringify([model.name, model.version]);
      if (!models.has(key)) models.set(key, model);
    }
  }
  return {
    found: [...found.values()],
    unsearched: rounds.at(-1)?.unsearched ?? [],
    pipelines: [...new Set(rounds.flatMap(({ pipelines }) => pipelines))].sort(),
    models: [...models.values()].slice(0, MAX_LISTED_MODELS),
    modelCount: Math.max(models.size, ...rounds.map(({ modelCount }) => modelCount)),
  };
}
