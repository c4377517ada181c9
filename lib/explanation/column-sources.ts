import type { FeaturePlan } from '../features/feature-plan.ts';

/**
 * For each column of the feature matrix, which raw inputs it is made of: one, or the two of a derived column, which
 * share what it contributes.
 *
 * @param inputs names of the model's inputs in order
 * @returns places in `inputs`
 */
export function columnSources(
  plan: Pick<FeaturePlan, 'matrix' | 'derived'>,
  inputs: readonly string[],
): number[][] {
  const derived = new Map(plan.derived.map((column) => [column.name, column.derived?.of]));
  const places = new Map(inputs.map((name, place) => [name, place]));
  return plan.matrix.map(({ source }) => {
    const names = derived.get(source) ?? [source];
    return [...new Set(names)].flatMap((name) => places.get(name) ?? []);
  });
}
