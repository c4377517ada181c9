import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { valueInfo } from './graph.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { type TensorValue, tensorProto } from './tensor.ts';
import { fieldsOf, type WireField, walkFields } from './wire.ts';

/** Number of a model's graph in onnx.proto. */
export const GRAPH_FIELD = 7;
/** Numbers of fields in onnx.proto. */
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13, quantization: 14 } as const;
const NODE = { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = { graph: 6, graphs: 11 } as const;
const TENSOR_NAME = 8;

const BOOLEAN_OPERATORS = new Set(
  'And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor'.split(' '),
);

/** A node; an operator of another domain than ONNX's own has the domain before its name. */
export interface GraphNode {
  readonly field: WireField;
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Uint8Array[];
}

/** A graph that is being changed; what is not touched is copied as bytes, never decoded. */
export class GraphEdit {
  readonly outputs: ReadonlySet<string>;
  readonly #values: Set<string>;
  readonly #before: Uint8Array[] = [];
  readonly #after: Uint8Array[] = [];
  readonly #dropped = new Set<WireField>();

  private constructor(
    private readonly fields: readonly WireField[],
    readonly nodes: readonly GraphNode[],
    private readonly inputs: ReadonlyMap<string, WireField>,
    private readonly outputFields: ReadonlyMap<string, WireField>,
    private readonly initializers: ReadonlyMap<string, WireField>,
  ) {
    this.outputs = new Set(outputFields.keys());
    this.#values = new Set([
      ...inputs.keys(),
      ...initializers.keys(),
      ...nodes.flatMap((node) => [...node.inputs, ...node.outputs]),
    ]);
  }

  /** `undefined` for what cannot be changed safely: inner graphs read values by name, quantization names them. */
  static read(bytes: Uint8Array): GraphEdit | undefined {
    const fields = fieldsOf(bytes).filter(({ type }) => type === 2);
    const of = (number: number): WireField[] => fields.filter((field) => field.number === number);
    if (of(GRAPH.quantization).length > 0) return undefined;
    const nodes = of(GRAPH.node).map(readNode);
    if (nodes.some(({ attributes }) => attributes.some(holdsGraph))) return undefined;
    const valueName = ({ content }: WireField): string => fromBinary(ValueInfoProtoSchema, content).name;
    return new GraphEdit(
      fields,
      nodes,
      new Map(of(GRAPH.input).map((field) => [valueName(field), field])),
      new Map(of(GRAPH.output).map((field) => [valueName(field), field])),
      new Map(of(GRAPH.initializer).map((field) => [textField(field.content, TENSOR_NAME), field])),
    );
  }

  /** Whether this is an input, float, of one dimension that varies, without a default. */
  hasFloatVector(name: string): boolean {
    return !this.initializers.has(name) && isVector(this.inputs.get(name), TensorProto_DataType.FLOAT);
  }

  hasTextVector(output: string): boolean {
    return isVector(this.outputFields.get(output), TensorProto_DataType.STRING);
  }

  /** The node that makes a value. */
  maker(name: string): GraphNode | undefined {
    return this.nodes.find(({ outputs }) => outputs.includes(name));
  }

  /** Whether a node, all of whose inputs are vectors, puts them one after the other. */
  isConcatOfVectors(node: GraphNode): boolean {
    const [output, ...more] = node.outputs;
    if (node.opType !== 'Concat' || output === undefined || more.length > 0 || this.outputs.has(output))
      return false;
    const axis = integer(node, 'axis');
    return axis === 0n || axis === -1n;
  }

  hasAxisZero(gather: GraphNode): boolean {
    return (integer(gather, 'axis') ?? 0n) === 0n;
  }

  /** The elements of a constant list of texts. */
  texts(name: string): string[] | undefined {
    const field = this.initializers.get(name);
    if (!field || this.inputs.has(name)) return undefined;
    const { dataType, dims, stringData } = fromBinary(TensorProtoSchema, field.content);
    const whole =
      dataType === TensorProto_DataType.STRING && dims.length === 1 && Number(dims[0]) === stringData.length;
    return whole ? stringData.map((text) => Buffer.from(text).toString('utf8')) : undefined;
  }

  /** A value that is this one as a number of 32 bits, whatever the data: a place among some, or a truth. */
  smallNumber(name: string): string | undefined {
    const maker = this.maker(name);
    if (maker?.opType === 'ArgMax') return name;
    const [truth = ''] = maker?.opType === 'Cast' ? maker.inputs : [];
    return BOOLEAN_OPERATORS.has(this.maker(truth)?.opType ?? '') ? truth : undefined;
  }

  /** A name that no value has yet. */
  free(hint: string): string {
    let name = `serving/${hint}`;
    while (this.#values.has(name)) name += '_';
    this.#values.add(name);
    return name;
  }

  removeInputs(names: readonly string[]): void {
    for (const name of names) this.#drop(this.inputs.get(name));
  }

  /** Adds a float input; a value of that name, which a node made, needs to be told no more. */
  addInput(name: string): void {
    this.#before.push(
      lengthDelimited(GRAPH.input, toBinary(ValueInfoProtoSchema, valueInfo(name, 'float', ['packed']))),
    );
    for (const field of this.fields)
      if (field.number === GRAPH.valueInfo && fromBinary(ValueInfoProtoSchema, field.content).name === name)
        this.#drop(field);
  }

  replaceOutput(name: string, replacement: string): void {
    this.#drop(this.outputFields.get(name));
    const value = toBinary(ValueInfoProtoSchema, valueInfo(replacement, 'int32', ['batch']));
    this.#after.push(lengthDelimited(GRAPH.output, value));
  }

  addConstant(value: TensorValue): string {
    const name = this.free('constant');
    this.#before.push(
      lengthDelimited(GRAPH.initializer, toBinary(TensorProtoSchema, tensorProto(name, value))),
    );
    return name;
  }

  prepend(opType: string, inputs: string[], output: string): void {
    this.#before.push(nodeField(opType, inputs, output, {}));
  }

  append(opType: string, inputs: string[], output: string, attributes: Record<string, bigint>): void {
    this.#after.push(nodeField(opType, inputs, output, attributes));
  }

  remove(node: GraphNode): void {
    this.#drop(node.field);
  }

  build(): Uint8Array {
    const kept = this.fields.filter((field) => !this.#dropped.has(field)).map(({ whole }) => whole);
    return Buffer.concat([...this.#before, ...kept, ...this.#after]);
  }

  #drop(field: WireField | undefined): void {
    if (field) this.#dropped.add(field);
  }
}

function readNode(field: WireField): GraphNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Uint8Array[] = [];
  let [opType, domain] = ['', ''];
  for (const { number, type, content } of fieldsOf(field.content)) {
    if (type !== 2) continue;
    if (number === NODE.input) inputs.push(text(content));
    else if (number === NODE.output) outputs.push(text(content));
    else if (number === NODE.opType) opType = text(content);
    else if (number === NODE.domain) domain = text(content);
    else if (number === NODE.attribute) attributes.push(content);
  }
  // An operator of another domain is none that is known here, whatever its name.
  const plain = domain === '' || domain === 'ai.onnx';
  return { field, opType: plain ? opType : `${domain}:${opType}`, inputs, outputs, attributes };
}

