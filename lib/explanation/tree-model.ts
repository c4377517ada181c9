import { toBinary } from '@bufbuild/protobuf';
import { readModel, valueInfo } from '../onnx/graph.ts';
import { type GraphProto, ModelProtoSchema, type NodeProto } from '../onnx/onnx_pb.ts';
import { numbersOf } from '../onnx/tensor.ts';
import { TreeEnsemble } from './tree-ensemble.ts';

/** The trees of a composed model, where all that it says goes through one tree ensemble. */
export interface TreeModel {
  ensemble: TreeEnsemble;
  /** The value that the trees read: the feature matrix. */
  matrix: string;
  /** The part of the model that makes it, as a model of its own: raw columns in, `matrix` out. */
  matrixModel: Uint8Array;
}

/**
 * Finds the trees of a composed model. What comes after them (a calibration, say) may be anything that sees nothing
 * else of the row.
 *
 * @returns nothing for other models, joined models, and trees that use what is not known here
 * @throws PerennialError `ModelInvalid` where the bytes are no model
 */
export function treeModel(model: Uint8Array): TreeModel | undefined {
  const proto = readModel(model);
  const { graph } = proto;
  // A calibration may have trees of its own, which see more than one value: what the first ones said, too.
  const node = graph.node.find((one) => one.opType.startsWith('TreeEnsemble') && decidesAll(graph, one));
  const matrix = node?.input[0];
  if (!node || matrix === undefined) return undefined;
  const alone = TreeEnsemble.of(node);
  if (!alone) return undefined;
  const ensemble = alone.plus(constantBehind(graph, node, alone.scores));

  const needed = new Set([matrix]);
  graph.node = [...graph.node]
    .reverse()
    .filter(({ input, output }) => {
      if (!output.some((name) => needed.has(name))) return false;
      for (const name of input) needed.add(name);
      return true;
    })
    .reverse();
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name));
  graph.output = [valueInfo(matrix, 'float', ['batch', 'features'])];
  return { ensemble, matrix, matrixModel: toBinary(ModelProtoSchema, proto) };
}

/**
 * What a constant `Add` right behind the trees adds to each score: exporters put the start of boosting there, as ONNX
 * Runtime leaves `base_values` out where no tree adds to an output. Zeros where nothing is added, or where something else
 * reads what the trees alone say.
 */
function constantBehind(graph: GraphProto, node: NodeProto, scores: number): Float64Array {
  const none = new Float64Array(scores);
  const [sums = '', ...others] = node.output;
  if (node.opType !== 'TreeEnsembleRegressor' || others.length > 0) return none;
  const [add, ...more] = graph.node.filter(({ input }) => input.includes(sums));
  if (add?.opType !== 'Add' || add.domain !== '' || more.length > 0) return none;
  if (graph.output.some(({ name }) => name === sums)) return none;
  const constant = add.input.find((name) => name !== sums);
  // An initializer that is an input, too, is a default that the caller may replace.
  if (graph.input.some(({ name }) => name === constant)) return none;
  const tensor = graph.initializer.find(({ name }) => name === constant);
  const values = tensor && numbersOf(tensor);
  if (values?.length === 1) return none.fill(values[0] ?? 0);
  return values?.length === scores && Number(tensor?.dims.at(-1)) === scores ? values : none;
}

/** Whether no output depends on an input but through this node. Inner graphs (branches, loops) are not looked into. */
function decidesAll(graph: GraphProto, node: NodeProto): boolean {
  const reached = new Set(graph.input.map(({ name }) => name));
  for (const { name } of graph.initializer) reached.delete(name);
  for (const other of graph.node) {
    if (other === node) continue;
    if (other.attribute.some(({ g, graphs }) => g || graphs.length > 0)) return false;
    if (other.input.some((name) => reached.has(name))) for (const name of other.output) reached.add(name);
  }
  return graph.output.every(({ name }) => !reached.has(name));
}
