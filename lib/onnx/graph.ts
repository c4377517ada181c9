import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { ELEMENT_TYPES, type ElementType, type TensorValue, tensorProto } from './tensor.ts';

/** The domain of the classical machine-learning operators (LabelEncoder, TreeEnsembleClassifier, …). */
export const ML_DOMAIN = 'ai.onnx.ml';
/** The opset of `ai.onnx.ml` that belongs to {@link DEFAULT_OPSET}. */
export const ML_OPSET = 3;
/** ONNX 1.12, known to every onnxruntime since 1.12; its operators are all that tabular graphs need. */
export const DEFAULT_OPSET = 17;
/** ONNX 1.15, known to every onnxruntime since 1.17: the first with operators that split and join text. */
export const TEXT_OPSET = 20;

/**
 * An attribute of a node. The JavaScript type decides the ONNX type, so that a float and an integer cannot be
 * mistaken for each other: `number` is a float, `bigint` an integer (`1n`), `{ tensor }` a tensor.
 * An empty list has no element to tell its type: leave such an attribute out.
 */
export type AttributeValue =
  | number
  | bigint
  | string
  | readonly number[]
  | readonly bigint[]
  | readonly string[]
  | { readonly tensor: TensorValue };

/** What a node may have beside its inputs. */
export interface NodeOptions {
  /** For example `{ axis: 1n, epsilon: 1e-5 }`. */
  attributes?: Readonly<Record<string, AttributeValue>>;
  /** `ai.onnx.ml` for the classical operators; the plain ONNX operators have none. */
  domain?: string;
  /** How many outputs the node has (named for you), or their names. Default 1. */
  outputs?: number | readonly string[];
}

/**
 * Builds one ONNX model, node after node, in topological order. The same calls give the same bytes.
 *
 * @example
 * const graph = new OnnxGraphBuilder('double-it');
 * const x = graph.input('x', 'float', ['batch']);
 * const two = graph.initializer('two', { type: 'float', dims: [], data: [2] });
 * graph.node('Mul', [x, two], { outputs: ['y'] });
 * graph.output('y', 'float', ['batch']);
 * await writeFile('model.onnx', graph.build());
 */
export class OnnxGraphBuilder {
  readonly #graph: GraphProto;
  readonly #names = new Set<string>();
  readonly #domains = new Map<string, number>();
  #counter = 0;

  /**
   * @param name the graph's name
   * @param opset version of the plain ONNX operators, default {@link DEFAULT_OPSET}
   */
  constructor(
    name: string,
    readonly opset: number = DEFAULT_OPSET,
  ) {
    this.#graph = create(GraphProtoSchema, { name });
    this.#domains.set('', opset);
  }

  /** Declares an input. Dimensions are numbers, or names such as `batch` for those that vary. */
  input(name: string, elementType: ElementType, dims: readonly (number | string)[]): string {
    this.#claim(name);
    this.#graph.input.push(valueInfo(name, elementType, dims));
    return name;
  }

