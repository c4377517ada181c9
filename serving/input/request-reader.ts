import type { InputSchema } from './input-schema.ts';
import { InvocationScanner } from './invocation-scanner.ts';
import { readInvocation } from './invocations.ts';
import type { JsonBody } from './json.ts';
import type { RequestRows } from './key-columns.ts';
import { TensorScanner } from './tensor-scanner.ts';
import { readTensors, type TensorRequest } from './tensors.ts';

const invocationScanners = new WeakMap<InputSchema, InvocationScanner>();
const tensorScanners = new WeakMap<InputSchema, TensorScanner>();

/**
 * Reads a body of MLflow's scoring protocol: by the scanner where it takes it, else by {@link readInvocation}, which
 * has the last word on what is refused.
 *
 * @throws RequestError 400, 413
 */
export function readInvocationBody(schema: InputSchema, body: JsonBody): RequestRows {
  let scanner = invocationScanners.get(schema);
  if (!scanner) {
    scanner = new InvocationScanner(schema);
    invocationScanners.set(schema, scanner);
  }
  return scanner.scan(body.bytes) ?? readInvocation(schema, body.value);
}

/**
 * Reads an inference request of the Open Inference Protocol: by the scanner where it takes it, else by
 * {@link readTensors}.
 *
 * @param bytes what stands behind the JSON of a request with binary tensors
 * @throws RequestError 400, 413
 */
export function readTensorBody(
  schema: InputSchema,
  outputNames: readonly string[],
  json: JsonBody,
  bytes: Buffer | undefined,
): TensorRequest {
  let scanner = tensorScanners.get(schema);
  if (!scanner) {
    scanner = new TensorScanner(schema, outputNames);
    tensorScanners.set(schema, scanner);
  }
  return scanner.scan(json.bytes, bytes) ?? readTensors(schema, outputNames, json.value, bytes);
}
