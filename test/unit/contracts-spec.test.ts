import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { lifecycleInput, rejectSignal, reviewUpdate } from '../../contracts/lifecycle.ts';
import { servedModel } from '../../contracts/serving.ts';
import { pipelineJsonSchema, pipelineKeys } from '../../contracts/spec/json-schema.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { stageOutputs } from '../../contracts/stages.ts';
import { trainOutput } from '../support/integration-training.ts';
import * as samples from '../support/samples.ts';

const SMALLEST = `
name: churn
task: binary
data: { sources: { customers: customers.csv } }
columns: { target: churned }
`.trim();

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

describe('the pipeline spec', () => {
  it('is whole in four lines', () => {
    expect(SMALLEST.split('\n').length).toBeLessThan(15);
    const spec = pipelineSpec.parse(parse(SMALLEST));
    expect(spec).toMatchObject({
      description: '',
      data: {
        sources: { customers: { path: 'customers.csv', nullValues: ['', 'NA', 'NULL'] } },
        rowFilter: [],
      },
      columns: { entity: [], ignored: [] },
      split: { method: 'random', validation: 0.2, test: 0.2 },
      features: { numeric: {}, columns: {}, derived: [], folds: 5 },
      training: { seed: 42, parallelism: 2, timeout: '1h' },
      approval: { required: true, quorum: 1, timeout: '7d', onTimeout: 'reject', reminders: ['1d', '3d'] },
      deployment: { endpoint: 'churn', precheck: { rows: 200, tolerance: 1e-6, maxLatency: '1s' } },
    });
    expect(spec.candidates.map(({ name, maxIterations }) => [name, maxIterations])).toEqual([
      ['lightgbm', 500],
      ['logistic', 300],
    ]);
  });

  it.each([
    ['binary', {}, 'roc_auc', { margin: 0.005, confidence: 0.95 }],
    ['binary', { resamples: 100 }, 'roc_auc', { margin: 0.005, confidence: 0.95 }],
    ['binary', { resamples: 0 }, 'roc_auc', {}],
    ['binary', { metric: 'log_loss' }, 'log_loss', {}],
    ['multiclass', {}, 'log_loss', {}],
    ['regression', {}, 'root_mean_squared_error', {}],
  ])('judges task %s with %j by %s against baseline and champion', (task, given, metric, sure) => {
    const { evaluation } = pipelineSpec.parse({ ...samples.smallSpec(), task, evaluation: given });
    expect(evaluation.metric).toBe(metric);
    expect(evaluation.gates).toEqual([
      { metric, betterThan: 'baseline', by: 0 },
      { metric, betterThan: 'champion', by: 0, ...sure },
    ]);
    // What it fills in is a spec again.
    expect(pipelineSpec.parse({ ...samples.smallSpec(), task, evaluation }).evaluation).toEqual(evaluation);
  });

  it('asks no gate where the list is empty', () => {
    expect(
      pipelineSpec.parse({ ...samples.smallSpec(), evaluation: { gates: [] } }).evaluation.gates,
    ).toEqual([]);
  });

  it('reads the same again after it was filled in', () => {
    const { monitoring: _, ...once } = pipelineSpec.parse(samples.smallSpec());
    const { monitoring: __, ...twice } = pipelineSpec.parse(JSON.parse(JSON.stringify(once)));
    expect(twice).toEqual(once);
    const columns = { target: 'churned', timestamp: 'at' };
    const whole = { ...samples.smallSpec(), columns, monitoring: {}, retraining: {} };
    const watched = pipelineSpec.parse(whole);
    expect(pipelineSpec.parse(JSON.parse(JSON.stringify(watched)))).toEqual(watched);
  });

  it('shares no default between two specs', () => {
    const [a, b] = [pipelineSpec.parse(samples.smallSpec()), pipelineSpec.parse(samples.smallSpec())];
    Object.assign(a.candidates[0]?.parameters ?? {}, { leaves: 3 });
    a.columns.entity.push('id');
    expect(b.candidates[0]?.parameters).toEqual({});
    expect(b.columns.entity).toEqual([]);
  });

  it.each(
    readdirSync(EXAMPLES, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  )('of the example %s parses', (name) => {
    const spec = pipelineSpec.parse(parse(readFileSync(`${EXAMPLES}${name}/pipeline.yaml`, 'utf8')));
    expect(spec.candidates.length).toBeGreaterThan(0);
  });
});

describe('the JSON Schema of the spec', () => {
  it('is of what people write: only the four parts without a default are required', () => {
    const schema = z
      .object({
        title: z.string(),
        required: z.array(z.string()),
        additionalProperties: z.literal(false),
        properties: z.record(z.string(), z.object({ description: z.string().optional() })),
      })
      .parse(pipelineJsonSchema());
    expect(schema.title).toBe('Perennial pipeline spec');
    expect(schema.required.sort()).toEqual(['columns', 'data', 'name', 'task']);
    expect(schema.properties.name?.description).toContain("The pipeline's name");
  });

  it('tells the known keys at a path, in every branch of a union', () => {
    expect(pipelineKeys([])).toEqual(expect.arrayContaining(['name', 'task', 'columns', 'approval']));
    expect(pipelineKeys(['approval'])).toEqual(
      expect.arrayContaining(['required', 'quorum', 'approvers', 'roles', 'signed', 'timeout', 'escalation']),
    );
    expect(pipelineKeys(['candidates', 0])).toEqual(
      expect.arrayContaining(['name', 'trainer', 'parameters', 'search', 'program', 'activity']),
    );
    expect(pipelineKeys(['candidates', 0, 'search'])).toEqual(
      expect.arrayContaining(['method', 'space', 'points', 'startup', 'reduction']),
    );
    expect(pipelineKeys(['data', 'sources', 'anything'])).toContain('delimiter');
    expect(pipelineKeys(['split'])).toEqual(expect.arrayContaining(['train', 'validation', 'test']));
    expect(pipelineKeys(['no', 'such', 'path'])).toEqual([]);
  });
});

describe('the arguments of workflows', () => {
  it('hold exactly one of spec and specRef', () => {
    const specRef = samples.artifact('spec', 'application/json');
    const accepted = (input: unknown) => lifecycleInput.safeParse(input).success;
    expect([{ spec: {} }, { specRef }, {}, { spec: {}, specRef }].map(accepted)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('give a rejection a reason', () => {
    const reject = { decision: 'reject', by: 'ada', candidate: 'abcdef01' };
    expect(reviewUpdate.safeParse({ ...reject, reason: '  ' }).success).toBe(false);
    expect(reviewUpdate.safeParse({ ...reject, reason: 'no' }).success).toBe(true);
    expect(reviewUpdate.safeParse({ ...reject, decision: 'approve' }).success).toBe(true);
    expect(rejectSignal.safeParse({ by: 'ada', reason: '  ' }).success).toBe(false);
  });

  it('take a name without the spaces around it', () => {
    expect(rejectSignal.parse({ by: ' ada ', reason: ' no ' })).toMatchObject({ by: 'ada', reason: 'no' });
  });
});

describe('the samples of these tests', () => {
  it('are what activities give, by the contract', () => {
    const lightgbm = samples.trained('a', 'lightgbm');
    const outputs = {
      ingest: samples.ingested,
      validate: samples.validated,
      split: samples.parts,
      prepare: samples.prepared,
      train: trainOutput(pipelineSpec.parse(samples.smallSpec()), [lightgbm]),
      evaluate: samples.evaluated(lightgbm),
      register: samples.registered,
    };
    expect(stageOutputs.parse(outputs)).toEqual(outputs);
    expect(servedModel.parse(samples.servedModel('1'))).toEqual(samples.servedModel('1'));
  });
});
