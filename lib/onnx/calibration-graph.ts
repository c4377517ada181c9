import type { Calibration, IsotonicCurve, PlattCurve } from '../../contracts/finishing.ts';
import { ML_DOMAIN, type OnnxGraphBuilder } from './graph.ts';
import { addDoubles, addFloats, addLogOdds } from './log-odds-graph.ts';

/**
 * Adds the correction of probabilities; `applyCalibration` is the same in TypeScript.
 *
 * @param answers float `[batch]` for one curve, `[batch, curves]` for several
 * @returns a tensor of the same shape
 */
export function addCalibration(graph: OnnxGraphBuilder, answers: string, calibration: Calibration): string {
  const several = calibration.curves.length > 1;
  const corrected =
    calibration.method === 'platt'
      ? addPlatt(graph, answers, calibration.curves)
      : addIsotonic(graph, answers, calibration.curves);
  return several ? addShares(graph, corrected, calibration.curves.length) : corrected;
}

function addPlatt(graph: OnnxGraphBuilder, answers: string, curves: readonly PlattCurve[]): string {
  const row = (hint: string, data: number[]) =>
    graph.initializer(hint, { type: 'double', dims: data.length > 1 ? [data.length] : [], data });
  const slope = row(
    'platt a',
    curves.map(({ a }) => a),
  );
  const shift = row(
    'platt b',
    curves.map(({ b }) => b),
  );
  const odds = addLogOdds(graph, addDoubles(graph, answers));
  const line = graph.op('Add', [graph.op('Mul', [odds, slope]), shift]);
  return addFloats(graph, graph.op('Sigmoid', [line]));
}

/**
 * A decision tree for each curve finds the piece that a probability is on, in as many steps as the logarithm of the
 * number of corners and without a matrix of comparisons; all pieces of all curves stand in one list.
 */
function addIsotonic(graph: OnnxGraphBuilder, answers: string, curves: readonly IsotonicCurve[]): string {
  const several = curves.length > 1;
  const axis = several ? '' : addAxis(graph);
  const matrix = several ? answers : graph.op('Unsqueeze', [answers, axis]);
  const found = graph.op('TreeEnsembleRegressor', [matrix], {
    domain: ML_DOMAIN,
    attributes: { ...pieceTrees(curves), post_transform: 'NONE', n_targets: BigInt(curves.length) },
  });
  const piece = graph.op('Cast', [found], { attributes: { to: 7n } });
  const pieces = curves.flatMap(piecesOf);
  const of = (key: keyof Piece) => {
    const data = pieces.map((own) => own[key]);
    return graph.op('Gather', [graph.initializer(key, { type: 'float', dims: [data.length], data }), piece], {
      attributes: { axis: 0n },
    });
  };
  const part = graph.op('Div', [graph.op('Sub', [matrix, of('start')]), of('span')]);
  const height = graph.op('Add', [of('left'), graph.op('Mul', [part, of('rise')])]);
  return several ? height : graph.op('Squeeze', [height, axis]);
}

/** A straight piece of a curve: at `start` its height is `left`, after `span` it is higher by `rise`. */
interface Piece {
  start: number;
  span: number;
  left: number;
  rise: number;
}

/** The pieces between the corners, with a level one before the first corner and one after the last. */
function piecesOf({ x, y }: IsotonicCurve): Piece[] {
  const level = (left = 0): Piece => ({ start: 0, span: 1, left, rise: 0 });
  const inner = x.slice(1).map((right, i): Piece => {
    const [start = 0, left = 0] = [x[i], y[i]];
    return { start, span: right - start, left, rise: (y[i + 1] ?? 0) - left };
  });
  return [level(y[0]), ...inner, level(y.at(-1))];
}

/** Attributes of the trees; tree k looks at column k and answers the place of its piece in the list of all. */
function pieceTrees(curves: readonly IsotonicCurve[]) {
  const ids: bigint[] = [];
  const trees: bigint[] = [];
  const values: number[] = [];
  const modes: string[] = [];
  const whenTrue: bigint[] = [];
  const whenFalse: bigint[] = [];
  const leafIds: bigint[] = [];
  const leafTrees: bigint[] = [];
  const places: number[] = [];
  let first = 0;
  for (const [tree, { x }] of curves.entries()) {
    let next = 0n;
    /** The pieces from `low` to `high`; answers the id of their node. */
    const grow = (low: number, high: number): bigint => {
      const id = next++;
      const at = ids.length;
      ids.push(id);
      trees.push(BigInt(tree));
      const middle = (low + high) >> 1;
      values.push(low === high ? 0 : (x[middle] ?? 0));
      modes.push(low === high ? 'LEAF' : 'BRANCH_LEQ');
      whenTrue.push(0n);
      whenFalse.push(0n);
      if (low === high) {
        leafIds.push(id);
        leafTrees.push(BigInt(tree));
        places.push(first + low);
      } else {
        whenTrue[at] = grow(low, middle);
        whenFalse[at] = grow(middle + 1, high);
      }
      return id;
    };
    grow(0, x.length);
    first += x.length + 1;
  }
  return {
    nodes_treeids: trees,
    nodes_nodeids: ids,
    nodes_featureids: trees,
    nodes_values: values,
    nodes_modes: modes,
    nodes_truenodeids: whenTrue,
    nodes_falsenodeids: whenFalse,
    target_treeids: leafTrees,
    target_nodeids: leafIds,
    target_ids: leafTrees,
    target_weights: places,
  };
}

/** Divides each row by its sum; a row of zeros becomes the same for all. */
function addShares(graph: OnnxGraphBuilder, values: string, width: number): string {
  const scalar = (hint: string, value: number) =>
    graph.initializer(hint, { type: 'float', dims: [], data: [value] });
  const sum = graph.op('ReduceSum', [values, addAxis(graph)], { attributes: { keepdims: 1n } });
  const none = graph.op('Equal', [sum, scalar('zero', 0)]);
  return graph.op('Where', [none, scalar('even', 1 / width), graph.op('Div', [values, sum])]);
}

const addAxis = (graph: OnnxGraphBuilder): string =>
  graph.initializer('axis', { type: 'int64', dims: [1], data: [1] });
