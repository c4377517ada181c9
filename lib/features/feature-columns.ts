import { PerennialError } from '../../contracts/errors.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { identifyingColumns } from '../../domain/privacy.ts';
import type { RawColumn } from './feature-plan.ts';
import { featureKindOf } from './kinds.ts';

/**
 * The feature columns of a table with their kinds: those that `columns.features` names, or else all that have no
 * other role and tell no people apart; in the table's order, without those that `features.columns` sets to "ignored".
 *
 * The kind comes from the DuckDB type ({@link featureKindOf}), unless `features.columns` names another.
 *
 * @param table the table's columns as `DESCRIBE` gives them
 * @throws PerennialError `ColumnMissing` for a named feature that the table lacks, `FeatureInvalid` where the target
 *   is named as a feature, `ColumnInvalid` for a column whose type cannot be a feature
 * @example featureColumns([{ name: 'age', type: 'BIGINT' }], spec) // [{ name: 'age', kind: 'numeric' }]
 */
export function featureColumns(
  table: readonly { name: string; type: string }[],
  spec: Pick<PipelineSpec, 'columns' | 'features'> & Partial<Pick<PipelineSpec, 'privacy'>>,
): RawColumn[] {
  const { target, entity, timestamp, ignored, features: named } = spec.columns;
  for (const name of named ?? []) {
    if (name === target) {
      throw new PerennialError(
        'FeatureInvalid',
        `columns.features names the target "${target}": take it out.`,
      );
    }
    if (!table.some((column) => column.name === name)) {
      throw new PerennialError(
        'ColumnMissing',
        `columns.features names "${name}", which the data do not have; their columns are ${table.map((column) => column.name).join(', ')}.`,
      );
    }
  }
  const otherRoles = new Set([
    target,
    ...entity,
    ...ignored,
    ...(timestamp === undefined ? [] : [timestamp]),
    ...(spec.privacy ? [...identifyingColumns(spec.privacy), ...spec.privacy.subject] : []),
  ]);
  return table
    .filter(({ name }) => (named ? named.includes(name) : !otherRoles.has(name)))
    .flatMap(({ name, type }): RawColumn[] => {
      const own = spec.features.columns[name];
      const kind = (typeof own === 'string' ? own : own?.kind) ?? featureKindOf(type);
      if (kind === 'ignored') return [];
      if (kind) return [{ name, kind }];
      throw new PerennialError(
        'ColumnInvalid',
        `Column "${name}" has the type ${type}, which cannot be a feature: convert it in data.sql, or set it to "ignored" under features.columns.`,
      );
    });
}
