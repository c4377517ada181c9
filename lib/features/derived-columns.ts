import { PerennialError } from '../../contracts/errors.ts';
import type { DerivedFeature, FeatureKind } from '../../contracts/spec/features.ts';

/** Between the two categories of a cross. */
export const CROSS_SEPARATOR = ' × ';

/** A feature that is made of two raw columns: `a / b`, `a × b`, or the pair of categories. */
export interface DerivedColumn {
  name: string;
  kind: 'numeric' | 'categorical';
  op: 'ratio' | 'product' | 'cross';
  of: [string, string];
}

/**
 * The derived columns of a spec, named `a / b` and `a × b` where it gives no name.
 *
 * @param raw the raw feature columns that they may be made of
 * @throws PerennialError `ColumnMissing`, `FeatureInvalid` for a column of the wrong kind or a name that is taken
 */
export function derivedColumns(
  derived: readonly DerivedFeature[],
  raw: readonly { name: string; kind: FeatureKind }[],
): DerivedColumn[] {
  const kinds = new Map(raw.map(({ name, kind }) => [name, kind]));
  const taken = new Set(kinds.keys());
  return derived.map((spec, index) => {
    const { op, of } = operation(spec);
    const where = `features.derived[${index}].${op}`;
    for (const name of of) {
      const kind = kinds.get(name);
      if (kind === undefined) {
        throw new PerennialError(
          'ColumnMissing',
          `${where} names "${name}", which is no feature column; the feature columns are ${[...kinds.keys()].join(', ')}.`,
        );
      }
      const fits = op === 'cross' ? kind === 'categorical' : kind === 'numeric' || kind === 'boolean';
      if (!fits) {
        throw new PerennialError(
          'FeatureInvalid',
          `${where}: "${name}" is ${kind}; a ${op} is made of two ${op === 'cross' ? 'categorical' : 'numeric'} columns.`,
        );
      }
    }
    const name = spec.name ?? of.join(op === 'ratio' ? ' / ' : CROSS_SEPARATOR);
    if (taken.has(name)) {
      throw new PerennialError(
        'FeatureInvalid',
        `${where}: there is a feature "${name}" already; give this one another name.`,
      );
    }
    taken.add(name);
    return { name, kind: op === 'cross' ? 'categorical' : 'numeric', op, of };
  });
}

function operation(spec: DerivedFeature): Pick<DerivedColumn, 'op' | 'of'> {
  if ('ratio' in spec) return { op: 'ratio', of: spec.ratio };
  return 'product' in spec ? { op: 'product', of: spec.product } : { op: 'cross', of: spec.cross };
}

/**
 * SQL of a derived value, or NULL where one of the two is missing or the result is no finite float32.
 *
 * @param first, @param second SQL of the two raw values: FLOAT or NULL, text or NULL
 */
export function derivedSql(op: DerivedColumn['op'], first: string, second: string): string {
  if (op === 'cross') return `(${first}) || '${CROSS_SEPARATOR}' || (${second})`;
  // In float32, as the graph computes it.
  const value = `CAST((${first}) AS FLOAT) ${op === 'ratio' ? '/' : '*'} CAST((${second}) AS FLOAT)`;
  return `CASE WHEN isfinite(${value}) THEN ${value} END`;
}
