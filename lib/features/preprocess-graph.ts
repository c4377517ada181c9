import { PerennialError } from '../../contracts/errors.ts';
import { OnnxGraphBuilder } from '../onnx/graph.ts';
import { INPUTS_METADATA } from '../onnx/metadata.ts';
import { addCategories } from './category-graph.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { MatrixBlocks } from './matrix-blocks.ts';
import { addNumbers } from './number-graph.ts';

/**
 * Builds `preprocess.onnx`: raw columns in, the float32 feature matrix out.
 *
 * Inputs have rank 1, `[batch]`, and the names of the raw columns in the plan's order: float for numeric and
 * boolean, double for datetime (epoch seconds UTC), string for categorical. The one output, float `[batch, f]`, is
 * named `features` (`features_`, … where a raw column has that name). An empty batch is not supported.
 *
 * Columns that share an operation are computed together, feature-major: numbers and date parts are one
 * `[numbers, batch]` tensor, so that the number of nodes hardly depends on the number of columns and one row is fast.
 *
 * @throws PerennialError `FeatureInvalid` where the plan's matrix does not belong to its columns
 * @example await writeFile('preprocess.onnx', preprocessGraph(plan));
 */
export function preprocessGraph(plan: FeaturePlan): Uint8Array {
  const graph = new OnnxGraphBuilder('preprocess');
  for (const { name, kind } of plan.columns) {
    graph.input(name, kind === 'categorical' ? 'string' : kind === 'datetime' ? 'double' : 'float', [
      'batch',
    ]);
  }

  const blocks = new MatrixBlocks();
  const sources = new Set(plan.matrix.map(({ source }) => source));
  const useful = plan.columns.filter(({ name }) => sources.has(name));
  addNumbers(
    graph,
    useful.flatMap((column) => (column.kind === 'numeric' || column.kind === 'boolean' ? [column] : [])),
    useful.filter((column) => column.kind === 'datetime'),
    blocks,
  );
  addCategories(
    graph,
    useful.filter((column) => column.kind === 'categorical'),
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
    plan.columns.map(({ name }) => name),
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

/** The name of the graph's output: `features`, with `_` at the end for as long as a raw column has that name. */
export function matrixOutputName(plan: FeaturePlan): string {
  const names = new Set(plan.columns.map(({ name }) => name));
  let output = 'features';
  while (names.has(output)) output += '_';
  return output;
}
