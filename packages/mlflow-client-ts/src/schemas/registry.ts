import { z } from 'zod';
import { type Metric, metricSchema } from './metric.ts';
import { filled, int64, pairRecord, text } from './wire.ts';

/** Whether a version's files are in place. */
export type ModelVersionStatus = 'PENDING_REGISTRATION' | 'FAILED_REGISTRATION' | 'READY';

/** Stages of MLflow 2; deprecated there in favour of aliases. */
export type ModelStage = 'None' | 'Staging' | 'Production' | 'Archived';

/** One version of a registered model. */
export interface ModelVersion {
  readonly name: string;
  /** Digits as text. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly creationTimestamp: number | undefined;
  /** Epoch milliseconds. */
  readonly lastUpdatedTimestamp: number | undefined;
  readonly userId: string | undefined;
  readonly currentStage: string | undefined;
  readonly description: string | undefined;
  /** URI it was registered from. */
  readonly source: string | undefined;
  readonly runId: string | undefined;
  readonly runLink: string | undefined;
  readonly status: ModelVersionStatus;
  readonly statusMessage: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /**
   * Aliases that point here. Filled by `get` and `getByAlias`; search results of
   * MLflow 3.17 are not to be relied on for it.
   */
  readonly aliases: readonly string[];
  /** Logged model behind the version, where the server says so (the open-source one of 3.17 does not). */
  readonly modelId: string | undefined;
  /** Params of the logged model. */
  readonly modelParams: Readonly<Record<string, string>>;
  /** Metrics of the logged model. */
  readonly modelMetrics: readonly Metric[];
}

/** A registered model. */
export interface RegisteredModel {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly creationTimestamp: number | undefined;
  /** Epoch milliseconds. */
  readonly lastUpdatedTimestamp: number | undefined;
  readonly userId: string | undefined;
  readonly description: string | undefined;
  /** Latest version of each stage. */
  readonly latestVersions: readonly ModelVersion[];
  readonly tags: Readonly<Record<string, string>>;
  /** Version number by alias. */
  readonly aliases: Readonly<Record<string, string>>;
}

// A version is a number to the server and text on the wire; older servers sent the number.
const version = z.union([z.string(), z.number().transform(String)]);

export const modelVersionSchema = z
  .object({
    name: z.string(),
    version,
    creation_timestamp: int64.optional(),
    last_updated_timestamp: int64.optional(),
    user_id: text,
    current_stage: text,
    description: text,
    source: text,
    run_id: text,
    run_link: text,
    status: z.enum(['PENDING_REGISTRATION', 'FAILED_REGISTRATION', 'READY']).default('READY'),
    status_message: text,
    tags: pairRecord,
    aliases: z.array(z.string()).default([]),
    model_id: text,
    model_params: z.array(z.object({ name: z.string(), value: z.string().default('') })).default([]),
    model_metrics: z.array(metricSchema).default([]),
  })
  .transform(
    (wire): ModelVersion => ({
      name: wire.name,
      version: wire.version,
      creationTimestamp: wire.creation_timestamp,
      lastUpdatedTimestamp: wire.last_updated_timestamp,
      userId: filled(wire.user_id),
      currentStage: wire.current_stage,
      description: filled(wire.description),
      source: filled(wire.source),
      runId: filled(wire.run_id),
      runLink: filled(wire.run_link),
      status: wire.status,
      statusMessage: filled(wire.status_message),
      tags: wire.tags,
      aliases: wire.aliases,
      modelId: filled(wire.model_id),
      modelParams: Object.fromEntries(wire.model_params.map((param) => [param.name, param.value])),
      modelMetrics: wire.model_metrics,
    }),
  );

export const registeredModelSchema = z
  .object({
    name: z.string(),
    creation_timestamp: int64.optional(),
    last_updated_timestamp: int64.optional(),
    user_id: text,
    description: text,
    latest_versions: z.array(modelVersionSchema).default([]),
    tags: pairRecord,
    aliases: z.array(z.object({ alias: z.string(), version })).default([]),
  })
  .transform(
    (wire): RegisteredModel => ({
      name: wire.name,
      creationTimestamp: wire.creation_timestamp,
      lastUpdatedTimestamp: wire.last_updated_timestamp,
      userId: filled(wire.user_id),
      description: filled(wire.description),
      latestVersions: wire.latest_versions,
      tags: wire.tags,
      aliases: Object.fromEntries(wire.aliases.map((alias) => [alias.alias, alias.version])),
    }),
  );
