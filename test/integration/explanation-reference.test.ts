import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchOf } from '../../lib/explanation/columns.ts';
import { createExplainer } from '../../lib/explanation/explainer.ts';
import { Predictor } from '../../lib/explanation/predictor.ts';
import { treeModel } from '../../lib/explanation/tree-model.ts';
import { TreeShap } from '../../lib/explanation/tree-shap.ts';
import { readNpy } from '../../lib/npy.ts';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { INPUTS_METADATA } from '../../lib/onnx/metadata.ts';
import { python } from './trainers-support.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
let folder: string;
let features: Float32Array;
let explained: Float32Array;
const COLUMNS = 6;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'explanation-'));
  await promisify(execFile)(python, [here('./explanation-trees.py'), folder, here('../../trainers/python')]);
  features = await matrix('features');
  explained = await matrix('explained');
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function matrix(name: string): Promise<Float32Array> {
  const { data } = await readNpy(join(folder, `${name}.npy`));
  if (!(data instanceof Float32Array)) throw new Error(`${name} is no float32`);
  return data;
}

/** The trees of a model and how often each node was taken: as the file says, else by the training rows. */
async function read(name: string) {
  const found = treeModel(new Uint8Array(await readFile(join(folder, `${name}.onnx`))));
  if (!found) throw new Error(`${name} has no trees`);
  const { ensemble } = found;
  const covers = ensemble.hitRates ?? new Float64Array(ensemble.nodes);
  if (!ensemble.hitRates) ensemble.scoresOf(features, COLUMNS, covers);
  return { ensemble, covers };
}

describe('attributions of trees, with missing values and ordinals', () => {
  it.each([
    'lightgbm-regression',
    'lightgbm-binary',
    'lightgbm-multiclass',
    'xgboost-regression',
    'xgboost-binary',
    'xgboost-multiclass',
  ])('%s: equal pred_contrib to 1e-6', async (name) => {
    const { ensemble, covers } = await read(name);
    const shap = new TreeShap(ensemble, covers, COLUMNS);
    const { data: wanted, shape } = await readNpy(join(folder, `${name}.npy`));
    const { scores } = ensemble;
    expect(shape).toEqual([explained.length / COLUMNS, COLUMNS + 1, scores]);
    let largest = 0;
    for (let row = 0; row < explained.length / COLUMNS; row++) {
      const found = shap.contributions(explained.slice(row * COLUMNS, (row + 1) * COLUMNS));
      const all = [...found, ...shap.base];
      all.forEach((value, at) => {
        largest = Math.max(largest, Math.abs(value - (wanted[row * all.length + at] ?? Number.NaN)));
      });
    }
    expect(largest).toBeLessThan(1e-6);
  });

  it('a forest of scikit-learn: they add up to its probabilities', async () => {
    const { ensemble, covers } = await read('forest-binary');
    const shap = new TreeShap(ensemble, covers, COLUMNS);
    const { data: wanted } = await readNpy(join(folder, 'forest-binary.npy'));
    for (let row = 0; row < explained.length / COLUMNS; row++) {
      const clean = explained.slice(row * COLUMNS, (row + 1) * COLUMNS).map((value) => value || 0);
      const sum = shap.contributions(clean).reduce((total, value) => total + value, shap.base[0] ?? 0);
      expect(sum).toBeCloseTo(wanted[row * (COLUMNS + 1)] ?? Number.NaN, 5);
    }
  });
});

/** Raw columns that go into the matrix as they are. */
function plainFeatures(): Uint8Array {
  const names = Array.from({ length: COLUMNS }, (_, column) => `c${column}`);
  const graph = new OnnxGraphBuilder('plain');
  const axis = graph.initializer('axis', { type: 'int64', dims: [1], data: [1] });
  const columns = names.map((name) => graph.op('Unsqueeze', [graph.input(name, 'float', ['batch']), axis]));
  graph.op('Concat', columns, { attributes: { axis: 1n }, output: 'features' });
  graph.output('features', 'float', ['batch', COLUMNS]);
  return graph.build({ [INPUTS_METADATA]: JSON.stringify(names.map((name) => ({ name, kind: 'numeric' }))) });
}

