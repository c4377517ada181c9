import { PerennialError } from '../../contracts/errors.ts';
import { DEFAULT_OPSET, ML_DOMAIN, ML_OPSET, TEXT_OPSET } from './graph.ts';
import type { GraphProto, ModelProto } from './onnx_pb.ts';

/**
 * For each plain operator, the opset from which on its meaning is the one of {@link DEFAULT_OPSET}: what changed
 * later only added types or optional things. An older model that uses only such operators is a model of the newer
 * opset as it stands. The versions at which operators changed are those of the schemas in the onnx package; which
 * changes matter was judged by hand, and an operator that is not listed is taken at opset 17 only.
 */
const SAME_SINCE: Readonly<Record<string, number>> = {
  ...since(
    1,
    'ArgMax ArgMin Constant Flatten Gather Identity MatMul Not ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp',
  ),
  ...since(
    1,
    'ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Shape Size Softplus Softsign Transpose',
  ),
  ...since(4, 'Concat'),
  ...since(5, 'Reshape'),
  ...since(
    6,
    'Abs Cast Ceil Elu Exp Floor HardSigmoid LeakyRelu Log Neg Reciprocal Relu Selu Sigmoid Sqrt Tanh Tile',
  ),
  ...since(7, 'Add And Cos Div Equal Gemm Greater Less Mul Or PRelu Pow Sin Sub Tan Xor'),
  ...since(8, 'Expand Max Mean Min Sum'),
  ...since(9, 'Compress ConstantOfShape Erf IsNaN NonZero OneHot Shrink Sign Where'),
  ...since(10, 'IsInf Mod Slice ThresholdedRelu'),
  ...since(11, 'Clip CumSum GatherElements GatherND Range Round ScatterElements ScatterND TopK Unique'),
  ...since(12, 'Dropout Einsum GreaterOrEqual LessOrEqual'),
  ...since(13, 'Hardmax LogSoftmax ReduceSum Softmax Split Squeeze Unsqueeze'),
  ...since(14, 'HardSwish Trilu'),
  ...since(15, 'BatchNormalization'),
};

/** Operators of the list that changed after {@link DEFAULT_OPSET}: axes and the number of parts are told differently. */
const CHANGED_AFTER = new Set(
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Split'.split(
    ' ',
  ),
);

/** The operators of `ai.onnx.ml` that did not change up to {@link ML_OPSET}; LabelEncoder did in 2. */
const SAME_SINCE_ML: Readonly<Record<string, number>> = { LabelEncoder: 2 };

/**
 * Refuses a model that is not also a model of the composed graph's opset.
 *
 * @param opset of the composed graph: {@link DEFAULT_OPSET}, or {@link TEXT_OPSET} where the features need it
 * @param what the model is called in the error
 * @throws PerennialError `ModelInvalid` that names the opset or operator and the remedy
 */
export function requireSupportedOperators(
  model: ModelProto & { graph: GraphProto },
  opset: number = DEFAULT_OPSET,
  what = 'The trained model',
): void {
  const refuse = (problem: string): never => {
    throw new PerennialError(
      'ModelInvalid',
      `${what} ${problem}: export it with opset ${opset} and ${ML_DOMAIN} ${ML_OPSET}.`,
    );
  };
  const opsets = new Map(
    model.opsetImport.map(({ domain, version }) => [plainDomain(domain), Number(version)]),
  );
  const plain = opsets.get('') ?? DEFAULT_OPSET;
  if (plain > opset) refuse(`has opset ${plain}`);
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
      } else if (plain < sameSince(opType, opset)) {
        refuse(`uses ${opType} of opset ${plain}`);
      }
    }
  }
}

/** From which opset on an operator means what it means in `opset`. */
function sameSince(opType: string, opset: number): number {
  if (opset >= TEXT_OPSET && CHANGED_AFTER.has(opType)) return opset;
  return SAME_SINCE[opType] ?? opset;
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
