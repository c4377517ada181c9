import type { AuditAppend } from './audit.ts';
import type { BacktestActivities } from './backtest-activities.ts';
import type { BatchActivities } from './batch-scoring.ts';
import type { CachePolicy } from './cache.ts';
import type {
  AdmitAnswer,
  AdmitUpdate,
  EndpointAnswer,
  PromoteUpdate,
  ShiftUpdate,
  WithdrawUpdate,
} from './endpoint.ts';
import type { AppendVerdict, EventBatch, EventLogHead } from './events.ts';
import type { FeatureActivities, ViewPlan } from './feature-store.ts';
import type { CodeVersion } from './lifecycle.ts';
import type { MonitoringActivities, RetrainingActivities } from './monitoring-activities.ts';
import type { NoticeOfRun } from './notices.ts';
import type { ServerCheck } from './prechecks.ts';
import type { ArtifactRef } from './refs.ts';
import type { LoadableModel } from './registered-version.ts';
import type { TrafficReport, TruthReport } from './rollout-evidence.ts';
import type { RunIdentity, Tracking } from './run.ts';
import type { ModelServerInfo, RouteAck, RouteTable, ServedModel } from './serving.ts';
import type { DeploymentSpec } from './spec/deployment.ts';
import type { PipelineSpec } from './spec/pipeline.ts';
import type { RowMetric } from './spec/rollout.ts';
import type { Task } from './spec/task.ts';
import type {
  EvaluateOutput,
  ExplainOutput,
  GatesOutput,
  IngestOutput,
  PrepareOutput,
  ProtectOutput,
  RegisterOutput,
  SplitOutput,
  TrainOutput,
  ValidateOutput,
} from './stages.ts';
import type { TrainingActivities } from './training-activities.ts';
import type {
  CacheActivities,
  ErasureActivities,
  HousekeepingActivities,
  LineageActivities,
} from './upkeep-activities.ts';
import type { VoteVerdict } from './votes.ts';

/** What the version in production was trained on. */
export interface ChampionTraining {
  version: string;
  /** Its training rows as Parquet. */
  table: ArtifactRef;
}

/** What a stage of the data part works on, and how the step cache may be used for it. */
export interface DataStage {
  spec: PipelineSpec;
  cache: CachePolicy;
}

/** Activities of the data part. All are idempotent: the same input gives the same artifacts. */
export interface DataActivities {
  loadSpec(input: { specRef: ArtifactRef }): Promise<{ spec: Record<string, unknown> }>;
  ingest(input: DataStage): Promise<IngestOutput>;
  /** A violated expectation is a result, not an error. @param input.asOf the moment that freshness is measured at */
  validate(
    input: DataStage & { ingest: IngestOutput; asOf: string; champion: ChampionTraining | null },
  ): Promise<ValidateOutput>;
  protect(input: DataStage & { ingest: IngestOutput; validate: ValidateOutput }): Promise<ProtectOutput>;
  split(input: DataStage & { protect: ProtectOutput }): Promise<SplitOutput>;
  prepare(input: DataStage & { split: SplitOutput }): Promise<PrepareOutput>;
}

/** Activities that judge. */
export interface EvaluationActivities {
  evaluate(input: {
    spec: Pick<
      PipelineSpec,
      'name' | 'task' | 'columns' | 'privacy' | 'training' | 'evaluation' | 'approval' | 'deployment'
    >;
    split: SplitOutput;
    prepared: PrepareOutput;
    train: TrainOutput;
    /** The MLflow run that the evaluation is written into; `null`: none, several models are judged at once. */
    tracking: Tracking | null;
    /** Whose columns the rows have; left out where there are none. */
    views?: ViewPlan[];
    /** What the winner is held against instead of the version in production; `null`: nothing. */
    champion?: LoadableModel | null;
  }): Promise<EvaluateOutput>;
  /** Explains the winner. @param input.findings personal columns of the table, whose values are not shown */
  explain(input: {
    spec: Pick<PipelineSpec, 'task' | 'columns' | 'privacy' | 'training' | 'evaluation'>;
    split: SplitOutput;
    prepared: PrepareOutput;
    findings: { column: string }[];
    evaluate: Pick<EvaluateOutput, 'winner' | 'signature' | 'samples'>;
    tracking: Tracking;
  }): Promise<ExplainOutput>;
}

