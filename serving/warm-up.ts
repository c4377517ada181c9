import { setImmediate } from 'node:timers/promises';
import { isTextInput } from '../contracts/serving.ts';
import type { InputColumn, TabularSession } from '../lib/onnx/tabular-session.ts';
import { RunCost } from './run-cost.ts';

const MANY_ROWS = 64;
const ROUNDS = 5;

/**
 * Runs made-up rows: the first run allocates; a graph that works for one batch size only, or fails on execution, is
 * found before a request is; and it tells what a run takes.
 *
 * @param now milliseconds
 * @throws PerennialError `ModelInvalid` where the model fails
 */
export async function warmUp(
  session: Pick<TabularSession, 'signature' | 'pack' | 'compute'>,
  now: () => number,
): Promise<RunCost> {
  const once = async (rows: number): Promise<number> => {
    const columns = new Map<string, InputColumn>();
    for (const { name, kind } of session.signature.inputs) {
      if (isTextInput(kind)) columns.set(name, new Array<string>(rows).fill(''));
      else columns.set(name, kind === 'datetime' ? new Float64Array(rows) : new Float32Array(rows));
    }
    const batch = session.pack({ rows, columns });
    // A run holds the thread; before each, others have it.
    await setImmediate();
    const start = now();
    await session.compute(batch);
    return now() - start;
  };
  await once(2);
  const [single, many]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    single.push(await once(1));
    many.push(await once(MANY_ROWS));
  }
  // The least is the one that nothing else disturbed.
  return new RunCost(Math.min(...single), Math.min(...many), MANY_ROWS);
}
