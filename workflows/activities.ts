import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type {
  ApprovalActivities,
  DataActivities,
  DeploymentActivities,
  EndpointAsk,
  EvaluationActivities,
  EventActivities,
  ModelServerActivities,
  RolloutActivities,
  TrackingActivities,
} from '../contracts/activities.ts';
import type { BacktestActivities } from '../contracts/backtest-activities.ts';
import type { BatchActivities } from '../contracts/batch-scoring.ts';
import type { FeatureActivities } from '../contracts/feature-store.ts';
import type { MonitoringActivities, RetrainingActivities } from '../contracts/monitoring-activities.ts';
import { ACTIVITY_PREFIX } from '../contracts/names.ts';
import type { RowRange } from '../contracts/refs.ts';
import type { RemoteTrainerRequest } from '../contracts/trainer.ts';
import type { TrainingActivities } from '../contracts/training-activities.ts';
import type {
  CacheActivities,
  ErasureActivities,
  HousekeepingActivities,
  LineageActivities,
} from '../contracts/upkeep-activities.ts';
import { POLICIES } from './policies.ts';

type ActivityFunction = (input: never) => Promise<unknown>;

/** A typed stub of the activity `perennial.<name>`, with the line that the Temporal UI shows beside it. */
function stub<A extends object>() {
  return <K extends keyof A & string>(name: K, options: ActivityOptions, summary: string): A[K] => {
    const type = `${ACTIVITY_PREFIX}${name}`;
    const proxy = proxyActivities<Record<string, ActivityFunction>>({ ...options, summary });
    return proxy[type] as A[K];
  };
}

const data = stub<DataActivities>();
const training = stub<TrainingActivities>();
const evaluation = stub<EvaluationActivities>();
const tracking = stub<TrackingActivities>();
const deployment = stub<DeploymentActivities>();
const server = stub<ModelServerActivities>();
const events = stub<EventActivities>();
const tidying = stub<HousekeepingActivities>();
const erasing = stub<ErasureActivities>();
const cached = stub<CacheActivities>();
const lineage = stub<LineageActivities>();
const batch = stub<BatchActivities>();
const observing = stub<RolloutActivities>();
const approving = stub<ApprovalActivities>();
const watching = stub<MonitoringActivities>();
const replaying = stub<BacktestActivities>();
const retraining = stub<RetrainingActivities>();
const features = stub<FeatureActivities>();

export const loadSpec = data('loadSpec', POLICIES.control, 'Read the spec from the artifact store');
export const ingest = data('ingest', POLICIES.data, 'Snapshot the sources and join them');
export const validate = data('validate', POLICIES.data, 'Check the expectations');
export const protect = data('protect', POLICIES.data, 'Protect personal columns');
export const split = data('split', POLICIES.data, 'Split into train, validation and test');
export const prepare = data('prepare', POLICIES.data, 'Fit the features on the training rows');
export const evaluate = evaluation('evaluate', POLICIES.data, 'Judge the winner on the test split');
export const explain = evaluation('explain', POLICIES.optional, 'Explain the winner');

export const openTracking = tracking('openTracking', POLICIES.tracker, 'Open the MLflow run');
export const recordData = tracking('recordData', POLICIES.tracker, 'Log the dataset inputs');
export const recordArtifacts = tracking('recordArtifacts', POLICIES.tracker, 'Log the reports');
export const register = tracking('register', POLICIES.tracker, 'Register the model version');
export const retireCandidate = tracking(
  'retireCandidate',
  POLICIES.tracker,
  'Mark the version as not deployed',
);
export const closeTracking = tracking('closeTracking', POLICIES.tracker, 'Close the MLflow run');
export const championTraining = tracking('championTraining', POLICIES.tracker, "Find the champion's data");
export const currentChampion = tracking('currentChampion', POLICIES.tracker, 'Read the alias champion');
export const setChampion = tracking('setChampion', POLICIES.alias, 'Point the alias champion');
export const registeredVersion = tracking('registeredVersion', POLICIES.lookup, 'Find the version');
export const tagVersion = tracking('tagVersion', POLICIES.alias, 'Tag the version');