describe('createExplainer', () => {
  const rowOf = (row: number) =>
    Object.fromEntries(
      Array.from({ length: COLUMNS }, (_, column) => {
        const value = explained[row * COLUMNS + column] ?? Number.NaN;
        return [`c${column}`, Number.isNaN(value) ? null : value];
      }),
    );

  it.each(['yes', 'no'])('explains a composed model whose positive class is "%s"', async (positiveClass) => {
    const bytes = new Uint8Array(await readFile(join(folder, 'lightgbm-binary.onnx')));
    const { onnx, signature } = composeModel(plainFeatures(), bytes, {
      task: 'binary',
      classNames: ['no', 'yes'],
      positiveClass,
    });
    const { covers } = await read('lightgbm-binary');
    const rows = Array.from({ length: 32 }, (_, row) => rowOf(row));
    const file = {
      schemaVersion: 1 as const,
      method: 'tree' as const,
      sources: Array.from({ length: COLUMNS }, (_, column) => [column]),
      covers: [...covers],
    };
    const exact = await createExplainer(onnx, signature, { rows, file });
    const sampled = await createExplainer(onnx, signature, { rows }, { pairs: 32, seed: 1 });
    try {
      expect([exact.method, exact.unit]).toEqual(['tree', 'log_odds']);
      expect([sampled.method, sampled.unit]).toEqual(['sampled', 'probability']);
      const { data: wanted } = await readNpy(join(folder, 'lightgbm-binary.npy'));
      const sign = positiveClass === 'yes' ? 1 : -1;
      for (let row = 0; row < 10; row++) {
        const [one] = await exact.explain(rowOf(row));
        const [other] = await sampled.explain(rowOf(row));
        one?.contributions.forEach(({ value }, column) => {
          expect(value).toBeCloseTo(sign * (wanted[row * (COLUMNS + 1) + column] ?? 0), 6);
        });
        // The logistic of the one is the answer of the other, whose parts add up.
        expect(1 / (1 + Math.exp(-(one?.answer ?? 0)))).toBeCloseTo(other?.answer ?? Number.NaN, 5);
        const sum =
          other?.contributions.reduce((total, { value }) => total + value, other.base) ?? Number.NaN;
        expect(sum).toBeCloseTo(other?.answer ?? Number.NaN, 9);
        expect(other?.contributions.some(({ error }) => error > 0)).toBe(true);
      }
      expect(await sampled.explain(rowOf(0))).toEqual(await sampled.explain(rowOf(0)));
    } finally {
      await exact.close();
      await sampled.close();
    }
  });

  const TASKS = {
    regression: { task: 'regression', classNames: [] },
    binary: { task: 'binary', classNames: ['0', '1'] },
    multiclass: { task: 'multiclass', classNames: ['0', '1', '2', '3'] },
  } satisfies Record<string, ComposeOptions>;
  const cases = (['xgboost', 'gradient_boosting'] as const).flatMap((library) =>
    (['regression', 'binary', 'multiclass'] as const).map((task) => ({ library, task })),
  );
  it.each(cases)(
    '$library, $task: attributions add up to what the model says, its start included',
    async ({ library, task }) => {
      const bytes = new Uint8Array(await readFile(join(folder, `start-${library}-${task}.onnx`)));
      const { onnx, signature } = composeModel(plainFeatures(), bytes, TASKS[task]);
      const covers = treeModel(onnx)?.ensemble.hitRates;
      if (!covers) throw new Error('the trainers write how often each node was taken');
      const rows = Array.from({ length: 32 }, (_, row) => rowOf(row));
      const sources = Array.from({ length: COLUMNS }, (_, column) => [column]);
      const file = { schemaVersion: 1 as const, method: 'tree' as const, sources, covers: [...covers] };
      const explainer = await createExplainer(onnx, signature, { rows, file });
      const predictor = await Predictor.create(onnx, signature);
      try {
        expect([explainer.method, explainer.unit]).toEqual([
          'tree',
          task === 'regression' ? 'target' : 'log_odds',
        ]);
        for (const row of rows) {
          const said = await predictor.answers(batchOf([row], signature));
          const parts = await explainer.explain(row);
          const sums = parts.map(({ base, contributions }) =>
            contributions.reduce((sum, { value }) => sum + value, base),
          );
          const powers = sums.map(Math.exp).reduce((sum, power) => sum + power, 0);
          const answers = sums.map((sum) =>
            task === 'regression'
              ? sum
              : task === 'binary'
                ? 1 / (1 + Math.exp(-sum))
                : Math.exp(sum) / powers,
          );
          answers.forEach((answer, k) => {
            expect(answer).toBeCloseTo(said[k] ?? Number.NaN, task === 'regression' ? 3 : 5);
          });
          parts.forEach(({ answer }, k) => {
            expect(answer).toBeCloseTo(sums[k] ?? Number.NaN, 9);
          });
        }
      } finally {
        await explainer.close();
        await predictor.close();
      }
    },
  );

  it.each(['platt', 'isotonic'] as const)(
    'before a calibration (%s) it explains the score',
    async (method) => {
      const calibration =
        method === 'platt'
          ? { method, curves: [{ a: 0.7, b: 0.4 }], notes: [] }
          : { method, curves: [{ x: [0, 0.5, 1], y: [0.1, 0.2, 1] }], notes: [] };
      const bytes = new Uint8Array(await readFile(join(folder, 'start-xgboost-binary.onnx')));
      const plain = composeModel(plainFeatures(), bytes, TASKS.binary);
      const { onnx, signature } = composeModel(plainFeatures(), bytes, { ...TASKS.binary, calibration });
      const covers = [...(treeModel(onnx)?.ensemble.hitRates ?? [])];
      const rows = Array.from({ length: 32 }, (_, row) => rowOf(row));
      const sources = Array.from({ length: COLUMNS }, (_, column) => [column]);
      const file = { schemaVersion: 1 as const, method: 'tree' as const, sources, covers };
      const before = await createExplainer(plain.onnx, plain.signature, { rows, file });
      const behind = await createExplainer(onnx, signature, { rows, file });
      try {
        expect([before.unit, behind.unit]).toEqual(['log_odds', 'score']);
        for (const row of rows) expect(await behind.explain(row)).toEqual(await before.explain(row));
      } finally {
        await before.close();
        await behind.close();
      }
    },
  );

  it('refuses a file of another model, and an empty background', async () => {
    const bytes = new Uint8Array(await readFile(join(folder, 'lightgbm-regression.onnx')));
    const { onnx, signature } = composeModel(plainFeatures(), bytes, { task: 'regression', classNames: [] });
    const file = { schemaVersion: 1 as const, method: 'tree' as const, sources: [[0]], covers: [1] };
    await expect(createExplainer(onnx, signature, { rows: [rowOf(0)], file })).rejects.toMatchObject({
      code: 'ModelInvalid',
    });
    await expect(createExplainer(onnx, signature, { rows: [] })).rejects.toMatchObject({
      code: 'InputInvalid',
    });
  });
});
