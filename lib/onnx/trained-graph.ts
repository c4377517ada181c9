import { PerennialError } from '../../contracts/errors.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { keepOutput, requireSelfContained } from './embed.ts';
import { readModel } from './graph.ts';
import { type GraphProto, type ModelProto, TensorProto_DataType, type ValueInfoProto } from './onnx_pb.ts';
import { requireSupportedOperators } from './operator-versions.ts';

/** A trainer's model, checked and reduced to what is served. */
export interface TrainedGraph {
  model: ModelProto & { graph: GraphProto };
  /** Name of its input, float `[batch, f]`. */
  input: string;
  /** Name of its one output: probabilities float `[batch, classes]`, or predictions float `[batch, 1]` or `[batch]`. */
  output: string;
}

/**
 * Reads a trainer's ONNX model and checks it against the trainer contract. Outputs other than `probabilities` (or
 * `prediction`; or the only float output, whatever its name) are taken out.
 *
 * @param features the width of the feature matrix, @param classes how many classes there are (0 for regression)
 * @param opset of the graph that it becomes part of
 * @throws PerennialError `ModelInvalid` with what is wrong and the remedy
 */
export function trainedGraph(
  bytes: Uint8Array,
  task: Task,
  features: number,
  classes: number,
  opset?: number,
): TrainedGraph {
  const model = readModel(bytes);
  const { graph } = model;
  // Old exporters list constants among the inputs as well.
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !constants.has(name));
  const [input] = inputs;
  if (!input || inputs.length > 1) {
    throw invalid(
      `has ${inputs.length} inputs (${list(inputs)}); it must have one, "features" float [batch, ${features}]`,
    );
  }
  requireFloat(input, 'input');
  const width = dimensions(input)?.[1];
  if (dimensions(input)?.length !== 2 || (width !== undefined && width !== features)) {
    throw invalid(
      `takes "${input.name}" ${shape(input)}, but the feature matrix is [batch, ${features}]: train it on this very matrix`,
    );
  }

  const output = answer(graph, task);
  const dims = dimensions(output);
  const last = dims?.[1];
  const wanted = task === 'regression' ? 1 : classes;
  const flat = dims?.length === 1 && task === 'regression';
  if (dims && !flat && (dims.length !== 2 || (last !== undefined && last !== wanted))) {
    throw invalid(`gives "${output.name}" ${shape(output)}, but [batch, ${wanted}] is needed`);
  }
  keepOutput(graph, output);
  requireSelfContained(graph);
  requireSupportedOperators(model, opset);
  return { model, input: input.name, output: output.name };
}

function answer(graph: GraphProto, task: Task): ValueInfoProto {
  const name = task === 'regression' ? 'prediction' : 'probabilities';
  const named = graph.output.find((output) => output.name === name);
  const floats = graph.output.filter(isFloat);
  const output = named ?? (floats.length === 1 ? floats[0] : undefined);
  if (!output) throw invalid(`has the outputs ${list(graph.output)}, but none is "${name}"`);
  requireFloat(output, 'output');
  return output;
}

/** Sizes of a tensor's dimensions, `undefined` for one that varies; or nothing at all where no shape is told. */
export function dimensions(value: ValueInfoProto): (number | undefined)[] | undefined {
  if (value.type?.value.case !== 'tensorType') return undefined;
  return value.type.value.value.shape?.dim.map((dim) =>
    dim.value.case === 'dimValue' && dim.value.value > 0n ? Number(dim.value.value) : undefined,
  );
}

function isFloat(value: ValueInfoProto): boolean {
  return (
    value.type?.value.case === 'tensorType' && value.type.value.value.elemType === TensorProto_DataType.FLOAT
  );
}

function requireFloat(value: ValueInfoProto, what: string): void {
  if (!isFloat(value))
    throw invalid(`has the ${what} "${value.name}", which is no float tensor: export it as float32`);
}

const list = (values: readonly ValueInfoProto[]): string =>
  values.map(({ name }) => `"${name}"`).join(', ') || 'none';

const shape = (value: ValueInfoProto): string =>
  `[${(dimensions(value) ?? []).map((size) => size ?? 'any').join(', ')}]`;

function invalid(problem: string): PerennialError {
  return new PerennialError('ModelInvalid', `The trained model ${problem}.`);
}
