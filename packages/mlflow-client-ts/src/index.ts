export type { ListArtifactsArgs } from './artifacts/lister.ts';
export type { ArtifactLocation, ModelLocation, RunLocation, UriLocation } from './artifacts/location.ts';
export type { MultipartOptions, MultipartUploads } from './artifacts/multipart.ts';
export type { ArtifactBody } from './artifacts/source.ts';
export { MlflowClient, type MlflowClientOptions, type MlflowEnv } from './client.ts';
export { MlflowError, type MlflowErrorCode, type MlflowErrorInit } from './errors.ts';
export type { Auth } from './http/auth.ts';
export { collect, type PagingArgs } from './http/paging.ts';
export type { RetryOptions } from './http/retry.ts';
export type { CallOptions } from './http/transport.ts';
export { LIMITS } from './limits.ts';
export type { Artifacts, DownloadArgs, UploadArgs, UploadFileArgs } from './resources/artifacts.ts';
export type { Experiments, SearchExperimentsArgs } from './resources/experiments.ts';
export type {
  CreateLoggedModelArgs,
  LoggedModelOrder,
  LoggedModels,
  SearchLoggedModelsArgs,
} from './resources/logged-models.ts';
export type {
  CreateModelVersionArgs,
  ModelVersions,
  SearchModelVersionsArgs,
} from './resources/model-versions.ts';
export type { RegisteredModels, SearchRegisteredModelsArgs } from './resources/registered-models.ts';
export type { LogBatchArgs, RunLogging } from './resources/run-logging.ts';
export type {
  CreateRunArgs,
  MetricHistoryArgs,
  MetricHistoryBulkArgs,
  Runs,
  SearchRunsArgs,
} from './resources/runs.ts';
export type { Server } from './resources/server.ts';
export type { CreateWebhookArgs, Webhooks } from './resources/webhooks.ts';
export type { WorkspaceSettings, Workspaces } from './resources/workspaces.ts';
export type {
  FileInfo,
  MultipartCredential,
  MultipartPart,
  MultipartUpload,
  PresignedUrl,
} from './schemas/artifact.ts';
export type { Dataset, DatasetInput } from './schemas/dataset.ts';
export type { DatasetSummary, Experiment, LifecycleStage, ViewType } from './schemas/experiment.ts';
export type { LoggedModel, LoggedModelRegistration, LoggedModelStatus } from './schemas/logged-model.ts';
export type { Metric, MetricInput } from './schemas/metric.ts';
export type { ModelStage, ModelVersion, ModelVersionStatus, RegisteredModel } from './schemas/registry.ts';
export type { ModelOutput, Run, RunInfo, RunStatus } from './schemas/run.ts';
export type { ServerInfo, Workspace } from './schemas/server.ts';
export type {
  Webhook,
  WebhookAction,
  WebhookEntity,
  WebhookEvent,
  WebhookStatus,
  WebhookTestResult,
} from './schemas/webhook.ts';
