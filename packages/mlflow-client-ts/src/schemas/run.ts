import { z } from 'zod';
import { type DatasetInput, datasetInputSchema } from './dataset.ts';
import { type LifecycleStage, lifecycleStage } from './experiment.ts';
import { type Metric, metricSchema } from './metric.ts';
import { filled, int64, pairRecord, text } from './wire.ts';

/** State of a run. */
export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';

/** Facts about a run. */
export interface RunInfo {
  readonly runId: string;
  readonly runName: string | undefined;
  readonly experimentId: string;
  readonly userId: string | undefined;
  readonly status: RunStatus;
  /** Epoch milliseconds. */
  readonly startTime: number | undefined;
  /** Epoch milliseconds; undefined while it runs. */
  readonly endTime: number | undefined;
  /** Root URI of its artifacts. */
  readonly artifactUri: string | undefined;
  readonly lifecycleStage: LifecycleStage;
}

/** A model a run produced. */
export interface ModelOutput {
  readonly modelId: string;
  /** Training step at which it was saved. */
  readonly step: number;
}

/** An MLflow run with everything logged to it. */
export interface Run {
  readonly info: RunInfo;
  readonly data: {
    /** The last value of each metric; see `runs.metricHistory` for all of them. */
    readonly metrics: readonly Metric[];
    /** Params by key. */
    readonly params: Readonly<Record<string, string>>;
    /** Tags by key. */
    readonly tags: Readonly<Record<string, string>>;
  };
  readonly inputs: {
    readonly datasets: readonly DatasetInput[];
    /** Identifiers of the logged models it read. */
    readonly modelIds: readonly string[];
  };
  readonly outputs: {
    readonly models: readonly ModelOutput[];
  };
}

export const runStatus = z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']);

export const runInfoSchema = z
  .object({
    run_id: text,
    run_uuid: text,
    run_name: text,
    experiment_id: z.string(),
    user_id: text,
    status: runStatus,
    start_time: int64.optional(),
    end_time: int64.optional(),
    artifact_uri: text,
    lifecycle_stage: lifecycleStage,
  })
  .transform((wire, context): RunInfo => {
    const runId = wire.run_id ?? wire.run_uuid;
    if (runId === undefined) {
      context.addIssue({ code: 'custom', message: 'neither run_id nor run_uuid is present' });
      return z.NEVER;
    }
    return {
      runId,
      runName: wire.run_name,
      experimentId: wire.experiment_id,
      userId: filled(wire.user_id),
      status: wire.status,
      startTime: wire.start_time,
      endTime: wire.end_time,
      artifactUri: wire.artifact_uri,
      lifecycleStage: wire.lifecycle_stage,
    };
  });

const runDataSchema = z.object({
  metrics: z.array(metricSchema).default([]),
  params: pairRecord,
  tags: pairRecord,
});

const runInputsSchema = z
  .object({
    dataset_inputs: z.array(datasetInputSchema).default([]),
    model_inputs: z.array(z.object({ model_id: z.string() })).default([]),
  })
  .transform((wire) => ({
    datasets: wire.dataset_inputs,
    modelIds: wire.model_inputs.map((input) => input.model_id),
  }));

const runOutputsSchema = z
  .object({
    model_outputs: z.array(z.object({ model_id: z.string(), step: int64.default(0) })).default([]),
  })
  .transform((wire) => ({
    models: wire.model_outputs.map(
      (output): ModelOutput => ({ modelId: output.model_id, step: output.step }),
    ),
  }));

export const runSchema = z.object({
  info: runInfoSchema,
  data: runDataSchema.prefault({}),
  inputs: runInputsSchema.prefault({}),
  outputs: runOutputsSchema.prefault({}),
}) satisfies z.ZodType<Run>;