  /** Declares that the value `name` of an earlier node (or input) is an output of the graph. */
  output(name: string, elementType: ElementType, dims: readonly (number | string)[]): void {
    if (!this.#names.has(name)) throw invalid(`The output "${name}" is not made by any node before it.`);
    this.#graph.output.push(valueInfo(name, elementType, dims));
  }

  /** Adds a constant. Its name starts with `hint` and is unique; returned to be used as a node's input. */
  initializer(hint: string, value: TensorValue): string {
    const name = this.#unique(hint);
    this.#graph.initializer.push(tensorProto(name, value));
    return name;
  }

  /**
   * Adds a node.
   *
   * @param inputs names of values that exist already; `''` leaves out an optional input
   * @returns the names of its outputs
   * @throws PerennialError `ModelInvalid` where an input is unknown or an output's name is taken
   */
  node(opType: string, inputs: readonly string[], options: NodeOptions = {}): string[] {
    for (const input of inputs) {
      if (input !== '' && !this.#names.has(input))
        throw invalid(`${opType} reads "${input}", which nothing made yet.`);
    }
    const { outputs = 1, domain = '', attributes = {} } = options;
    const names =
      typeof outputs === 'number'
        ? Array.from({ length: outputs }, () => this.#unique(opType))
        : outputs.map((name) => this.#claim(name));
    if (!this.#domains.has(domain)) this.#domains.set(domain, domain === ML_DOMAIN ? ML_OPSET : 1);
    this.#graph.node.push(
      create(NodeProtoSchema, {
        name: `${opType}#${this.#graph.node.length}`,
        opType,
        domain,
        input: [...inputs],
        output: names,
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      }),
    );
    return names;
  }

  /** {@link node} for the usual case of one output: returns its name. */
  op(
    opType: string,
    inputs: readonly string[],
    options: Omit<NodeOptions, 'outputs'> & { output?: string } = {},
  ): string {
    const { output, ...rest } = options;
    const [name] = this.node(opType, inputs, { ...rest, outputs: output === undefined ? 1 : [output] });
    if (name === undefined) throw invalid(`${opType} has no output.`);
    return name;
  }

  /**
   * Takes over all nodes and constants of another model. Its inputs must be values of this graph already, by the
   * same names; its other names must be new here. The caller has checked that its operators fit this opset.
   */
  embed({ graph, opsetImport }: ModelProto & { graph: GraphProto }): void {
    for (const tensor of graph.initializer) this.#claim(tensor.name);
    for (const { values } of graph.sparseInitializer) if (values) this.#claim(values.name);
    for (const node of graph.node) for (const name of node.output) if (name !== '') this.#claim(name);
    this.#graph.initializer.push(...graph.initializer);
    this.#graph.sparseInitializer.push(...graph.sparseInitializer);
    this.#graph.node.push(...graph.node);
    if (opsetImport.some(({ domain }) => domain === ML_DOMAIN)) this.#domains.set(ML_DOMAIN, ML_OPSET);
  }

  /**
   * The model's bytes.
   *
   * @param metadata key-value pairs that any ONNX host can read back
   */
  build(metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    if (this.#graph.output.length === 0) throw invalid(`The graph "${this.#graph.name}" has no output.`);
    return toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        irVersion: irVersion(this.opset),
        producerName: 'perennial-mlops',
        opsetImport: [...this.#domains].map(([domain, version]) =>
          create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
        ),
        graph: this.#graph,
        metadataProps: Object.entries(metadata).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value }),
        ),
      }),
    );
  }

  #claim(name: string): string {
    if (name === '') throw invalid('A value needs a name.');
    if (this.#names.has(name)) throw invalid(`Two values are named "${name}".`);
    this.#names.add(name);
    return name;
  }

  #unique(hint: string): string {
    let name: string;
    do name = `${hint}#${this.#counter++}`;
    while (this.#names.has(name));
    return this.#claim(name);
  }
}

/**
 * Parses an ONNX model.
 *
 * @throws PerennialError `ModelInvalid` where the bytes are no ONNX model with a graph
 */
export function readModel(bytes: Uint8Array): ModelProto & { graph: GraphProto } {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new PerennialError(
      'ModelInvalid',
      'The bytes are not an ONNX model: write it again, or check the file.',
      false,
      {
        cause,
      },
    );
  }
  const { graph } = model;
  if (!graph || graph.output.length === 0)
    throw invalid('The bytes are not an ONNX model: it has no graph with outputs.');
  return Object.assign(model, { graph });
}

/** An input or output of a graph, for those who assemble a `GraphProto` themselves. */
export function valueInfo(
  name: string,
  elementType: ElementType,
  dims: readonly (number | string)[],
): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: ELEMENT_TYPES[elementType],
          shape: {
            dim: dims.map((dim) => ({
              value:
                typeof dim === 'number'
                  ? ({ case: 'dimValue', value: BigInt(dim) } as const)
                  : ({ case: 'dimParam', value: dim } as const),
            })),
          },
        },
      },
    },
  });
}

/** The format version that belongs to an opset: the oldest that every supported host reads. */
export function irVersion(opset: number): bigint {
  if (opset <= 18) return 8n;
  return opset <= 20 ? 9n : 10n;
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  const Type = AttributeProto_AttributeType;
  const text = (item: string) => Buffer.from(item, 'utf8');
  if (typeof value === 'number') return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: value });
  if (typeof value === 'bigint') return create(AttributeProtoSchema, { name, type: Type.INT, i: value });
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: text(value) });
  if ('tensor' in value)
    return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: tensorProto('', value.tensor) });
  if (isEvery(value, 'number'))
    return create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: value });
  if (isEvery(value, 'bigint')) return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value });
  if (isEvery(value, 'string'))
    return create(AttributeProtoSchema, { name, type: Type.STRINGS, strings: value.map(text) });
  throw invalid(`The attribute "${name}" is an empty or mixed list.`);
}

interface PrimitiveTypes {
  number: number;
  bigint: bigint;
  string: string;
}

function isEvery<K extends keyof PrimitiveTypes>(
  list: readonly unknown[],
  type: K,
): list is PrimitiveTypes[K][] {
  return list.length > 0 && list.every((item) => typeof item === type);
}

function invalid(message: string): PerennialError {
  return new PerennialError('ModelInvalid', message);
}
