import { PerennialError } from '../../contracts/errors.ts';
import {
  isNumberInput,
  type ModelInput,
  type ModelOutput,
  type ModelSignature,
} from '../../contracts/serving.ts';
import type { EngineSession, EngineValue } from './engine-session.ts';
import type { ServingCall } from './serving-graph.ts';

type TensorType = 'float32' | 'float64' | 'string';

/** The tensor that each kind of column feeds. */
export const INPUT_TENSORS = {
  numeric: 'float32',
  boolean: 'float32',
  datetime: 'float64',
  categorical: 'string',
  text: 'string',
} as const satisfies Record<ModelInput['kind'], TensorType>;

const OUTPUT_TENSORS: Record<ModelOutput['kind'], readonly string[]> = {
  float: ['float32', 'float64'],
  string: ['string'],
};

/**
 * Holds a loaded graph against the signature; what the serving graph replaced was of the right type before.
 *
 * @throws PerennialError `ModelInvalid` that names the tensor
 */
export function checkSession(session: EngineSession, signature: ModelSignature, call: ServingCall): void {
  const { packed, coded } = call;
  const codes = new Set([...coded.values()].map(({ output }) => output));
  checkTensors(
    'input',
    session.inputs.filter(({ name }) => name !== packed),
    packed === undefined ? signature.inputs : signature.inputs.filter(({ kind }) => !isNumberInput(kind)),
    (input) => [INPUT_TENSORS[input.kind]],
  );
  checkTensors(
    'output',
    session.outputs.filter(({ name }) => !codes.has(name)),
    signature.outputs.filter(({ name }) => !coded.has(name)),
    (output) => OUTPUT_TENSORS[output.kind],
  );
}

/** Holds the graph's tensors of one side against the signature: same names, right types, one dimension that varies. */
function checkTensors<T extends { name: string; kind: string }>(
  side: 'input' | 'output',
  graph: readonly EngineValue[],
  expected: readonly T[],
  typesOf: (value: T) => readonly string[],
): void {
  const remedy = 'register the model again with the signature of its graph';
  const found = new Map(graph.map((value) => [value.name, value]));
  const seen = new Set<string>();
  for (const value of expected) {
    // A plain object is keyed by these names inside the engine's client.
    if (value.name === '__proto__' || seen.has(value.name))
      throw invalid(
        `the signature's ${side} "${value.name}" is there twice or has a reserved name; ${remedy}`,
      );
    seen.add(value.name);
    const tensor = found.get(value.name);
    if (!tensor)
      throw invalid(
        `the signature names the ${side} "${value.name}", which the graph does not have; ${remedy}`,
      );
    const types = typesOf(value);
    if (tensor.type === undefined || !types.includes(tensor.type))
      throw invalid(
        `the ${side} "${value.name}" is ${value.kind}, so the graph's tensor must be ${types.join(' or ')}, but it is ${tensor.type ?? 'no tensor'}; ${remedy}`,
      );
    if (tensor.shape.length !== 1 || typeof tensor.shape[0] !== 'string')
      throw invalid(
        `the ${side} "${value.name}" must have the shape [batch], but the graph says [${tensor.shape.join(', ')}]; compose the graph so that inputs and outputs are columns`,
      );
  }
  for (const name of found.keys())
    if (!seen.has(name))
      throw invalid(`the graph has the ${side} "${name}", which the signature does not name; ${remedy}`);
}

function invalid(message: string): PerennialError {
  return new PerennialError('ModelInvalid', message);
}
