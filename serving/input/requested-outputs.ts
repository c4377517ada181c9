import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';
import { isObject } from './json.ts';

/** An output that the answer must have. */
export interface RequestedOutput {
  readonly name: string;
  /** As bytes behind the answer's JSON, instead of JSON. */
  readonly binary: boolean;
}

/**
 * The outputs that a request of the Open Inference Protocol asks for, in its order; all of the model's where it names
 * none.
 *
 * @param outputs the request's `outputs`, @param parameters the request's own, @param known what the model gives
 * @throws RequestError 400
 */
export function requestedOutputs(
  outputs: unknown,
  parameters: unknown,
  known: readonly string[],
): RequestedOutput[] {
  const binary = isObject(parameters) && parameters.binary_data_output === true;
  if (outputs !== undefined && !Array.isArray(outputs))
    throw badRequest(`outputs must be a list of objects with a name, got ${describe(outputs)}`);
  // As in the protocol, an empty list asks for no output in particular, and so for all.
  if (outputs === undefined || outputs.length === 0) return known.map((name) => ({ name, binary }));
  const requested = outputs.map((output: unknown, position) => {
    const name = isObject(output) ? output.name : undefined;
    if (!isObject(output) || typeof name !== 'string' || !known.includes(name))
      throw badRequest(`outputs[${position}]: the model has no such output; it has ${known.join(', ')}`);
    return { name, binary: binaryWish(output.parameters, position) ?? binary };
  });
  if (new Set(requested.map(({ name }) => name)).size !== requested.length)
    throw badRequest('outputs names an output twice; ask for each once');
  return requested;
}

/** What would change the answer's meaning cannot be passed over as other unknown parameters are. */
function binaryWish(parameters: unknown, position: number): boolean | undefined {
  if (!isObject(parameters)) return undefined;
  for (const name of ['classification', 'shared_memory_region'])
    if (Object.hasOwn(parameters, name))
      throw badRequest(`outputs[${position}]: the parameter ${name} is not supported; leave it out`);
  const wish = parameters.binary_data;
  return typeof wish === 'boolean' ? wish : undefined;
}
