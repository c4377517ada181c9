import { lineageOf } from '../../activities/model-lineage.ts';
import type { TrackingActivities } from '../../contracts/activities.ts';
import type { ArtifactState, LineageEnvironment, ModelLineage } from '../../contracts/lineage.ts';
import type { ReproductionPlan } from '../../contracts/reproduction.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { TrainedCandidate } from '../../contracts/stages.ts';
import { judgeGates } from '../../domain/gates.ts';
import { chainOfLineage } from '../../domain/reproduction.ts';
import { trainOutput } from './integration-training.ts';
import * as samples from './samples.ts';

export const environment: LineageEnvironment = {
  perennial: '0.1.0',
  node: '20.20.0',
  python: '3.11.2',
  packages: { npm: { '@duckdb/node-api': '1.5.6' }, python: { onnx: '1.20.0' } },
  locks: { npm: null, python: samples.artifact('requirements.lock').sha256 },
  machine: { platform: 'linux', arch: 'x64', cpu: 'A processor', cores: 2, memoryBytes: 8e9 },
};

/** What a run hands to its registration, with what the trainer reported. */
export function registerInput(
  changes: object = {},
  reported: Partial<TrainedCandidate> = {},
): Parameters<TrackingActivities['register']>[0] {
  const spec = pipelineSpec.parse({
    ...samples.smallSpec({
      data: { sources: { customers: 'customers.csv' }, sql: 'SELECT *\nFROM customers\nWHERE age > 0' },
      candidates: ['lightgbm', 'logistic'],
    }),
    ...changes,
  });
  const winner = { ...samples.trained('lightgbm-7', 'lightgbm'), ...reported };
  const evaluate = samples.evaluated(winner);
  return {
    spec,
    code: { commit: '0123456789abcdef0123456789abcdef01234567', dirty: false },
    run: { workflowId: 'churn-1', runId: '00000000-0000-0000-0000-000000000001' },
    tracking: samples.tracking,
    ingest: samples.ingested,
    validate: samples.validated,
    protect: samples.protectedData,
    split: samples.parts,
    prepared: samples.prepared,
    train: trainOutput(spec, [winner, samples.trained('logistic', 'logistic')]),
    evaluate,
    gates: judgeGates(spec.evaluation.gates, {
      test: evaluate.test,
      train: evaluate.train,
      baseline: evaluate.baseline,
      champion: null,
    }),
  };
}

/** The lineage of a version of the sample run. */
export const lineage = (changes: object = {}): ModelLineage =>
  lineageOf(
    registerInput(changes, {
      parameters: { num_leaves: 31, learning_rate: 0.1, class_weight: null },
      libraries: { lightgbm: '4.7.0' },
    }),
    { modelId: samples.registered.modelId, createdAt: '2026-03-01T10:20:30.000Z', environment },
  );

/** An artifact that is there as it was. */
export const storedArtifact = (sha256: string): ArtifactState => ({
  sha256,
  stored: true,
  inForce: sha256,
  certificates: [],
  formerly: [],
});

/** What the version of the sample run is made again from; the sample stages give the same digests. */
export function reproductionPlan(): ReproductionPlan {
  const { test } = samples.evaluated(samples.trained('lightgbm', 'lightgbm'));
  const made = lineage();
  return {
    spec: { ...registerInput({ candidates: [{ trainer: 'lightgbm', search: false }] }).spec },
    tracking: samples.tracking,
    target: {
      chain: {
        ...chainOfLineage(made),
        model: { 'model.onnx': samples.trained('lightgbm', 'lightgbm').model.sha256 },
      },
      test,
      validation: samples.trained('lightgbm', 'lightgbm').validation,
      libraries: null,
    },
    erased: { people: 0, sources: [], certificates: [] },
    environment: { was: environment, is: environment },
    asOf: made.createdAt,
  };
}
