import { nearest } from '../contracts/issues.ts';
import type { EvaluationSpec } from '../contracts/spec/evaluation.ts';

/** Columns that are named in a message. */
const SHOWN = 40;

/**
 * What is wrong with the columns that slices, groups and gates on features name, known as soon as the table is, long before anything is
 * trained; `undefined` where nothing is.
 *
 * @param columns of the table that models see
 * @param dropped personal columns that are not in it any more
 */
export function columnProblem(
  { slices, fairness, gates = [] }: Pick<EvaluationSpec, 'slices' | 'fairness' | 'gates'>,
  columns: readonly string[],
  dropped: readonly string[],
): string | undefined {
  const asked = [
    ...slices.flatMap((slice, index) =>
      'columns' in slice
        ? slice.columns.map((column) => ({ column, where: `slices[${index}].columns` }))
        : [],
    ),
    ...(fairness?.columns ?? []).map((column) => ({ column, where: 'fairness.columns' })),
    ...gates.flatMap((gate, index) =>
      'robustness' in gate && gate.feature !== 'all'
        ? [{ column: gate.feature, where: `gates[${index}].feature` }]
        : [],
    ),
  ];
  for (const { column, where } of asked) {
    if (columns.includes(column)) continue;
    if (dropped.includes(column))
      return `evaluation.${where}: ${column} is personal and is dropped before training, so that nothing can be told by it; make it coarser instead (privacy.columns.${column}: a generalisation such as bins, truncate or prefix), or leave it out`;
    const hint = nearest(column, columns);
    return `evaluation.${where}: there is no column ${column}${hint ? `; did you mean ${hint}?` : '.'} The columns are ${columns.slice(0, SHOWN).join(', ')}${columns.length > SHOWN ? ', …' : ''}`;
  }
  return undefined;
}
