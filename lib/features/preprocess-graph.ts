import { PerennialError } from '../../contracts/errors.ts';
import { isTextInput } from '../../contracts/serving.ts';
import { DEFAULT_OPSET, OnnxGraphBuilder, TEXT_OPSET } from '../onnx/graph.ts';
import { INPUTS_METADATA } from '../onnx/metadata.ts';
import { addCategories } from './category-graph.ts';
import type { ColumnPlan, FeaturePlan, FoldMeans, NumericPlan } from './feature-plan.ts';
import { MatrixBlocks } from './matrix-blocks.ts';
import { addNumbers } from './number-graph.ts';
import { addTexts } from './text-graph.ts';

/**
 * Builds `preprocess.onnx`: raw columns in, the float32 feature matrix out.
 *
 * Inputs have rank 1, `[batch]`, and the names of the raw columns in the plan's order: float for numeric and
 * boolean, double for datetime (epoch seconds UTC), string for categorical and text. The one output, float
 * `[batch, f]`, is named `features` (`features_`, … where a raw column has that name). An empty batch is not supported.
 *
 * Columns that share an operation are computed together, feature-major: numbers and date parts are one
 * `[numbers, batch]` tensor, so that the number of nodes hardly depends on the number of columns and one row is fast.
 *
 * The graph has opset 17, or 20 where it has texts or crosses.
 *
 * @param folds given for the graph that makes the training matrix: it has one more input, {@link foldInputName}, float
 *   `[batch]`, and encodes each row by the target's means without the row's own fold
 * @throws PerennialError `FeatureInvalid` where the plan's matrix does not belong to its columns
 * @example await writeFile('preprocess.onnx', preprocessGraph(plan));
 */
export function preprocessGraph(plan: FeaturePlan, folds?: FoldMeans): Uint8Array {
  const sources = new Set(plan.matrix.map(({ source }) => source));
  const all = [...plan.columns, ...plan.derived];
  const useful = all.filter(({ name }) => sources.has(name));
  const graph = new OnnxGraphBuilder('preprocess', useful.some(needsTextOpset) ? TEXT_OPSET : DEFAULT_OPSET);
  for (const { name, kind } of plan.columns) {
    graph.input(name, isTextInput(kind) ? 'string' : kind === 'datetime' ? 'double' : 'float', ['batch']);
  }
  const fold = folds && { name: graph.input(foldInputName(plan), 'float', ['batch']), means: folds };

  const blocks = new MatrixBlocks();
  const numbers = useful.filter(isNumeric);
  const operands = new Set(numbers.flatMap(({ derived }) => derived?.of ?? []));
  addNumbers(
    graph,
    plan.columns.filter(isNumeric).filter(({ name }) => sources.has(name) || operands.has(name)),
    numbers.filter(({ derived }) => derived),
    useful.filter((column) => column.kind === 'datetime'),
    blocks,
  );
  addCategories(
    graph,
    useful.filter((column) => column.kind === 'categorical'),
    blocks,
    fold,
  );
  addTexts(
    graph,
    useful.filter((column) => column.kind === 'text'),
    blocks,
  );
  if (blocks.length !== plan.matrix.length) {
    throw new PerennialError(
      'FeatureInvalid',
      `The feature plan's matrix has ${plan.matrix.length} columns, but its columns make ${blocks.length}: fit it again.`,
    );
  }
  const matrix = blocks.joined(
    graph,
    all.map(({ name }) => name),
  );
  const output = matrixOutputName(plan);
  graph.op('Transpose', [matrix], {
    attributes: { perm: [1n, 0n] },
    output,
  });
  graph.output(output, 'float', ['batch', plan.matrix.length]);
  const inputs = plan.columns.map(({ name, kind }) => ({ name, kind }));
  return graph.build({ [INPUTS_METADATA]: JSON.stringify(inputs) });
}

const isNumeric = (column: ColumnPlan): column is NumericPlan =>
  column.kind === 'numeric' || column.kind === 'boolean';

const needsTextOpset = ({ kind, derived }: ColumnPlan): boolean => kind === 'text' || derived?.op === 'cross';

/** The name of the graph's output: `features`, with `_` at the end for as long as a raw column has that name. */
export function matrixOutputName(plan: FeaturePlan): string {
  return freeName(plan, 'features');
}

/** The name of the input with each training row's fold: `fold`, with `_` at the end where a column has that name. */
export function foldInputName(plan: FeaturePlan): string {
  return freeName(plan, 'fold');
}

function freeName(plan: FeaturePlan, wanted: string): string {
  const names = new Set(plan.columns.map(({ name }) => name));
  let free = wanted;
  while (names.has(free)) free += '_';
  return free;
}