export const listModelServers = deployment(
  'listModelServers',
  POLICIES.control,
  'List the live model servers',
);
export const announceServer = deployment(
  'announceServer',
  POLICIES.control,
  'Tell the endpoints of the server',
);
export const askEndpoint = (ask: EndpointAsk['update']): DeploymentActivities['askEndpoint'] =>
  deployment('askEndpoint', POLICIES.rollout, `Ask the endpoint to ${ask}`);
export const isRunning = deployment('isRunning', POLICIES.control, 'Whether the workflow is there');
export const observeTruth = observing('observeTruth', POLICIES.truth, 'What came true');

export const checkApprovers = approving('checkApprovers', POLICIES.control, 'Look for the approvers');
export const verifyVote = approving('verifyVote', POLICIES.vote, 'Check the token of a vote');
export const notify = approving('notify', POLICIES.notice, 'Tell people');
export const recordAudit = approving('recordAudit', POLICIES.audit, 'Write into the audit log');

export const watchEndpoint = watching('watchEndpoint', POLICIES.audit, 'Put the endpoint under watch');
export const planMonitoring = watching('planMonitoring', POLICIES.data, 'Find the windows that are due');
export const observeWindow = watching('observeWindow', POLICIES.observe, 'Measure a window');
export const recordWindow = watching('recordWindow', POLICIES.audit, 'Put the window on record');
export const logWindows = watching('logWindows', POLICIES.optional, 'Log measures and reports');
export const deliverAlert = watching('deliverAlert', POLICIES.alert, 'Tell an alert');
export const recordDelivery = watching('recordDelivery', POLICIES.audit, 'Note whether it was taken');
export const settleAlerts = watching('settleAlerts', POLICIES.audit, 'Note what was told');
export const askRetraining = watching('askRetraining', POLICIES.ask, 'Ask whether to retrain');
export const ensureRetraining = retraining('ensureRetraining', POLICIES.control, 'Have the model kept good');
export const findRunEnd = retraining('findRunEnd', POLICIES.control, 'Whether the run has ended, and how');
export const lookForNewData = retraining('lookForNewData', POLICIES.poll, 'Look for new data');

export const planBacktest = replaying('planBacktest', POLICIES.data, 'Find the windows and schedules');
export const openBacktestModel = (name: string): BacktestActivities['openBacktestModel'] =>
  replaying('openBacktestModel', POLICIES.data, `Score all rows by the model of ${name}`);
export const observeBacktest = (window: string): BacktestActivities['observeBacktest'] =>
  replaying('observeBacktest', POLICIES.data, `Measure the window from ${window}`);
export const loadBacktestModel = replaying('loadBacktestModel', POLICIES.control, 'Look the champion up');
export const advanceBacktest = (policy: string): BacktestActivities['advanceBacktest'] =>
  replaying('advanceBacktest', POLICIES.data, `Decide as ${policy} would`);
export const judgeBacktest = replaying('judgeBacktest', POLICIES.data, 'Judge windows by all the truth');
export const closeBacktest = replaying('closeBacktest', POLICIES.tracker, 'Write the report');

export const openEventLog = events('openEventLog', POLICIES.log, 'Where the event log stood');
export const appendEventBatches = events('appendEventBatches', POLICIES.log, 'Append batches to the log');

export const collectGarbage = tidying('collectGarbage', POLICIES.data, 'Delete what failed runs left behind');

