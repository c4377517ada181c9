import type { ColumnPlan, MatrixColumn } from './feature-plan.ts';

/**
 * The matrix columns of raw columns, in order: raw column after raw column; within one, its values first, its
 * missing indicator last. The graph builder follows the same order.
 */
export function matrixColumns(columns: readonly ColumnPlan[]): MatrixColumn[] {
  const taken = new Set<string>();
  const unique = (name: string): string => {
    let candidate = name;
    for (let copy = 2; taken.has(candidate); copy++) candidate = `${name} (${copy})`;
    taken.add(candidate);
    return candidate;
  };
  return columns.flatMap((column) =>
    ownColumns(column).map((item) => ({ ...item, name: unique(item.name) })),
  );
}

function ownColumns(column: ColumnPlan): MatrixColumn[] {
  const { name: source } = column;
  const made: MatrixColumn[] = [];
  const add = (kind: MatrixColumn['kind'], name: string) => made.push({ name, kind, source });
  switch (column.kind) {
    case 'numeric':
      if (column.value) add('number', source);
      break;
    case 'boolean':
      if (column.value) add('boolean', source);
      break;
    case 'datetime':
      for (const { part } of column.parts) add('datepart', `${source}.${part}`);
      for (const part of column.cycles) {
        add('sine', `${source}.${part}.sin`);
        add('cosine', `${source}.${part}.cos`);
      }
      break;
    case 'categorical':
      if (column.value?.encoding === 'onehot') {
        for (const category of column.value.categories) add('category', `${source}=${category}`);
        if (column.value.other) add('other', `${source} is other`);
      } else if (column.value) {
        add(column.value.encoding, source);
      }
      break;
  }
  if (column.indicator) add('missing', `${source} is missing`);
  return made;
}
