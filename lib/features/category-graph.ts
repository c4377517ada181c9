import { ML_DOMAIN, type OnnxGraphBuilder } from '../onnx/graph.ts';
import { type CategoricalPlan, type FittedCategories, MISSING_WORDS } from './feature-plan.ts';
import { join, type MatrixBlocks, pick } from './matrix-blocks.ts';

const FLOAT = 1n;

/**
 * Adds the nodes of text columns: one table per column from text to a code, which is already the feature for ordinal
 * and frequency encodings; all one-hot columns together are one comparison of codes.
 */
export function addCategories(
  graph: OnnxGraphBuilder,
  columns: readonly CategoricalPlan[],
  blocks: MatrixBlocks,
): void {
  const known = columns.flatMap(({ name, value, indicator }) => (value ? [{ name, value, indicator }] : []));
  if (known.length === 0) return;
  const codes = known.map(({ name, value, indicator }) =>
    graph.op('LabelEncoder', [name], { domain: ML_DOMAIN, attributes: codeTable(value, indicator) }),
  );
  const rows = graph.initializer('rows', { type: 'int64', dims: [2], data: [known.length, -1] });
  const stacked = graph.op('Reshape', [join(graph, codes), rows]);
  blocks.add('code', stacked, known.length);

  const hot: { row: number; code: number }[] = [];
  known.forEach(({ name, value, indicator }, row) => {
    if (value.encoding !== 'onehot') {
      blocks.place(name, 'code', row);
      return;
    }
    const { other, missing } = onehotCodes(value.categories.length);
    const own = [
      ...value.categories.keys(),
      ...(value.other ? [other] : []),
      ...(indicator ? [missing] : []),
    ];
    for (const code of own) blocks.place(name, 'onehot', hot.push({ row, code }) - 1);
  });
  if (hot.length === 0) return;
  const spread = pick(
    graph,
    stacked,
    hot.map(({ row }) => row),
    known.length,
  );
  const wanted = graph.initializer('codes', {
    type: 'float',
    dims: [hot.length, 1],
    data: hot.map(({ code }) => code),
  });
  const equal = graph.op('Equal', [spread, wanted]);
  blocks.add('onehot', graph.op('Cast', [equal], { attributes: { to: FLOAT } }), hot.length);
}

/** The codes of a one-hot column: its categories from 0, then what is no known category, then missing. */
const onehotCodes = (categories: number) => ({ other: categories, missing: categories + 1 });

function codeTable(value: FittedCategories, indicator: boolean) {
  const table = () => {
    switch (value.encoding) {
      case 'onehot': {
        const codes = onehotCodes(value.categories.length);
        return {
          known: [...value.categories.keys()],
          other: codes.other,
          missing: indicator ? codes.missing : codes.other,
        };
      }
      case 'ordinal':
        return { known: [...value.categories.keys()], other: -1, missing: value.missingCode };
      case 'frequency':
        return { known: value.shares, other: 0, missing: value.missingShare };
    }
  };
  const { known, other, missing } = table();
  return {
    keys_strings: [...value.categories, ...MISSING_WORDS],
    values_floats: [...known, ...MISSING_WORDS.map(() => missing)],
    default_float: other,
  };
}
