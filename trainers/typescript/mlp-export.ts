import { createRequire } from 'node:module';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import type { Network } from './network.ts';
import type { Objective } from './objective.ts';
import { type Scaling, scaledRows } from './scaling.ts';
import type { Fold } from './training-data.ts';

const CHECKED_ROWS = 1000;
const TOLERANCE = 1e-4;

/** The network as ONNX: scaling, layers, and the softmax or the way back to the target's unit. */
export function exportMlp(network: Network, scaling: Scaling, objective: Objective): Uint8Array {
  const graph = new OnnxGraphBuilder('mlp');
  const { sizes, weights, layers } = network;
  const constant = (hint: string, data: Float32Array, dims: number[]) =>
    graph.initializer(hint, { type: 'float', dims, data });
  const features = sizes[0] ?? 0;
  let value = graph.input('features', 'float', ['batch', features]);
  value = graph.op('Sub', [value, constant('mean', scaling.mean, [features])]);
  value = graph.op('Mul', [value, constant('inverse', scaling.inverse, [features])]);
  for (let layer = 0; layer < layers; layer++) {
    const [inputs = 0, units = 0] = sizes.slice(layer, layer + 2);
    const [matrix = new Float32Array(), bias = new Float32Array()] = weights.slice(2 * layer, 2 * layer + 2);
    value = graph.op('Gemm', [
      value,
      constant('weights', matrix, [inputs, units]),
      constant('bias', bias, [units]),
    ]);
    if (layer < layers - 1) value = graph.op('Relu', [value]);
  }
  const { target, outputs } = objective;
  if (target) {
    value = graph.op('Div', [value, constant('inverse', target.inverse, [1])]);
    value = graph.op('Add', [value, constant('mean', target.mean, [1])], { output: 'prediction' });
  } else {
    value = graph.op('Softmax', [value], { attributes: { axis: 1n }, output: 'probabilities' });
  }
  graph.output(value, 'float', ['batch', outputs]);
  return graph.build();
}

/**
 * Compares the exported model with the network on up to 1,000 training rows.
 *
 * @throws PerennialError `TrainerContract` where a probability differs by more than 1e-4, or a number by more
 *   than 1e-4 of the predictions' scale
 */
export async function checkExport(
  model: Uint8Array,
  network: Network,
  scaling: Scaling,
  objective: Objective,
  train: Fold,
): Promise<void> {
  const step = Math.ceil(train.rows / CHECKED_ROWS);
  const rows = Uint32Array.from({ length: Math.ceil(train.rows / step) }, (_, index) => index * step);
  const expected = expectedOutputs(network.predict(scaledRows(train, rows, scaling), rows.length), objective);
  const raw = new Float32Array(rows.length * train.columns);
  rows.forEach((row, index) => {
    raw.set(train.features.subarray(row * train.columns, (row + 1) * train.columns), index * train.columns);
  });
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const answer = await session.run({ features: new Tensor('float32', raw, [rows.length, train.columns]) });
  const actual = answer[objective.target ? 'prediction' : 'probabilities']?.data;
  await session.release();
  if (!(actual instanceof Float32Array) || actual.length !== expected.length) {
    throw new PerennialError(
      'TrainerContract',
      'The exported ONNX model gives another number of values than the network.',
    );
  }
  let scale = 1;
  let difference = 0;
  expected.forEach((value, index) => {
    if (objective.target) scale = Math.max(scale, Math.abs(value));
    const distance = Math.abs(value - (actual[index] ?? Number.NaN));
    // Written so that NaN counts as a difference.
    if (!(distance <= difference)) difference = distance;
  });
  if (!(difference <= TOLERANCE * scale)) {
    throw new PerennialError(
      'TrainerContract',
      `The exported ONNX model differs from the trained one by ${difference.toPrecision(3)} on ${rows.length} training rows ` +
        `(allowed: ${(TOLERANCE * scale).toPrecision(3)}). Scale features with very large or very small values.`,
    );
  }
}

function expectedOutputs(values: Float32Array, { target, outputs }: Objective): Float64Array {
  if (target) {
    return Float64Array.from(values, (value) => value / (target.inverse[0] ?? 1) + (target.mean[0] ?? 0));
  }
  const probabilities = new Float64Array(values.length);
  for (let start = 0; start < values.length; start += outputs) {
    const logits = values.subarray(start, start + outputs);
    const highest = Math.max(...logits);
    const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
    const sum = powers.reduce((total, power) => total + power, 0);
    powers.forEach((power, column) => {
      probabilities[start + column] = power / sum;
    });
  }
  return probabilities;
}

/** Versions of the packages that trained and checked. */
export function libraryVersions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const version = (name: string): string => require(`${name}/package.json`).version;
  return Object.fromEntries(
    ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm', 'onnxruntime-node'].map((name) => [
      name,
      version(name),
    ]),
  );
}
