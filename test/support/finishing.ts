import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { findPython } from '../../client/platform/programs.ts';
import type { Calibration, Combination } from '../../contracts/finishing.ts';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { composeEnsemble } from '../../lib/onnx/ensemble.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { INPUTS_METADATA } from '../../lib/onnx/metadata.ts';

const SCRIPT = fileURLToPath(new URL('../integration/finishing-reference.py', import.meta.url));

/** A Python process that works things out with scikit-learn and SciPy, request after request. */
export class FinishingReference {
  readonly #process = spawn(findPython(undefined), ['-W', 'ignore', SCRIPT, 'answer'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();

  async ask(requests: readonly object[]): Promise<unknown[]> {
    const answers: unknown[] = [];
    for (const request of requests) {
      this.#process.stdin.write(`${JSON.stringify(request)}\n`);
      const { value } = await this.#lines.next();
      answers.push(JSON.parse(String(value)));
    }
    return answers;
  }

  close(): void {
    this.#process.stdin.end();
  }
}

/** Trains models, or runs composed ones with MLflow. */
export const runReference = (...args: string[]): Promise<unknown> =>
  promisify(execFile)(findPython(undefined), ['-W', 'ignore', SCRIPT, ...args]);

/** A preprocessing graph that puts number columns side by side. */
export function sideBySide(names: readonly string[], kind = 'numeric'): Uint8Array {
  const graph = new OnnxGraphBuilder('preprocess');
  const output = names.includes('features') ? 'features_' : 'features';
  for (const name of names) graph.input(name, kind === 'categorical' ? 'string' : 'float', ['batch']);
  const axes = graph.initializer('axes', { type: 'int64', dims: [1], data: [1] });
  const numbers = names.map((name) =>
    kind === 'categorical' ? graph.op('Cast', [name], { attributes: { to: 1n } }) : name,
  );
  graph.op(
    'Concat',
    numbers.map((name) => graph.op('Unsqueeze', [name, axes])),
    { attributes: { axis: 1n }, output },
  );
  graph.output(output, 'float', ['batch', names.length]);
  return graph.build({ [INPUTS_METADATA]: JSON.stringify(names.map((name) => ({ name, kind }))) });
}

/** A "trained" model whose answers are its features: `[1 - p, p]` of the first, all of them, or the first as it is. */
export function givenModel(task: ComposeOptions['task'], width: number): Uint8Array {
  const graph = new OnnxGraphBuilder('given');
  const features = graph.input('features', 'float', ['batch', width]);
  const first = graph.initializer('first', { type: 'int64', dims: [1], data: [0] });
  if (task === 'multiclass') graph.op('Identity', [features], { output: 'probabilities' });
  else {
    const own = graph.op('Gather', [features, first], { attributes: { axis: 1n } });
    if (task === 'regression') graph.op('Identity', [own], { output: 'prediction' });
    else {
      const one = graph.initializer('one', { type: 'float', dims: [], data: [1] });
      graph.op('Concat', [graph.op('Sub', [one, own]), own], {
        attributes: { axis: 1n },
        output: 'probabilities',
      });
    }
  }
  const outputs = { binary: 2, multiclass: width, regression: 1 }[task];
  graph.output(task === 'regression' ? 'prediction' : 'probabilities', 'float', ['batch', outputs]);
  return graph.build();
}

export interface Answered {
  /** Float outputs side by side, row-major. */
  values: number[];
  label: string[];
}

/** Runs a composed model. */
export async function answersOf(
  onnx: Uint8Array,
  columns: Record<string, number[] | string[]>,
): Promise<Answered> {
  const session = await InferenceSession.create(onnx);
  const feeds = Object.fromEntries(
    session.inputMetadata.map((input): [string, Tensor] => {
      const values = columns[input.name] ?? [];
      const dims = [values.length];
      if (input.isTensor && input.type === 'string')
        return [input.name, new Tensor('string', values.map(String), dims)];
      if (input.isTensor && input.type === 'float64')
        return [input.name, new Tensor('float64', Float64Array.from(values, Number), dims)];
      return [input.name, new Tensor('float32', Float32Array.from(values, Number), dims)];
    }),
  );
  const found = await session.run(feeds);
  const floats = session.outputNames.filter((name) => name !== 'label').map((name) => found[name]?.data);
  await session.release();
  const rows = floats[0]?.length ?? 0;
  const values = Array.from({ length: rows }, (_, row) => floats.map((data) => Number(data?.[row]))).flat();
  const label = found.label?.data;
  return { values, label: Array.isArray(label) ? label.map(String) : [] };
}

/** The graph's answers to probabilities (`[n]`, or `[n, classes]` row-major) that a model gave, calibrated. */
export function calibratedInGraph(
  calibration: Calibration,
  answers: ArrayLike<number>,
  options: ComposeOptions,
): Promise<Answered> {
  const width = calibration.curves.length;
  const names = Array.from({ length: width }, (_, k) => `p${k}`);
  const { onnx } = composeModel(sideBySide(names), givenModel(options.task, width), {
    ...options,
    calibration,
  });
  return answersOf(onnx, columnsOf(answers, names));
}

/** The graph's answer to what several members gave. */
export function combinedInGraph(
  combination: Combination,
  answers: readonly ArrayLike<number>[],
  options: ComposeOptions,
): Promise<Answered> {
  const width = options.task === 'multiclass' ? options.classNames.length : 1;
  const names = answers.map((_, m) => Array.from({ length: width }, (_, k) => `m${m} p${k}`));
  const members = names.map((own) => ({
    preprocess: sideBySide(own),
    model: givenModel(options.task, width),
  }));
  const { onnx } = composeEnsemble(members, combination, options);
  const columns = names.map((own, m) => columnsOf(answers[m] ?? [], own));
  return answersOf(onnx, Object.assign({}, ...columns));
}

function columnsOf(answers: ArrayLike<number>, names: readonly string[]): Record<string, number[]> {
  const all = Array.from(answers);
  return Object.fromEntries(
    names.map((name, k) => [name, all.filter((_, i) => i % names.length === k)] as const),
  );
}

/** The largest difference; NaN beside NaN is none. */
export function apart(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = found.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < found.length; i++) {
    const [a = 0, b = 0] = [found[i], expected[i]];
    if (Number.isNaN(a) && Number.isNaN(b)) continue;
    const off = Math.abs(a - b);
    most = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(most, off);
  }
  return most;
}
