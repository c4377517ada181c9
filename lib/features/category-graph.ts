import { ML_DOMAIN, type OnnxGraphBuilder } from '../onnx/graph.ts';
import { CROSS_SEPARATOR } from './derived-columns.ts';
import {
  type CategoricalPlan,
  type FittedCategories,
  type FoldMeans,
  MISSING_WORDS,
  type TargetMeans,
} from './feature-plan.ts';
import { join, type MatrixBlocks, pick } from './matrix-blocks.ts';

const FLOAT = 1n;
const INT64 = 7n;

/** How the training rows are encoded by the target: the graph's input with each row's fold, and the means. */
export interface FoldInput {
  name: string;
  means: FoldMeans;
}

/** A column with what was learned, and the value of the graph that holds its texts. */
interface Known {
  name: string;
  value: FittedCategories;
  indicator: boolean;
  texts: string;
  /** Of a cross: a bool value that is true where one of the two is missing. */
  missing: string | undefined;
}

/**
 * Adds the nodes of categorical columns: one table per column from text to a code, which is already the feature for
 * ordinal, frequency and single target encodings; all one-hot columns together are one comparison of codes.
 *
 * @param fold given for the graph that makes the training matrix, where columns are encoded by the target
 */
export function addCategories(
  graph: OnnxGraphBuilder,
  columns: readonly CategoricalPlan[],
  blocks: MatrixBlocks,
  fold?: FoldInput,
): void {
  const known = columns.flatMap(({ name, value, indicator, derived }): Known[] =>
    value ? [{ name, value, indicator, ...textsOf(graph, name, derived?.of) }] : [],
  );
  if (known.length === 0) return;
  const codes: string[] = [];
  const hot: { row: number; code: number }[] = [];
  for (const column of known) {
    const { name, value, indicator } = column;
    const first = codes.length;
    if (value.encoding === 'target' && (fold || value.means.length > 1)) {
      codes.push(...addTargetMeans(graph, column, value, fold));
    } else {
      codes.push(addTable(graph, column, codeTable(value, indicator)));
    }
    if (value.encoding !== 'onehot') {
      for (let row = first; row < codes.length; row++) blocks.place(name, 'code', row);
      continue;
    }
    const { other, missing } = onehotCodes(value.categories.length);
    const own = [
      ...value.categories.keys(),
      ...(value.other ? [other] : []),
      ...(indicator ? [missing] : []),
    ];
    for (const code of own) blocks.place(name, 'onehot', hot.push({ row: first, code }) - 1);
  }
  const rows = graph.initializer('rows', { type: 'int64', dims: [2], data: [codes.length, -1] });
  const stacked = graph.op('Reshape', [join(graph, codes), rows]);
  blocks.add('code', stacked, codes.length);
  if (hot.length === 0) return;
  const spread = pick(
    graph,
    stacked,
    hot.map(({ row }) => row),
    codes.length,
  );
  const wanted = graph.initializer('codes', {
    type: 'float',
    dims: [hot.length, 1],
    data: hot.map(({ code }) => code),
  });
  const equal = graph.op('Equal', [spread, wanted]);
  blocks.add('onehot', graph.op('Cast', [equal], { attributes: { to: FLOAT } }), hot.length);
}

/** The texts of a raw column, or the pairs of a cross. */
function textsOf(
  graph: OnnxGraphBuilder,
  name: string,
  of: readonly [string, string] | undefined,
): Pick<Known, 'texts' | 'missing'> {
  if (!of) return { texts: name, missing: undefined };
  const [first, second] = of;
  const separator = graph.initializer('separator', { type: 'string', dims: [1], data: [CROSS_SEPARATOR] });
  const half = graph.initializer('half', { type: 'float', dims: [], data: [0.5] });
  const sum = graph.op('Add', [addIsMissing(graph, first), addIsMissing(graph, second)]);
  return {
    texts: graph.op('StringConcat', [graph.op('StringConcat', [first, separator]), second]),
    missing: graph.op('Greater', [sum, half]),
  };
}

/** 1 where a text is a missing word, else 0: float `[batch]`. */
export function addIsMissing(graph: OnnxGraphBuilder, texts: string): string {
  return graph.op('LabelEncoder', [texts], {
    domain: ML_DOMAIN,
    attributes: {
      keys_strings: [...MISSING_WORDS],
      values_floats: MISSING_WORDS.map(() => 1),
      default_float: 0,
    },
  });
}

/** The numbers of a text column's categories, of other texts, and of missing words. */
interface CodeTable {
  categories: readonly string[];
  known: readonly number[];
  other: number;
  missing: number;
}

function addTable(
  graph: OnnxGraphBuilder,
  { texts, missing: isMissing }: Known,
  { categories, known, other, missing }: CodeTable,
): string {
  const code = graph.op('LabelEncoder', [texts], {
    domain: ML_DOMAIN,
    attributes: {
      keys_strings: [...categories, ...MISSING_WORDS],
      values_floats: [...known, ...MISSING_WORDS.map(() => missing)],
      default_float: other,
    },
  });
  if (isMissing === undefined) return code;
  const absent = graph.initializer('absent', { type: 'float', dims: [], data: [missing] });
  return graph.op('Where', [isMissing, absent, code]);
}

/** The codes of a one-hot column: its categories from 0, then what is no known category, then missing. */
const onehotCodes = (categories: number) => ({ other: categories, missing: categories + 1 });

function codeTable(value: FittedCategories, indicator: boolean): CodeTable {
  const { categories } = value;
  switch (value.encoding) {
    case 'onehot': {
      const codes = onehotCodes(categories.length);
      return {
        categories,
        known: [...categories.keys()],
        other: codes.other,
        missing: indicator ? codes.missing : codes.other,
      };
    }
    case 'ordinal':
      return { categories, known: [...categories.keys()], other: -1, missing: value.missingCode };
    case 'frequency':
      return { categories, known: value.shares, other: 0, missing: value.missingShare };
    case 'target': {
      const [mean] = value.means;
      const prior = mean?.prior ?? 0;
      return { categories, known: mean?.values ?? [], other: prior, missing: mean?.missing ?? prior };
    }
  }
}

/** One float `[batch]` per mean: a category's place, moved on by the row's fold, in a list of numbers. */
function addTargetMeans(
  graph: OnnxGraphBuilder,
  column: Known,
  { categories, means }: Extract<FittedCategories, { encoding: 'target' }>,
  fold: FoldInput | undefined,
): string[] {
  const size = categories.length + 2;
  const place = addTable(graph, column, {
    categories,
    known: [...categories.keys()],
    other: categories.length,
    missing: categories.length + 1,
  });
  const width = graph.initializer('places', { type: 'float', dims: [], data: [size] });
  const moved = fold ? graph.op('Add', [place, graph.op('Mul', [fold.name, width])]) : place;
  const index = graph.op('Cast', [moved], { attributes: { to: INT64 } });
  const numbers = ({ values, prior, missing }: TargetMeans) => [...values, prior, missing];
  const tables = fold ? fold.means.columns.get(column.name) : means.map((mean) => [mean]);
  return (tables ?? []).map((list) => {
    const data = list.flatMap(numbers);
    const table = graph.initializer('means', { type: 'float', dims: [data.length], data });
    return graph.op('Gather', [table, index], { attributes: { axis: 0n } });
  });
}
