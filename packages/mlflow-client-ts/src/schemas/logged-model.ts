import { z } from 'zod';
import { type Metric, metricSchema } from './metric.ts';
import { filled, int64, pairRecord, text } from './wire.ts';

/** State of a logged model. */
export type LoggedModelStatus = 'PENDING' | 'READY' | 'UPLOAD_FAILED' | 'UNSPECIFIED';

/** A registered version made from a logged model. */
export interface LoggedModelRegistration {
  readonly name: string;
  readonly version: string;
}

/** A logged model (MLflow 3): a model as a thing of its own, apart from runs. */
export interface LoggedModel {
  /** Starts with `m-`. */
  readonly modelId: string;
  readonly experimentId: string;
  readonly name: string;
  /** Epoch milliseconds. */
  readonly creationTimestamp: number | undefined;
  /** Epoch milliseconds. */
  readonly lastUpdatedTimestamp: number | undefined;
  /** Root URI of its files. */
  readonly artifactUri: string | undefined;
  readonly status: LoggedModelStatus;
  readonly statusMessage: string | undefined;
  readonly modelType: string | undefined;
  /** Run that produced it. */
  readonly sourceRunId: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Versions made from it, where the server says so (the open-source one of 3.17 does not). */
  readonly registrations: readonly LoggedModelRegistration[];
  readonly params: Readonly<Record<string, string>>;
  readonly metrics: readonly Metric[];
}

/** Name of a status on the wire. */
export const STATUS_TO_WIRE = {
  PENDING: 'LOGGED_MODEL_PENDING',
  READY: 'LOGGED_MODEL_READY',
  UPLOAD_FAILED: 'LOGGED_MODEL_UPLOAD_FAILED',
  UNSPECIFIED: 'LOGGED_MODEL_STATUS_UNSPECIFIED',
} as const satisfies Record<LoggedModelStatus, string>;

const STATUS_FROM_WIRE = {
  LOGGED_MODEL_PENDING: 'PENDING',
  LOGGED_MODEL_READY: 'READY',
  LOGGED_MODEL_UPLOAD_FAILED: 'UPLOAD_FAILED',
  LOGGED_MODEL_STATUS_UNSPECIFIED: 'UNSPECIFIED',
} as const satisfies Record<string, LoggedModelStatus>;

const infoSchema = z.object({
  model_id: z.string(),
  experiment_id: z.string(),
  name: z.string().default(''),
  creation_timestamp_ms: int64.optional(),
  last_updated_timestamp_ms: int64.optional(),
  artifact_uri: text,
  status: z
    .enum([
      'LOGGED_MODEL_PENDING',
      'LOGGED_MODEL_READY',
      'LOGGED_MODEL_UPLOAD_FAILED',
      'LOGGED_MODEL_STATUS_UNSPECIFIED',
    ])
    .default('LOGGED_MODEL_STATUS_UNSPECIFIED'),
  status_message: text,
  model_type: text,
  source_run_id: text,
  tags: pairRecord,
  registrations: z.array(z.object({ name: z.string(), version: z.string() })).default([]),
});

const dataSchema = z.object({ params: pairRecord, metrics: z.array(metricSchema).default([]) });

export const loggedModelSchema = z.object({ info: infoSchema, data: dataSchema.prefault({}) }).transform(
  ({ info, data }): LoggedModel => ({
    modelId: info.model_id,
    experimentId: info.experiment_id,
    name: info.name,
    creationTimestamp: info.creation_timestamp_ms,
    lastUpdatedTimestamp: info.last_updated_timestamp_ms,
    artifactUri: info.artifact_uri,
    status: STATUS_FROM_WIRE[info.status],
    statusMessage: filled(info.status_message),
    modelType: filled(info.model_type),
    sourceRunId: filled(info.source_run_id),
    tags: info.tags,
    registrations: info.registrations,
    params: data.params,
    metrics: data.metrics,
  }),
);
