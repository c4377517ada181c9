import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LifecycleResult } from '../../contracts/lifecycle.ts';
import type { SearchReport } from '../../contracts/trials.ts';
import { type CliOptions, cli, cliJson } from '../support/e2e-cli.ts';
import { runFacts } from '../support/e2e-facts.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';
import { BANK, bankSpecFile } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
const NAME = 'bank-searched';
const folder = ownFolder('e2e-search');
const dataDir = join(folder, 'data');
const options: CliOptions = { dataDir };
let up: UpPlatform;

beforeAll(async () => {
  up = await UpPlatform.up(dataDir, [BANK]);
}, 3 * MINUTE);
afterAll(() => removePlatform(dataDir, folder), MINUTE);

/** Everything that training can do in one run. */
const SPEC = {
  name: NAME,
  candidates: [
    {
      trainer: 'lightgbm',
      maxIterations: 120,
      parameters: { early_stopping_rounds: 0 },
      search: {
        method: 'halving',
        reduction: 2,
        minIterations: 10,
        space: {
          learning_rate: { float: [0.0005, 0.3], log: true },
          num_leaves: { int: [4, 64], log: true },
        },
      },
    },
    { trainer: 'logistic', search: { method: 'tpe', startup: 2, trials: 4 } },
  ],
  training: {
    budget: { trials: 14, time: '10m' },
    classWeights: 'balanced',
    calibration: 'isotonic',
    threshold: { cost: { falsePositive: 1, falseNegative: 8 } },
    ensemble: { method: 'average', size: 2 },
  },
  evaluation: { metric: 'log_loss', gates: [] },
  approval: { required: false },
};

describe.sequential('a search', () => {
  let run: LifecycleResult;
  let workflowId: string;
  let report: SearchReport;

  it('trains within its budget, stops what is not among the best, and joins the best', {
    timeout: 12 * MINUTE,
  }, async () => {
    run = await cliJson<LifecycleResult>(['run', await bankSpecFile(folder, 'search', SPEC)], options);
    expect(run.outcome).toBe('deployed');
    const [listed] = await cliJson<{ workflowId: string }[]>(['runs', '--pipeline', NAME], options);
    workflowId = listed?.workflowId ?? '';
    const { train } = run.outputs;
    if (!train) throw new Error('nothing was trained');
    report = train.search;
    expect(report).toMatchObject({ ended: 'trials', used: { trials: 14 } });
    const [lightgbm, logistic] = report.candidates;
    expect(lightgbm).toMatchObject({ name: 'lightgbm', failed: 0 });
    expect(lightgbm?.stopped).toBeGreaterThan(0);
    expect(logistic).toMatchObject({ name: 'logistic', trained: 4, stopped: 0, failed: 0 });
    // What was stopped has run as far as a rung, and no further than the next look.
    for (const { state, iterations } of report.trials)
      if (state === 'stopped') expect(iterations).toBeLessThan(120);
    expect(train.failed).toEqual([]);
    expect(train.trained.map(({ name, members }) => [name, members.length])).toEqual([
      ['lightgbm', 1],
      ['logistic', 1],
      ['ensemble', 2],
    ]);
  });

  it('chooses a threshold by cost on calibrated probabilities, inside of the graph', () => {
    for (const { threshold, validation } of run.outputs.train?.trained ?? []) {
      // Of calibrated probabilities it lies near 1 / 9.
      expect(threshold).toBeGreaterThan(0.03);
      expect(threshold).toBeLessThan(0.3);
      expect(validation.recall).toBeGreaterThan(0.5);
    }
  });

  it('has an MLflow run for every trial, and one for the ensemble', async () => {
    const facts = await runFacts(up.status.mlflowUri ?? '', NAME, workflowId);
    const names = report.trials.map(({ candidate, number }) => `${candidate}-${number}: FINISHED`);
    expect(facts.candidates.sort()).toEqual([...names, 'ensemble: FINISHED'].sort());
  });

  it('is shown by the command line, which changes nothing of one that has ended', async () => {
    const shown = await cli(['training', workflowId], options);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^14 trials, best log_loss 0\.\d{4} \((lightgbm|logistic)-\d+\); \d+ s\n/);
    expect(shown.stdout).toContain('num_leaves=');
    expect(await cliJson<SearchReport>(['training', workflowId], options)).toMatchObject({
      used: { trials: 14 },
      ended: 'trials',
    });
    const late = await cli(['training', workflowId, '--trials', '50'], options);
    expect(late).toMatchObject({ code: 2, stderr: expect.stringContaining('has ended already') });
    const wrong = await cli(['training', workflowId, '--parallelism', 'many'], options);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('a whole number above 0') });
  });

  it('is made again to the byte, ensemble or not', { timeout: 3 * MINUTE }, async () => {
    const again = await cli(['reproduce', NAME, '--by', 'ci'], options);
    expect(again.stdout).toContain('the model file is the same, byte for byte');
    expect(again.code).toBe(0);
  });
});