/** Activities that write to MLflow. */
export interface TrackingActivities {
  openTracking(input: {
    spec: PipelineSpec;
    code: CodeVersion;
    run: RunIdentity;
    startedBy: string;
  }): Promise<Tracking>;
  recordData(input: {
    tracking: Tracking;
    spec: PipelineSpec;
    ingest: IngestOutput;
    protect: ProtectOutput;
    split: SplitOutput;
  }): Promise<void>;
  /** Copies artifacts into the MLflow run, at paths below its artifact root. */
  recordArtifacts(input: {
    tracking: Tracking;
    artifacts: { path: string; artifact: ArtifactRef }[];
  }): Promise<void>;
  register(input: {
    spec: PipelineSpec;
    code: CodeVersion;
    run: RunIdentity;
    tracking: Tracking;
    ingest: IngestOutput;
    validate: ValidateOutput;
    protect: ProtectOutput;
    split: SplitOutput;
    prepared: PrepareOutput;
    train: TrainOutput;
    evaluate: EvaluateOutput;
    /** Runs that were started before there was an explanation have none. */
    explain?: ExplainOutput;
    gates: GatesOutput;
  }): Promise<RegisterOutput>;
  /** Marks a registered version that will not be deployed, and takes the alias `challenger` from it. */
  retireCandidate(input: {
    modelName: string;
    run: RunIdentity;
    /** `null` where the registration ended without an answer: the version is then found by the run's key. */
    version: string | null;
    why: string;
  }): Promise<void>;
  closeTracking(input: {
    tracking: Tracking;
    run: RunIdentity;
    status: 'FINISHED' | 'FAILED' | 'KILLED';
    outcome: string;
    message: string;
    /** Digests of the artifacts that the run refers to. */
    artifacts: string[];
  }): Promise<void>;
  /** Points the alias `champion` at a version; nothing else writes it. `null` removes the alias. */
  setChampion(input: { modelName: string; version: string | null }): Promise<void>;
  /** The training rows of the version that the alias `champion` names; `null` where there is none, or they are not known. */
  championTraining(input: { modelName: string }): Promise<{ champion: ChampionTraining | null }>;
  /** The version that the alias `champion` names, as a server needs it. */
  currentChampion(input: { modelName: string }): Promise<{ model: ServedModel | null }>;
  /** A registered version as a server needs it, and what became of it (tag `perennial.outcome`); `null` where there is none of that name, or it was not made here. */
  registeredVersion(input: {
    modelName: string;
    version: string;
  }): Promise<{ model: ServedModel | null; outcome: string | null }>;
  /** Sets tags of a registered version. */
  tagVersion(input: { modelName: string; version: string; tags: Record<string, string> }): Promise<void>;
}

/** Activities that reach other workflows. */
export interface DeploymentActivities {
  listModelServers(input: Record<string, never>): Promise<{ servers: ModelServerInfo[] }>;
  /** Tells every endpoint workflow that a server joined. */
  announceServer(input: ModelServerInfo): Promise<void>;
  /**
   * Sends an update to the endpoint's workflow, which it starts where there is none, and waits for the answer. The
   * request's id is the update's, so that asking again is answered again.
   */
  askEndpoint(input: { endpoint: string; ask: EndpointAsk }): Promise<AdmitAnswer | EndpointAnswer>;
  /** Whether a workflow is there and has not ended. */
  isRunning(input: { workflowId: string }): Promise<{ running: boolean }>;
}

