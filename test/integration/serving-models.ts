import type { ModelSignature, ServedModel } from '../../contracts/serving.ts';
import { ML_DOMAIN, OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';

/** What {@link churnModel} takes and gives: one column of every kind, all but `age` optional. */
export const CHURN_SIGNATURE: ModelSignature = {
  inputs: [
    { name: 'age', kind: 'numeric', optional: false },
    { name: 'city', kind: 'categorical', optional: true },
    { name: 'active', kind: 'boolean', optional: true },
    { name: 'joined', kind: 'datetime', optional: true },
  ],
  outputs: [
    { name: 'label', kind: 'string' },
    { name: 'probability', kind: 'float' },
  ],
};

/**
 * A small binary model by hand:
 * `probability = sigmoid(0.03·age + city + active + 1e-10·joined − bias)`, with Ulm +1, Bonn −1, missing parts 0;
 * `label` is `yes` above one half.
 */
export function churnModel(bias = 1): Uint8Array {
  const graph = new OnnxGraphBuilder('churn');
  const scalar = (name: string, value: number): string =>
    graph.initializer(name, { type: 'float', dims: [], data: [value] });
  const age = graph.input('age', 'float', ['batch']);
  const city = graph.input('city', 'string', ['batch']);
  const active = graph.input('active', 'float', ['batch']);
  const joined = graph.input('joined', 'double', ['batch']);
  const zero = scalar('zero', 0);
  const orZero = (value: string): string => graph.op('Where', [graph.op('IsNaN', [value]), zero, value]);
  const cityScore = graph.op('LabelEncoder', [city], {
    domain: ML_DOMAIN,
    attributes: { keys_strings: ['Ulm', 'Bonn'], values_floats: [1, -1], default_float: 0 },
  });
  const ageScore = graph.op('Mul', [orZero(age), scalar('per-year', 0.03)]);
  const joinedScore = graph.op('Mul', [
    orZero(graph.op('Cast', [joined], { attributes: { to: 1n } })),
    scalar('per-second', 1e-10),
  ]);
  const sum = graph.op('Sum', [ageScore, cityScore, orZero(active), joinedScore]);
  const score = graph.op('Sub', [sum, scalar('bias', bias)]);
  const probability = graph.op('Sigmoid', [score], { output: 'probability' });
  const above = graph.op('Cast', [graph.op('Greater', [probability, scalar('half', 0.5)])], {
    attributes: { to: 7n },
  });
  graph.op('LabelEncoder', [above], {
    domain: ML_DOMAIN,
    attributes: { keys_int64s: [0n, 1n], values_strings: ['no', 'yes'], default_string: 'no' },
    output: 'label',
  });
  graph.output('label', 'string', ['batch']);
  graph.output('probability', 'float', ['batch']);
  return graph.build();
}

/** The probability that {@link churnModel} must give, computed in double precision. */
export function churnProbability(row: {
  age: number;
  city?: string;
  active?: number;
  joined?: number;
  bias?: number;
}): number {
  const city = row.city === 'Ulm' ? 1 : row.city === 'Bonn' ? -1 : 0;
  const score = 0.03 * row.age + city + (row.active ?? 0) + 1e-10 * (row.joined ?? 0) - (row.bias ?? 1);
  return 1 / (1 + Math.exp(-score));
}

/** `y = x + add` in ONNX, one required numeric input: a second endpoint with another signature. */
export async function plusModel(store: ArtifactStore, version: string, add: number): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('plus');
  const x = graph.input('x', 'float', ['batch']);
  graph.op('Add', [x, graph.initializer('add', { type: 'float', dims: [], data: [add] })], {
    output: 'prediction',
  });
  graph.output('prediction', 'float', ['batch']);
  return {
    version,
    onnx: await store.putBytes(graph.build(), 'application/onnx'),
    signature: {
      inputs: [{ name: 'x', kind: 'numeric', optional: false }],
      outputs: [{ name: 'prediction', kind: 'float' }],
    },
  };
}

/** {@link churnModel} in the store, as a route names it. */
export async function churnServed(store: ArtifactStore, version: string, bias = 1): Promise<ServedModel> {
  return {
    version,
    onnx: await store.putBytes(churnModel(bias), 'application/onnx'),
    signature: CHURN_SIGNATURE,
  };
}
