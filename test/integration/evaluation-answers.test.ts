import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgedOnMatrix } from '../../lib/evaluation/matrix-judge.ts';
import { writeNpy } from '../../lib/npy.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import type { Problem } from '../../lib/statistics/judge.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
const ROWS = 40;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-answers-'));
  const features = Float32Array.from({ length: ROWS * 2 }, (_, i) => ((i * 7) % 11) - 5);
  await writeNpy(at('x.npy'), features, [ROWS, 2]);
  await writeNpy(
    at('y.npy'),
    Int32Array.from({ length: ROWS }, (_, row) => row % 2),
    [ROWS],
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const problem: Problem = {
  task: 'binary',
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
  baseline: { classShares: [0.5, 0.5], mean: null },
};

/** Judges a model that answers its two features, after these operators. */
async function judged(...operators: string[]) {
  const graph = new OnnxGraphBuilder('answers');
  let value = graph.input('features', 'float', ['batch', 2]);
  for (const [i, name] of operators.entries())
    value = graph.op(name, [value], i === operators.length - 1 ? { output: 'probabilities' } : {});
  graph.output('probabilities', 'float', ['batch', 2]);
  const modelPath = at(`${operators.join('-')}.onnx`);
  await writeFile(modelPath, graph.build());
  return judgedOnMatrix({
    problem,
    modelPath,
    featuresPath: at('x.npy'),
    labelsPath: at('y.npy'),
    threads: 1,
  });
}

describe('a trainer’s model', () => {
  it('is judged where it answers probabilities', async () =>
    expect((await judged('Softmax')).log_loss).toBeGreaterThan(0));

  it.each([
    ['logits', 'Identity', 'values below 0 or above 1'],
    // Each is between 0 and 1, and the positive class alone would look well.
    ['a sigmoid of each class', 'Sigmoid', 'values that do not sum to 1'],
  ])('that answers %s is refused', (_, operator, words) =>
    expect(judged(operator)).rejects.toMatchObject({
      code: 'TrainerContract',
      retryable: false,
      message: expect.stringContaining(words),
    }),
  );
});
