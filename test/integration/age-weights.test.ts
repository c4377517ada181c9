import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainerRequest } from '../../activities/trainer-request.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { TrainingSpec } from '../../contracts/spec/training.ts';
import type { TrialInput } from '../../contracts/training-activities.ts';
import { writeAgeWeights } from '../../lib/data/age-weights.ts';
import { readNpy } from '../../lib/npy.ts';
import { ErasureFixture } from '../support/erasure-fixture.ts';
import { FEATURES, predict, sample, train } from './trainers-support.ts';

let fixture: ErasureFixture;
beforeAll(async () => {
  fixture = await ErasureFixture.create();
});
afterAll(() => fixture.close());

const ROWS = 800;
const TRACKING = { experimentId: '0', runId: '0', url: 'http://127.0.0.1' };

/** Rows of which the first half says the opposite of the second: one a minute. */
async function changedData() {
  const { features, labels } = sample('binary', ROWS, 1);
  const turned = Int32Array.from(labels, (label, row) => (row < ROWS / 2 ? 1 - label : label));
  const path = fixture.newPath();
  await fixture.database.copyToParquet(
    `SELECT TIMESTAMP '2026-01-01' + to_minutes(i) AS at FROM range(${ROWS}) r(i)`,
    path,
  );
  const weights = fixture.newPath();
  await writeAgeWeights(
    fixture.database,
    { parquetPath: path, timestamp: 'at', halfLifeMs: 60_000 * (ROWS / 20) },
    weights,
  );
  return {
    labels: turned,
    part: {
      features: await fixture.npy(features, [ROWS, FEATURES]),
      labels: await fixture.npy(turned, [ROWS]),
      weights: await fixture.store.putFile(weights, 'x/npy'),
      rows: ROWS,
    },
  };
}

async function requestOf(
  part: TrialInput['data']['train'],
  training: Partial<Pick<TrainingSpec, 'classWeights'>> = {},
) {
  const { candidates, privacy } = pipelineSpec.parse({
    name: 'changed',
    task: 'binary',
    data: { sources: { rows: 'rows.csv' } },
    columns: { target: 'y' },
    candidates: ['logistic'],
  });
  const [candidate] = candidates;
  if (!candidate) throw new Error('there is a candidate');
  const names = Array.from({ length: FEATURES }, (_, column) => `column ${column}`);
  const input: TrialInput = {
    trial: { candidate: 'logistic', number: 0, fold: null },
    candidate,
    parameters: {},
    maxSeconds: null,
    rungs: [],
    metric: 'roc_auc',
    problem: {
      task: 'binary',
      classNames: ['no', 'yes'],
      positiveClass: 'yes',
      baseline: { classShares: [0.5, 0.5], mean: null },
      sensitive: false,
    },
    pipeline: { name: 'changed', privacy },
    training: { seed: 1, threads: 1, ...training },
    data: { featureNames: await fixture.store.putJson(names), train: part, validation: part },
    tracking: TRACKING,
    run: { workflowId: 'w', runId: 'r' },
  };
  const scratch = fixture.newPath();
  await mkdir(join(scratch, 'output'), { recursive: true });
  return { scratch, request: await trainerRequest(fixture.store.within(scratch), input, scratch, undefined) };
}

const numbersOf = async (path: string | undefined): Promise<number[]> => {
  if (path === undefined) throw new Error('there are weights');
  return Array.from((await readNpy(path)).data);
};

describe('weights by age', () => {
  it('reach the trainer, and the model learns from the latest rows', { timeout: 120_000 }, async () => {
    const { part } = await changedData();
    const { weights: _, ...plain } = part;
    const right = async (data: TrialInput['data']['train']): Promise<number> => {
      const { scratch, request } = await requestOf(data);
      const { modelPath } = await train('logistic', request, scratch);
      const fresh = sample('binary', 300, 2);
      const { values } = await predict(modelPath, fresh);
      const hits = Array.from(
        fresh.labels,
        (label, row) => Number((values[2 * row + 1] ?? 0) > 0.5) === label,
      );
      return hits.filter(Boolean).length / hits.length;
    };
    expect(await right(part)).toBeGreaterThan(0.85);
    expect(await right(plain)).toBeLessThan(0.75);
  });

  it('are the weights of the request as they are, and times those of classes', async () => {
    const { part, labels } = await changedData();
    const { request } = await requestOf(part);
    const ages = await numbersOf(request.train.weights);
    expect(ages.at(-1)).toBe(1);
    expect(ages[ROWS - 1 - ROWS / 20]).toBe(0.5);
    expect(request.validation?.weights).toBeDefined();
    const { request: both } = await requestOf(part, { classWeights: { yes: 5 } });
    expect(await numbersOf(both.train.weights)).toEqual(
      ages.map((age, row) => Math.fround(age * (labels[row] === 1 ? 5 : 1))),
    );
    const { request: balanced } = await requestOf(part, { classWeights: 'balanced' });
    const sums = [0, 0];
    for (const [row, weight] of (await numbersOf(balanced.train.weights)).entries())
      sums[labels[row] ?? 0] = (sums[labels[row] ?? 0] ?? 0) + weight;
    expect(sums[0]).toBeCloseTo(sums[1] ?? 0, 3);
    const { weights: _, ...plain } = part;
    expect((await requestOf(plain)).request.train).not.toHaveProperty('weights');
  });
});
