import { fromBinary } from '@bufbuild/protobuf';
import { isNumberInput, type ModelSignature } from '../../contracts/serving.ts';
import { GRAPH_FIELD, GraphEdit, lengthDelimited } from './graph-edit.ts';
import { OperatorSetIdProtoSchema, TensorProto_DataType } from './onnx_pb.ts';
import { fieldsOf, type WireField } from './wire.ts';

/** From here on every operator that is added means what it does now. */
const MIN_OPSET = 13;
/** Of a model in onnx.proto. */
const OPSET_FIELD = 8;

/** How a graph is called that was made cheaper to call. */
export interface ServingCall {
  /**
   * The input, float `[columns × rows]`, that stands for all numeric and boolean columns: one after the other in the
   * signature's order. `undefined` where every column has an input of its own.
   */
  readonly packed: string | undefined;
  /** Text outputs that are answered as the place in a list of texts: the int32 output to ask for, by the text's name. */
  readonly coded: ReadonlyMap<string, CodedOutput>;
}

/** A graph that answers as another one does, and is cheaper to call. */
export interface ServingGraph extends ServingCall {
  readonly onnx: Uint8Array;
}

/** The place of a text in a list stands for it; a negative one counts from the end, as with ONNX's Gather. */
export interface CodedOutput {
  readonly output: string;
  readonly texts: readonly string[];
}

/**
 * Derives the graph that a server runs from the one that is registered: passing a tensor costs more than computing a
 * row of it.
 *
 * - All numeric and boolean columns become one input. A composed graph begins by putting its number columns one after
 *   the other (Concat of vectors along axis 0), which is what the caller lays out in the first place; columns in another
 *   order, some of them, or single ones are gathered out of it. Only bytes are moved: the answers are the same, bit for
 *   bit.
 * - A text that is looked up in a list by a number that cannot lie outside of 32 bits (Gather by ArgMax or by a
 *   comparison) is answered as that number.
 *
 * Where a graph is not of this kind, or it would not pay, it stays as it is. Trees are copied as bytes, not decoded.
 *
 * @param onnx bytes that `requireLoadable` has passed
 */
export function servingGraph(onnx: Uint8Array, signature: ModelSignature): ServingGraph {
  const asItIs: ServingGraph = { onnx, packed: undefined, coded: new Map() };
  const model = fieldsOf(onnx);
  const [graphField, ...others] = model.filter(({ number, type }) => number === GRAPH_FIELD && type === 2);
  if (!graphField || others.length > 0 || opsetOf(model) < MIN_OPSET) return asItIs;
  const graph = GraphEdit.read(graphField.content);
  if (!graph) return asItIs;
  const packed = packInputs(graph, signature);
  const coded = codeOutputs(graph, signature);
  if (packed === undefined && coded.size === 0) return asItIs;
  const bytes = Buffer.concat(
    model.map((field) => (field === graphField ? lengthDelimited(GRAPH_FIELD, graph.build()) : field.whole)),
  );
  return { onnx: bytes, packed, coded };
}

/** Puts the numeric columns into one input; answers its name. */
function packInputs(graph: GraphEdit, { inputs }: ModelSignature): string | undefined {
  const columns = inputs.flatMap(({ name, kind }) => (isNumberInput(kind) ? [name] : []));
  const places = new Map(columns.map((name, place) => [name, place]));
  if (columns.length < 2 || places.size < columns.length) return undefined;
  if (!columns.every((name) => graph.hasFloatVector(name) && !graph.outputs.has(name))) return undefined;

  const readers = graph.nodes.filter(({ inputs: read }) => read.some((name) => places.has(name)));
  const joins = readers.filter(
    (node) => node.inputs.every((name) => places.has(name)) && graph.isConcatOfVectors(node),
  );
  const whole = joins.find(
    ({ inputs: read }) =>
      read.length === columns.length && read.every((name, place) => name === columns[place]),
  );
  const gathered = joins.filter((node) => node !== whole);
  const single = new Set(readers.filter((node) => !joins.includes(node)).flatMap(({ inputs: read }) => read));
  const singles = columns.filter((name) => single.has(name));
  const added = (gathered.length > 0 || singles.length > 0 ? 1 : 0) + 2 * gathered.length + singles.length;
  if (added >= columns.length - 1) return undefined;

  const packed = whole?.outputs[0] ?? graph.free('numbers');
  graph.removeInputs(columns);
  graph.addInput(packed);
  if (whole) graph.remove(whole);
  if (added === 0) return packed;
  const index = (data: number[], dims: number[]): string => graph.addConstant({ type: 'int64', dims, data });
  const rows = graph.free('columns');
  graph.prepend('Reshape', [packed, index([columns.length, -1], [2])], rows);
  for (const node of gathered) {
    const [output = ''] = node.outputs;
    const taken = graph.free('taken');
    const order = node.inputs.map((name) => places.get(name) ?? 0);
    graph.prepend('Gather', [rows, index(order, [order.length])], taken);
    graph.prepend('Reshape', [taken, index([-1], [1])], output);
    graph.remove(node);
  }
  // The column keeps its name: who reads it is not changed.
  for (const name of singles) graph.prepend('Gather', [rows, index([places.get(name) ?? 0], [])], name);
  return packed;
}

/** Replaces texts that are looked up by their places. */
function codeOutputs(graph: GraphEdit, { outputs }: ModelSignature): Map<string, CodedOutput> {
  const coded = new Map<string, CodedOutput>();
  for (const { name, kind } of outputs) {
    const lookUp = kind === 'string' ? graph.maker(name) : undefined;
    if (lookUp?.opType !== 'Gather' || !graph.hasAxisZero(lookUp)) continue;
    const [list = '', place = ''] = lookUp.inputs;
    const [texts, number] = [graph.texts(list), graph.smallNumber(place)];
    // Rank 1 of the text is rank 1 of its place, for the list has rank 1.
    if (!texts || number === undefined || !graph.hasTextVector(name)) continue;
    const output = graph.free('place');
    graph.append('Cast', [number], output, { to: BigInt(TensorProto_DataType.INT32) });
    graph.replaceOutput(name, output);
    if (!graph.nodes.some(({ inputs }) => inputs.includes(name))) graph.remove(lookUp);
    coded.set(name, { output, texts });
  }
  return coded;
}

function opsetOf(model: readonly WireField[]): number {
  const versions = model
    .filter(({ number, type }) => number === OPSET_FIELD && type === 2)
    .map(({ content }) => fromBinary(OperatorSetIdProtoSchema, content))
    .filter(({ domain }) => domain === '' || domain === 'ai.onnx')
    .map(({ version }) => Number(version));
  return versions.length === 1 ? (versions[0] ?? 0) : 0;
}