/** What a roll-out asks its endpoint. */
export type EndpointAsk =
  | { update: 'admit'; request: AdmitUpdate }
  | { update: 'shift'; request: ShiftUpdate }
  | { update: 'promote'; request: PromoteUpdate }
  | { update: 'withdraw'; request: WithdrawUpdate };

/** Which predictions, and how they are judged by what came true. */
export interface TruthQuestion {
  endpoint: string;
  versions: string[];
  /** Predictions of this time (ISO 8601). */
  since: string;
  until: string;
  task: Task;
  /** In the order of the model's outputs; empty for regression. */
  classNames: string[];
  positiveClass: string | null;
  /** The metric of single rows, and the number of the feedback; `null`: not asked for. */
  quality: RowMetric | null;
  business: string | null;
}

/** Activities of roll-outs on the worker's side. */
export interface RolloutActivities {
  /** What the prediction log says of versions by the truth that came since. */
  observeTruth(input: TruthQuestion): Promise<TruthReport>;
}

/** Activities of decisions by people, and of their record. */
export interface ApprovalActivities {
  /**
   * @param input.quorum how many people the list must know
   * @param input.named people whom the spec names, of whom the list must know so many
   * @throws ApprovalImpossible where this worker has no list of approvers, nobody in it has one of the roles, or it
   *   knows too few people
   */
  checkApprovers(input: {
    roles: string[];
    quorum: number;
    named?: { what: string; people: string[]; quorum: number }[];
  }): Promise<void>;
  /** A token that does not count is a result, not an error: the refusal goes to the audit log. */
  verifyVote(input: { token: string; candidate: string; run: string }): Promise<VoteVerdict>;
  /** Tells people; where the worker has no webhook, its log. */
  notify(input: NoticeOfRun): Promise<void>;
  /** Appends to the audit log what it has not yet. @returns the sequence of the next entry */
  recordAudit(input: AuditAppend): Promise<{ next: number }>;
}

/** Activities that run in a model server's process, on its own queue. */
export interface ModelServerActivities {
  /** Lasts as long as the server lives; its heartbeat is the server's lease. */
  holdLease(input: { serverId: string }): Promise<void>;
  applyRoutes(input: { table: RouteTable }): Promise<RouteAck>;
  precheck(input: PrecheckQuestion): Promise<ServerCheck>;
  /** What the versions of an endpoint did since the generation in force began. */
  observeTraffic(input: { endpoint: string }): Promise<TrafficReport>;
  /** What the server's page of metrics says of an endpoint: sums over versions, by name. */
  readCounters(input: { endpoint: string }): Promise<Record<string, number>>;
}

/** What a server is to be asked before a candidate may take traffic. */
export interface PrecheckQuestion {
  endpoint: string;
  model: ServedModel;
  samples: ArtifactRef;
  rows: number;
  tolerance: number;
  maxLatencyMs: number;
  maxMemoryBytes: number;
  requests: DeploymentSpec['precheck']['requests'];
  hostile: boolean;
}

/** Activities of event logs. */
export interface EventActivities {
  /** Where a log stood last, as its document in the store says: a workflow that starts afresh goes on from there. */
  openEventLog(input: { log: string }): Promise<{ head: EventLogHead }>;
  /** Checks batches and adds those that are new to the log's manifest. */
  appendEventBatches(input: {
    log: string;
    head: EventLogHead;
    batches: EventBatch[];
  }): Promise<{ head: EventLogHead; verdicts: AppendVerdict[] }>;
}

export type PerennialActivities = DataActivities &
  FeatureActivities &
  MonitoringActivities &
  BacktestActivities &
  EventActivities &
  TrainingActivities &
  EvaluationActivities &
  TrackingActivities &
  DeploymentActivities &
  RolloutActivities &
  ApprovalActivities &
  HousekeepingActivities &
  ErasureActivities &
  CacheActivities &
  LineageActivities &
  BatchActivities &
  RetrainingActivities;
