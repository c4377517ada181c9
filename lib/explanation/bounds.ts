import { readModel } from '../onnx/graph.ts';

/** How much is looked at. Everything depends on the model and the number of columns alone, so that the result does not depend on the machine. */
export interface ExplanationBounds {
  /** Test rows for the importance. */
  rows: number;
  repeats: number;
  /** Rows and values for each curve of a dependence. */
  dependenceRows: number;
  points: number;
  /** Columns whose dependence is drawn. */
  curves: number;
  /** Rows whose attributions are computed. */
  attributionRows: number;
}

/** Operations for the importance and the curves, and for the attributions: a second or two of one core each. */
const MOST = { answers: 1e9, attributions: 6e8 };
/** What passing one value to the engine costs, in operations. */
const CELL = 150;

/**
 * What is worth its time for a model.
 *
 * @param model the composed graph, @param columns raw columns that the model can see
 * @param attributionCost operations of one row's attributions, see `Explainer`; for sampled ones the coalitions' cells
 */
export function explanationBounds(
  model: Uint8Array,
  columns: number,
  inputs: number,
): Omit<ExplanationBounds, 'attributionRows'> {
  const perRow = costOfRow(model) + inputs * CELL;
  const answers = MOST.answers / perRow;
  const repeats = columns > 60 ? 3 : 5;
  const rows = within(100, (0.75 * answers) / (Math.max(1, columns) * repeats), 2_000);
  const points = 20;
  const curves = 6;
  const dependenceRows = within(40, (0.25 * answers) / (points * curves), 300);
  return { rows, repeats, dependenceRows, points, curves };
}

/** Rows whose attributions are computed. @param cost of one row */
export const attributionRows = (cost: number): number =>
  within(8, MOST.attributions / Math.max(1, cost), 100);

/** Operations that one answer takes, about: numbers in the graph (a neighbour model keeps its rows there), or what trees walk. */
function costOfRow(model: Uint8Array): number {
  const { graph } = readModel(model);
  const constants = graph.initializer.reduce(
    (sum, { dims }) => sum + dims.reduce((product, dim) => product * Number(dim), 1),
    0,
  );
  const trees = graph.node
    .filter(({ opType }) => opType.startsWith('TreeEnsemble'))
    .map(({ attribute }) => {
      const ids = attribute.find(({ name }) => name === 'nodes_treeids')?.ints ?? [];
      const count = new Set(ids).size || 1;
      // A walk from root to leaf, each step a miss of the cache.
      return count * Math.log2(Math.max(2, ids.length / count)) * 8;
    });
  return constants + trees.reduce((sum, cost) => sum + cost, 0);
}

const within = (least: number, value: number, most: number): number =>
  Math.max(least, Math.min(most, Math.floor(value)));