export const suppressPerson = erasing('suppressPerson', POLICIES.erasure, 'Keep the person out from now on');
export const planErasure = erasing('planErasure', POLICIES.erasure, 'Look for the person everywhere');
export const erasePerson = erasing(
  'erasePerson',
  POLICIES.erasure,
  'Write everything anew without the person',
);
export const certifyErasure = erasing('certifyErasure', POLICIES.tracker, 'Write the certificate');
export const forgetRequest = erasing('forgetRequest', POLICIES.erasure, 'Delete the request');
export const listCache = cached('listCache', POLICIES.data, 'List the step cache');
export const removeCached = cached('removeCached', POLICIES.data, 'Forget results of stages');
export const collectCache = cached('collectCache', POLICIES.data, 'Forget results that nobody uses');

export const artifactStates = lineage('artifactStates', POLICIES.data, 'What became of artifacts');
export const openReproduction = lineage(
  'openReproduction',
  POLICIES.data,
  'Find what the version was made of',
);
export const closeReproduction = lineage('closeReproduction', POLICIES.tracker, 'Write the verdict');

export const materializeFeatures = features(
  'materializeFeatures',
  POLICIES.data,
  'Bring the online features up to date',
);

export const openBatch = batch('openBatch', POLICIES.delivery, 'Find the model, look at the destination');
export const takeBatch = batch('takeBatch', POLICIES.data, 'Snapshot the rows');
export const scoreChunk = ({ from, before }: RowRange): BatchActivities['scoreChunk'] =>
  batch('scoreChunk', POLICIES.data, `Score rows ${from} to ${Math.max(from, before - 1)}`);
export const gatherChunks = batch('gatherChunks', POLICIES.data, 'Write down what is scored');
export const writeBatch = batch('writeBatch', POLICIES.delivery, 'Write the answers');
export const closeBatch = batch('closeBatch', POLICIES.tracker, 'Close the MLflow run');

/** Activities of one model server run on that server's own queue. */
export const serverActivities = (taskQueue: string): ModelServerActivities => ({
  holdLease: server('holdLease', { ...POLICIES.lease, taskQueue }, 'Lease of the model server'),
  applyRoutes: server('applyRoutes', { ...POLICIES.server, taskQueue }, 'Apply the traffic table'),
  observeTraffic: server('observeTraffic', { ...POLICIES.look, taskQueue }, 'What the versions did'),
  readCounters: server('readCounters', { ...POLICIES.look, taskQueue }, 'What the server counted'),
  precheck: server('precheck', { ...POLICIES.precheck, taskQueue }, 'Load the model and call its API'),
});

export const proposeTrials = training('proposeTrials', POLICIES.proposal, 'Ask the estimator for parameters');

/** Training is bounded by the spec, its heartbeat carries the checkpoint. */
export const trainTrial = (
  label: string,
  { taskQueue, timeoutMs }: { taskQueue: string; timeoutMs: number },
): TrainingActivities['trainTrial'] =>
  training(
    'trainTrial',
    { ...POLICIES.training, taskQueue, startToCloseTimeout: timeoutMs },
    `Train ${label}`,
  );

export const openRemoteTrial = training('openRemoteTrial', POLICIES.data, 'Make the features readable');
export const judgeRemoteTrial = training('judgeRemoteTrial', POLICIES.data, 'Judge the model');

/** An activity of somebody's own worker, under its own name. It heartbeats at least every 20 seconds. */
export const foreignActivity = (
  type: string,
  label: string,
  { taskQueue, timeoutMs }: { taskQueue: string; timeoutMs: number },
): ((request: RemoteTrainerRequest) => Promise<unknown>) => {
  const proxy = proxyActivities<Record<string, (request: RemoteTrainerRequest) => Promise<unknown>>>({
    ...POLICIES.training,
    heartbeatTimeout: '20s',
    taskQueue,
    startToCloseTimeout: timeoutMs,
    summary: `Train ${label}`,
  });
  return async (request) => proxy[type]?.(request);
};

export const finishCandidate = (name: string): TrainingActivities['finishCandidate'] =>
  training('finishCandidate', POLICIES.data, `Make the model of ${name}`);
