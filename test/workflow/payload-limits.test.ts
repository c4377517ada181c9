import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { inKib, jsonBytes, MAX_OUTPUT_BYTES, MAX_SPEC_BYTES } from '../../contracts/payload-limits.ts';
import { type PipelineSpecInput, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { failure } from '../support/failures.ts';
import * as samples from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const CANDIDATES = 50;
const RULES = 1_000;

/** A value with a text so long that all of it takes `bytes` as JSON. */
function filled<T>(bytes: number, make: (text: string) => T): T {
  const value = make('x'.repeat(bytes - jsonBytes(make(''))));
  expect(jsonBytes(value)).toBe(bytes);
  return value;
}

/** A spec of the most rules, candidates and gates, whose parsed form takes `bytes`. */
function largeSpec(bytes: number): PipelineSpecInput {
  const make = (text: string) =>
    samples.smallSpec({
      approval: { required: false },
      expectations: Array.from({ length: RULES }, (_, i) => ({
        expect: 'sql' as const,
        sql: `amount_${i} >= 0${i === 0 ? text : ''}`,
      })),
      candidates: Array.from({ length: CANDIDATES }, (_, i) => ({
        name: `candidate-${String(i).padStart(3, '0')}-${'n'.repeat(24)}`,
        trainer: i % 2 === 0 ? ('lightgbm' as const) : ('logistic' as const),
      })),
      training: { parallelism: 64, budget: { trials: CANDIDATES } },
      evaluation: { gates: Array.from({ length: 50 }, () => ({ metric: 'roc_auc' as const, min: 0.5 })) },
    });
  return make('x'.repeat(bytes - jsonBytes(pipelineSpec.parse(make('')))));
}

describe('payloads', () => {
  it('of a run whose spec and stages are as large as they may be go through', {
    timeout: 120_000,
  }, async () => {
    const spec = largeSpec(MAX_SPEC_BYTES);
    expect(jsonBytes(pipelineSpec.parse(spec))).toBe(MAX_SPEC_BYTES);
    const [source] = samples.ingested.sources;
    const [result] = samples.validated.results;
    if (!source || !result) throw new Error('the samples have a source and a result');
    const variant = samples.prepared.variants.tree;
    if (!variant) throw new Error('the samples have features');
    const scenario = new Scenario({
      ingest: async () =>
        filled(MAX_OUTPUT_BYTES.ingest, (origin) => ({
          ...samples.ingested,
          sources: [{ ...source, origin }],
        })),
      validate: async () =>
        filled(MAX_OUTPUT_BYTES.validate, (expectation) => ({
          ...samples.validated,
          results: [{ ...result, expectation }],
        })),
      protect: async () =>
        filled(MAX_OUTPUT_BYTES.protect, (warning) => ({ ...samples.protectedData, warnings: [warning] })),
      // Names of classes travel to each candidate; columns do not.
      split: async () =>
        filled(MAX_OUTPUT_BYTES.split, (name) => ({ ...samples.parts, classNames: ['no', name] })),
      prepare: async () =>
        filled(MAX_OUTPUT_BYTES.prepare, (note) => ({
          variants: { ...samples.prepared.variants, tree: { ...variant, notes: [note] } },
        })),
      evaluate: async ({ train }) => {
        const [winner] = train.trained;
        if (!winner) throw new Error('nothing was trained');
        return filled(MAX_OUTPUT_BYTES.evaluate, (title) => {
          const output = samples.evaluated(winner);
          return { ...output, plots: output.plots.map((plot) => ({ ...plot, title })) };
        });
      },
    });
    const run = await bench.lifecycle(scenario, spec);
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.train?.trained).toHaveLength(CANDIDATES);
    const [registered] = scenario.inputs('register');
    // Nearly all that the server takes: nothing else may grow much.
    expect(jsonBytes(registered)).toBeGreaterThan(1.7 * 1024 * 1024);
  });

  it('of a spec that is too large are refused before anything runs', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, largeSpec(MAX_SPEC_BYTES + 1));
    const { type, message } = await failure(run.handle.result());
    expect(type).toBe('SpecInvalid');
    expect(message).toContain(`takes 385 KiB with its defaults, at most ${inKib(MAX_SPEC_BYTES)}`);
    expect(message).toContain('expectations (');
    expect(scenario.count('openTracking') + scenario.count('ingest')).toBe(0);
  });
});