function nodeField(
  opType: string,
  input: string[],
  output: string,
  attributes: Record<string, bigint>,
): Uint8Array {
  const attribute: AttributeProto[] = Object.entries(attributes).map(([name, i]) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i }),
  );
  const node = create(NodeProtoSchema, { name: output, opType, input, output: [output], attribute });
  return lengthDelimited(GRAPH.node, toBinary(NodeProtoSchema, node));
}

/** An attribute of a node with few of them, which is not there by default. */
function integer(node: GraphNode, name: string): bigint | undefined {
  return node.attributes
    .map((bytes) => fromBinary(AttributeProtoSchema, bytes))
    .find((own) => own.name === name)?.i;
}

function holdsGraph(attribute: Uint8Array): boolean {
  let found = false;
  walkFields(attribute, (number) => {
    found ||= number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs;
  });
  return found;
}

/** Whether a value has one dimension that varies. */
function isVector(field: WireField | undefined, elemType: number): boolean {
  const type = field && fromBinary(ValueInfoProtoSchema, field.content).type?.value;
  if (type?.case !== 'tensorType' || type.value.elemType !== elemType) return false;
  const dims = type.value.shape?.dim;
  return dims?.length === 1 && dims[0]?.value.case !== 'dimValue';
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function textField(message: Uint8Array, wanted: number): string {
  let found = '';
  walkFields(message, (number, type, _start, content, end) => {
    if (number === wanted && type === 2) found = text(message.subarray(content, end));
  });
  return found;
}

/** A message as a field of another. */
export function lengthDelimited(number: number, content: Uint8Array): Uint8Array {
  const varint = (value: number): number[] =>
    value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
  return Buffer.concat([Uint8Array.from([...varint((number << 3) | 2), ...varint(content.length)]), content]);
}
