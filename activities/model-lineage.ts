import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { TrackingActivities } from '../contracts/activities.ts';
import {
  LINEAGE_SCHEMA,
  type LineageEnvironment,
  type ModelLineage,
  modelLineage,
} from '../contracts/lineage.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import { type TrialName, trialLabel } from '../contracts/trials.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { preparedFor } from '../domain/prepared-features.ts';

type RegisterInput = Parameters<TrackingActivities['register']>[0];

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * From a model back to the commit and the rows: what `lineage.json` of the model directory says.
 *
 * @param facts.createdAt ISO time at which the logged model came into being, the same in all attempts
 */
export function lineageOf(
  input: RegisterInput,
  facts: { modelId: string; createdAt: string; environment: LineageEnvironment },
): ModelLineage {
  const { run, tracking, code, spec, ingest, validate, protect, split, evaluate, train } = input;
  const { winner, champion } = evaluate;
  const features = preparedFor(input.prepared, winner.features);
  const { sql, rowFilter } = spec.data;
  return modelLineage.parse({
    schemaVersion: LINEAGE_SCHEMA,
    createdAt: facts.createdAt,
    model: { name: spec.deployment.endpoint, modelId: facts.modelId, artifact: winner.model },
    run: {
      ...run,
      experimentId: tracking.experimentId,
      mlflowRunId: tracking.runId,
      url: tracking.url,
    },
    code,
    spec: { sha256: sha256(canonicalJson(spec)), content: { ...spec } },
    data: {
      digest: ingest.digest,
      sources: ingest.sources.map(({ name, kind, origin, sourceSha256, snapshot, suppressed = 0 }) => ({
        name,
        kind,
        origin,
        sourceSha256,
        snapshot: snapshot.artifact,
        rows: snapshot.rows,
        columns: snapshot.columns.length,
        suppressed,
      })),
      sql: sql === undefined ? null : { text: sql, sha256: sha256(sql) },
      rowFilter: rowFilter.map(({ where }) => ({ where, sha256: sha256(where) })),
      setAside: ingest.setAside,
      table: {
        artifact: ingest.table.artifact,
        rows: ingest.table.rows,
        columns: ingest.table.columns.map(({ name }) => name),
      },
      validated: part(validate.table),
      quarantine: validate.quarantine && part(validate.quarantine),
      protected: { ...part(protect.table), actions: protect.actions },
      split: {
        train: part(split.train),
        validation: part(split.validation),
        test: part(split.test),
        unused: split.unused,
      },
    },
    features: {
      preset: winner.features,
      count: features.featureCount,
      plan: features.plan,
      preprocess: features.preprocess,
      ...(features.outOfFold ? { outOfFold: features.outOfFold } : {}),
      train: features.train,
      validation: features.validation,
      notes: features.notes,
    },
    training: {
      candidate: winner.name,
      trainer: winner.trainer,
      trials: winner.members.map((member) => ({
        name: trialLabel(member),
        candidate: { ...candidateOf(spec, member) },
        parameters: member.parameters,
        iterations: member.iterations,
        model: member.model,
      })),
      seed: spec.training.seed,
      threads: spec.training.threads,
      parameters: winner.parameters,
      libraries: winner.libraries,
      iterations: winner.iterations,
      bestIteration: winner.bestIteration,
      mlflowRunId: winner.mlflowRunId,
      seconds: winner.seconds,
      trained: train.trained.length,
      failed: train.failed.length,
    },
    evaluation: {
      metric: spec.evaluation.metric,
      test: evaluate.test,
      confidence: spec.evaluation.confidence,
      intervals: evaluate.intervals,
      train: evaluate.train,
      validation: winner.validation,
      baseline: evaluate.baseline,
      gates: input.gates.results,
    },
    parents: {
      champion: champion && {
        version: champion.version,
        test: champion.test,
        ...(champion.notComparable === undefined ? {} : { notComparable: champion.notComparable }),
      },
    },
    environment: facts.environment,
  } satisfies z.input<typeof modelLineage>);
}

const part = ({ artifact, rows }: { artifact: ModelLineage['model']['artifact']; rows: number }) => ({
  artifact,
  rows,
});

const candidateOf = ({ candidates }: Pick<PipelineSpec, 'candidates'>, { candidate }: TrialName) =>
  candidates.find(({ name }) => name === candidate);
