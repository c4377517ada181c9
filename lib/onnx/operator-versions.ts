import { PerennialError } from '../../contracts/errors.ts';
import { DEFAULT_OPSET, ML_DOMAIN, ML_OPSET } from './graph.ts';
import type { GraphProto, ModelProto } from './onnx_pb.ts';

/** The oldest opset that a trainer's model may have. */
const OLDEST_OPSET = 9;

/**
 * For each plain operator, the opset from which on its meaning is the one of {@link DEFAULT_OPSET}: what changed
 * later only added types or optional things. An older model that uses only such operators is a model of the newer
 * opset as it stands. Read off the change log of the ONNX operators (docs/Changelog.md of onnx/onnx).
 */
const SAME_SINCE: Readonly<Record<string, number>> = {
  ...since(
    9,
    'Abs Add And ArgMax ArgMin Cast Ceil Compress Concat Constant ConstantOfShape Cos Div Elu Equal Erf Exp Expand',
  ),
  ...since(
    9,
    'Flatten Floor Gather Gemm Greater HardSigmoid Identity IsNaN LeakyRelu Less Log MatMul Max Mean Min Mul Neg',
  ),
  ...since(
    9,
    'NonZero Not OneHot Or PRelu Pow Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean',
  ),
  ...since(
    9,
    'ReduceMin ReduceProd ReduceSumSquare Relu Reshape Selu Shape Shrink Sigmoid Sign Sin Size Softplus Softsign',
  ),
  ...since(9, 'Sqrt Sub Sum Tan Tanh Tile Transpose Where Xor'),
  ...since(10, 'IsInf Mod Slice ThresholdedRelu'),
  ...since(11, 'Clip CumSum GatherElements GatherND Range Round ScatterElements ScatterND TopK Unique'),
  ...since(12, 'Dropout Einsum GreaterOrEqual LessOrEqual'),
  ...since(13, 'Hardmax LogSoftmax ReduceSum Softmax Split Squeeze Unsqueeze'),
  ...since(14, 'HardSwish Trilu'),
  ...since(15, 'BatchNormalization'),
};

/** The operators of `ai.onnx.ml` that did not change up to {@link ML_OPSET}; LabelEncoder did in 2. */
const SAME_SINCE_ML: Readonly<Record<string, number>> = { LabelEncoder: 2 };

/**
 * Refuses a model that is not also a model of the composed graph's opset.
 *
 * @throws PerennialError `ModelInvalid` that names the opset or operator and the remedy
 */
export function requireSupportedOperators(model: ModelProto & { graph: GraphProto }): void {
  const refuse = (what: string): never => {
    throw new PerennialError(
      'ModelInvalid',
      `The trained model ${what}: export it with opset ${DEFAULT_OPSET} (or one from ${OLDEST_OPSET} on that has the same operators) and ${ML_DOMAIN} ${ML_OPSET} or older.`,
    );
  };
  const opsets = new Map(
    model.opsetImport.map(({ domain, version }) => [plainDomain(domain), Number(version)]),
  );
  const plain = opsets.get('') ?? DEFAULT_OPSET;
  if (plain < OLDEST_OPSET || plain > DEFAULT_OPSET) refuse(`has opset ${plain}`);
  const classical = opsets.get(ML_DOMAIN) ?? ML_OPSET;
  if (classical > ML_OPSET) refuse(`has ${ML_DOMAIN} opset ${classical}`);
  if (model.functions.length > 0) refuse('defines functions of its own');

  for (const graph of [model.graph, ...subgraphs(model.graph)]) {
    for (const { opType, domain } of graph.node) {
      const home = plainDomain(domain);
      if (home === ML_DOMAIN) {
        if (classical < (SAME_SINCE_ML[opType] ?? 1)) refuse(`uses ${opType} of ${ML_DOMAIN} ${classical}`);
      } else if (home !== '') {
        refuse(`uses ${opType} of the domain "${home}", which not every ONNX host has`);
      } else if (plain < (SAME_SINCE[opType] ?? DEFAULT_OPSET)) {
        refuse(`uses ${opType} of opset ${plain}`);
      }
    }
  }
}

/** All graphs inside of a graph's nodes (branches, loop bodies), at any depth. */
export function subgraphs(graph: GraphProto): GraphProto[] {
  return graph.node
    .flatMap((node) => node.attribute)
    .flatMap((attribute) => [...(attribute.g ? [attribute.g] : []), ...attribute.graphs])
    .flatMap((inner) => [inner, ...subgraphs(inner)]);
}

const plainDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

function since(opset: number, names: string): Record<string, number> {
  return Object.fromEntries(names.split(' ').map((name) => [name, opset]));
}
