import type { ColumnPlan, FittedNumber, MatrixColumn } from './feature-plan.ts';

/**
 * The matrix columns of columns, in order: column after column; within one, its values first, its missing indicator
 * last. The graph builder follows the same order.
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

/** How many 0/1 columns a one-hot binned number has. */
export const binCount = ({ edges }: { edges: readonly number[] }): number => edges.length + 1;

function ownColumns(column: ColumnPlan): MatrixColumn[] {
  const { name: source } = column;
  const made: MatrixColumn[] = [];
  const add = (kind: MatrixColumn['kind'], name: string) => made.push({ name, kind, source });
  switch (column.kind) {
    case 'numeric':
      if (column.value) for (const [kind, name] of numberNames(source, column.value)) add(kind, name);
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
      switch (column.value?.encoding) {
        case 'onehot':
          for (const category of column.value.categories) add('category', `${source}=${category}`);
          if (column.value.other) add('other', `${source} is other`);
          break;
        case 'target':
          for (const { of } of column.value.means)
            add('target', `${source} (target${of === '' ? '' : ` ${of}`})`);
          break;
        case 'ordinal':
        case 'frequency':
          add(column.value.encoding, source);
      }
      break;
    case 'text':
      for (const term of column.value?.terms ?? []) add('term', `${source}: ${term}`);
  }
  if (column.indicator) add('missing', `${source} is missing`);
  return made;
}

function numberNames(source: string, { log, bins }: FittedNumber): [MatrixColumn['kind'], string][] {
  if (!bins) return [['number', log ? `${source} (log)` : source]];
  if (bins.encoding === 'ordinal') return [['bin', `${source} (bin)`]];
  const { edges } = bins;
  return Array.from({ length: binCount(bins) }, (_, index) => {
    const from = edges[index - 1];
    const before = edges[index];
    const text = [from === undefined ? '' : `${from} ≤ `, source, before === undefined ? '' : ` < ${before}`];
    return ['bin', text.join('')];
  });
}
