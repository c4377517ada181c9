import { isTextInput, type ModelSignature } from '../contracts/serving.ts';
import { type InputColumn, TabularSession } from '../lib/onnx/tabular-session.ts';
import { Coalescer } from './coalescer.ts';
import type { ModelRunner } from './model-runner.ts';

/**
 * A model that computes in this process, warmed up.
 *
 * @param threads of one run, default 1
 * @throws PerennialError `ModelInvalid`
 */
export async function localRunner(
  bytes: Uint8Array,
  signature: ModelSignature,
  threads = 1,
): Promise<ModelRunner> {
  const runner = new Coalescer(await TabularSession.create(bytes, signature, { threads }));
  try {
    await warmUp(runner, signature);
  } catch (error) {
    await runner.close();
    throw error;
  }
  return runner;
}

/**
 * Runs made-up rows: the first run allocates, and a graph that works for one batch size only, or fails on
 * execution, is found before a request is.
 */
async function warmUp(runner: ModelRunner, { inputs }: ModelSignature): Promise<void> {
  for (const rows of [2, 1]) {
    const columns = new Map<string, InputColumn>();
    for (const { name, kind } of inputs) {
      if (isTextInput(kind)) columns.set(name, new Array<string>(rows).fill(''));
      else columns.set(name, kind === 'datetime' ? new Float64Array(rows) : new Float32Array(rows));
    }
    await runner.run({ rows, columns });
  }
}
