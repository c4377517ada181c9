import { DEFAULT_RESOURCE } from './spec/candidates.ts';

/** Names that workers, clients, the Temporal CLI and other languages share. Changing one breaks running workflows. */

/** The task queue of lifecycle workflows and their activities, unless the worker's configuration says otherwise. */
export const DEFAULT_TASK_QUEUE = 'perennial';

export const WORKFLOW_TYPES = {
  lifecycle: 'lifecycle',
  training: 'training',
  endpoint: 'endpoint',
  rollout: 'rollout',
  modelServer: 'modelServer',
  housekeeping: 'housekeeping',
  erasure: 'erasure',
  cache: 'cache',
  lineage: 'lineage',
  reproduction: 'reproduction',
  eventLog: 'eventLog',
  batchScoring: 'batchScoring',
  monitor: 'monitor',
  alertDelivery: 'alertDelivery',
  retraining: 'retraining',
  retrainingTrigger: 'retrainingTrigger',
  newData: 'newData',
  backtest: 'backtest',
  materialization: 'materialization',
} as const;

export const SIGNALS = {
  approve: 'approve',
  reject: 'reject',
  serverJoined: 'serverJoined',
  challengerFailed: 'challengerFailed',
  turn: 'turn',
  append: 'append',
  trigger: 'trigger',
  tick: 'tick',
} as const;

export const UPDATES = {
  review: 'review',
  admit: 'admit',
  shift: 'shift',
  promote: 'promote',
  withdraw: 'withdraw',
  rollback: 'rollback',
  pause: 'pause',
  resume: 'resume',
  traffic: 'traffic',
  append: 'append',
  budget: 'budget',
  stop: 'stop',
  rung: 'rung',
  trigger: 'trigger',
  configure: 'configure',
  answer: 'answer',
  retire: 'retire',
} as const;

export const QUERIES = {
  status: 'status',
  outputs: 'outputs',
  input: 'input',
  endpoint: 'endpoint',
  rollout: 'rollout',
  batches: 'batches',
  search: 'search',
  progress: 'progress',
  retraining: 'retraining',
} as const;

/** Custom search attributes; `perennial up` registers them, `docs/operations.md` has the command for other clusters. */
export const SEARCH_ATTRIBUTES = {
  pipeline: { name: 'PerennialPipeline', type: 'KEYWORD' },
  stage: { name: 'PerennialStage', type: 'KEYWORD' },
  modelVersion: { name: 'PerennialModelVersion', type: 'KEYWORD' },
  awaitingApproval: { name: 'PerennialAwaitingApproval', type: 'BOOL' },
} as const;

/** Workflow ids: one endpoint per registered model, one lease per model server. */
export const endpointWorkflowId = (endpoint: string): string => `endpoint/${endpoint}`;
export const modelServerWorkflowId = (serverId: string): string => `modelServer/${serverId}`;
/** The roll-out of a lifecycle run's candidate, which may outlive the run. */
export const rolloutWorkflowId = (lifecycleWorkflowId: string, runId: string): string =>
  `${lifecycleWorkflowId}/rollout/${runId}`;
/** One log of pushed rows. */
export const eventLogWorkflowId = (log: string): string => `eventLog/${log}`;
/** What decides when the model of a pipeline is trained anew. */
export const retrainingWorkflowId = (pipeline: string): string => `retraining/${pipeline}`;
/** The schedule by which an endpoint is watched; its runs have this id and the time. */
export const monitorScheduleId = (endpoint: string): string => `monitor/${endpoint}`;
/** What tells one alert by one channel. */
export const alertDeliveryWorkflowId = (notice: string, channel: string): string =>
  `alert/${notice}/${channel}`;
/** The schedules by which a pipeline is trained anew, and its sources are looked at. */
export const retrainingScheduleId = (pipeline: string, what: 'schedule' | 'new-data'): string =>
  `retraining/${pipeline}/${what}`;
/** The schedule by which the features of a pipeline are brought up to date; its runs have this id and the time. */
export const featuresScheduleId = (pipeline: string): string => `features/${pipeline}`;
/** One attempt to make a version again; `name` says which and tells it from others. */
export const reproductionWorkflowId = (name: string): string => `reproduction/${name}`;
/** The queue on which only the model server `serverId` listens. */
export const modelServerTaskQueue = (serverId: string): string => `perennial-server-${serverId}`;
/**
 * The queue of the workers of a resource class, where `training.resources` names none.
 *
 * @param taskQueue of the run
 * @example resourceTaskQueue('perennial', 'gpu') === 'perennial-gpu'
 */
export const resourceTaskQueue = (taskQueue: string, resource: string): string =>
  resource === DEFAULT_RESOURCE ? taskQueue : `${taskQueue}-${resource}`;
/** The child workflow that trains the candidates of a lifecycle run. */
export const trainingWorkflowId = (lifecycleWorkflowId: string, runId: string): string =>
  `${lifecycleWorkflowId}/training/${runId}`;

/** The schedule by which the worker has housekeeping done once a day. */
export const HOUSEKEEPING_SCHEDULE = 'perennial-housekeeping';

/** Prefix of every activity type, so that a foreign worker's own activities are never replaced. */
export const ACTIVITY_PREFIX = 'perennial.';
