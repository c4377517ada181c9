import { toBinary } from '@bufbuild/protobuf';
import { readModel, valueInfo } from '../onnx/graph.ts';
import { type GraphProto, ModelProtoSchema, type NodeProto } from '../onnx/onnx_pb.ts';
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
  const trees = graph.node.filter(({ opType }) => opType.startsWith('TreeEnsemble'));
  const [node] = trees;
  const matrix = node?.input[0];
  if (!node || trees.length > 1 || matrix === undefined || !decidesAll(graph, node)) return undefined;
  const ensemble = TreeEnsemble.of(node);
  if (!ensemble) return undefined;

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
