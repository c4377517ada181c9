/** The vocabulary that workers, clients and other programs share. */
export type { EndpointState } from './endpoint.ts';
export { ERROR_CODES, type ErrorCode, PerennialError } from './errors.ts';
export type { LifecycleInput, LifecycleResult, ReviewUpdate, RunStatus } from './lifecycle.ts';
export {
  DEFAULT_TASK_QUEUE,
  endpointWorkflowId,
  QUERIES,
  resourceTaskQueue,
  SEARCH_ATTRIBUTES,
  SIGNALS,
  UPDATES,
  WORKFLOW_TYPES,
} from './names.ts';
export { type PipelineSpec, type PipelineSpecInput, pipelineSpec } from './spec/pipeline.ts';
export { STAGES, type StageName, type StageOutputs } from './stages.ts';
export {
  type RemoteTrainerRequest,
  type RemoteTrainerResult,
  remoteTrainerRequest,
  remoteTrainerResult,
} from './trainer.ts';
