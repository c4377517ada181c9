import { z } from 'zod';
import { text } from './wire.ts';

/** What a server says about itself (`/api/3.0/mlflow/server-info`). */
export interface ServerInfo {
  /** `SqlStore`, `FileStore`, or undefined for a store of another kind. */
  readonly storeType: string | undefined;
  readonly workspacesEnabled: boolean;
  readonly traceArchivalEnabled: boolean;
  /** Whether the artifact proxy hands out multipart uploads. */
  readonly multipartUploadsEnabled: boolean;
  /** Whether the artifact proxy hands out presigned download URLs. */
  readonly multipartDownloadsEnabled: boolean;
}

/** A workspace (MLflow 3, only where the server was started with workspaces). */
export interface Workspace {
  readonly name: string;
  readonly description: string | undefined;
  readonly defaultArtifactRoot: string | undefined;
}

const flag = z.boolean().default(false);

export const serverInfoSchema = z
  .object({
    store_type: z.string().nullish(),
    workspaces_enabled: flag,
    trace_archival_enabled: flag,
    multipart_uploads_enabled: flag,
    multipart_downloads_enabled: flag,
  })
  .transform(
    (wire): ServerInfo => ({
      storeType: wire.store_type ?? undefined,
      workspacesEnabled: wire.workspaces_enabled,
      traceArchivalEnabled: wire.trace_archival_enabled,
      multipartUploadsEnabled: wire.multipart_uploads_enabled,
      multipartDownloadsEnabled: wire.multipart_downloads_enabled,
    }),
  );

export const workspaceSchema = z
  .object({ name: z.string(), description: text, default_artifact_root: text })
  .transform(
    (wire): Workspace => ({
      name: wire.name,
      description: wire.description,
      defaultArtifactRoot: wire.default_artifact_root,
    }),
  );
