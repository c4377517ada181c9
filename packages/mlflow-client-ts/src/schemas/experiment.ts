import { z } from 'zod';
import { int64, pairRecord, text } from './wire.ts';

/** Whether something is in use or in the bin. */
export type LifecycleStage = 'active' | 'deleted';

/** Which side of the bin a search looks at. */
export type ViewType = 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL';

/** An MLflow experiment. */
export interface Experiment {
  /** Identifier, digits as text. */
  readonly experimentId: string;
  /** Unique name. */
  readonly name: string;
  /** Root URI of its runs' artifacts. */
  readonly artifactLocation: string | undefined;
  /** Whether it is in use or deleted. */
  readonly lifecycleStage: LifecycleStage;
  /** Epoch milliseconds. */
  readonly creationTime: number | undefined;
  /** Epoch milliseconds. */
  readonly lastUpdateTime: number | undefined;
  /** Tags by key. */
  readonly tags: Readonly<Record<string, string>>;
  /** Workspace it lives in, on servers that have workspaces. */
  readonly workspace: string | undefined;
}

export const lifecycleStage = z.enum(['active', 'deleted']).default('active');

export const experimentSchema = z
  .object({
    experiment_id: z.string(),
    name: z.string(),
    artifact_location: text,
    lifecycle_stage: lifecycleStage,
    creation_time: int64.optional(),
    last_update_time: int64.optional(),
    tags: pairRecord,
    workspace: text,
  })
  .transform(
    (wire): Experiment => ({
      experimentId: wire.experiment_id,
      name: wire.name,
      artifactLocation: wire.artifact_location,
      lifecycleStage: wire.lifecycle_stage,
      creationTime: wire.creation_time,
      lastUpdateTime: wire.last_update_time,
      tags: wire.tags,
      workspace: wire.workspace,
    }),
  );

/** A dataset seen in an experiment's runs. */
export interface DatasetSummary {
  readonly experimentId: string;
  readonly name: string;
  readonly digest: string;
  /** For example `training`; the `mlflow.data.context` tag of the input. */
  readonly context: string | undefined;
}

export const datasetSummarySchema = z
  .object({ experiment_id: z.string(), name: z.string(), digest: z.string(), context: text })
  .transform(
    (wire): DatasetSummary => ({
      experimentId: wire.experiment_id,
      name: wire.name,
      digest: wire.digest,
      context: wire.context,
    }),
  );
