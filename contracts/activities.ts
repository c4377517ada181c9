import type { z } from 'zod';
import type { DeployUpdate, EndpointState, RollbackUpdate } from './endpoint.ts';
import type { HousekeepingResult, housekeepingInput } from './housekeeping.ts';
import type { CodeVersion } from './lifecycle.ts';
import type { ArtifactRef } from './refs.ts';
import type { ModelServerInfo, RouteAck, RouteTable, ServedModel } from './serving.ts';
import type { Candidate } from './spec/candidates.ts';
import type { PipelineSpec } from './spec/pipeline.ts';
import type {
  DeployOutput,
  EvaluateOutput,
  GatesOutput,
  IngestOutput,
  PrepareOutput,
  RegisterOutput,
  SplitOutput,
  TrainedCandidate,
  TrainOutput,
  ValidateOutput,
} from './stages.ts';

/** Where a run is recorded in MLflow. */
export interface Tracking {
  experimentId: string;
  runId: string;
  /** Page of the run in the MLflow UI. */
  url: string;
}

/** The run that an activity works for. */
export interface RunIdentity {
  workflowId: string;
  runId: string;
}

/** Activities of the data part. All are idempotent: the same input gives the same artifacts. */
export interface DataActivities {
  loadSpec(input: { specRef: ArtifactRef }): Promise<{ spec: Record<string, unknown> }>;
  ingest(input: { data: PipelineSpec['data']; target: string }): Promise<IngestOutput>;
  validate(input: {
    table: IngestOutput['table'];
    spec: Pick<PipelineSpec, 'columns' | 'expectations'>;
  }): Promise<ValidateOutput>;
  split(input: {
    table: IngestOutput['table'];
    spec: Pick<PipelineSpec, 'task' | 'columns' | 'split'>;
  }): Promise<SplitOutput>;
  prepare(input: {
    split: SplitOutput;
    spec: Pick<PipelineSpec, 'task' | 'columns' | 'features'>;
  }): Promise<PrepareOutput>;
}

/** Activities of the training part. */
export interface TrainingActivities {
  trainCandidate(input: TrainCandidateInput): Promise<TrainedCandidate>;
}

/** What one candidate is trained from. */
export interface TrainCandidateInput {
  candidate: Candidate;
  task: PipelineSpec['task'];
  target: string;
  training: PipelineSpec['training'];
  split: SplitOutput;
  prepared: PrepareOutput;
  tracking: Tracking;
  run: RunIdentity;
}

/** The argument of workflow type `training`. */
export interface TrainingInput extends Omit<TrainCandidateInput, 'candidate'> {
  candidates: Candidate[];
}

/** Activities that judge. */
export interface EvaluationActivities {
  evaluate(input: {
    spec: Pick<PipelineSpec, 'name' | 'task' | 'columns' | 'evaluation' | 'deployment'>;
    split: SplitOutput;
    prepared: PrepareOutput;
    train: TrainOutput;
    tracking: Tracking;
  }): Promise<EvaluateOutput>;
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
    split: SplitOutput;
  }): Promise<void>;
  register(input: {
    spec: PipelineSpec;
    code: CodeVersion;
    run: RunIdentity;
    tracking: Tracking;
    ingest: IngestOutput;
    split: SplitOutput;
    prepared: PrepareOutput;
    train: TrainOutput;
    evaluate: EvaluateOutput;
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
  /** The version that the alias `champion` names, as a server needs it. */
  currentChampion(input: { modelName: string }): Promise<{ model: ServedModel | null }>;
}

/** Activities that reach other workflows. */
export interface DeploymentActivities {
  listModelServers(input: Record<string, never>): Promise<{ servers: ModelServerInfo[] }>;
  /** Tells every endpoint workflow that a server joined. */
  announceServer(input: ModelServerInfo): Promise<void>;
  /** Sends update `deploy` to the endpoint's workflow, which it starts where there is none, and waits for the answer. */
  requestDeploy(input: { endpoint: string; request: DeployUpdate }): Promise<DeployOutput>;
}

/** Activities that run in a model server's process, on its own queue. */
export interface ModelServerActivities {
  /** Lasts as long as the server lives; its heartbeat is the server's lease. */
  holdLease(input: { serverId: string }): Promise<void>;
  applyRoutes(input: { table: RouteTable }): Promise<RouteAck>;
  precheck(input: {
    endpoint: string;
    model: ServedModel;
    samples: ArtifactRef;
    rows: number;
    tolerance: number;
    maxLatencyMs: number;
  }): Promise<{ serverId: string; rows: number; maxDifference: number; p95Ms: number }>;
}

/** Activities that tidy up. */
export interface HousekeepingActivities {
  collectGarbage(input: z.output<typeof housekeepingInput>): Promise<HousekeepingResult>;
}

export type PerennialActivities = DataActivities &
  TrainingActivities &
  EvaluationActivities &
  TrackingActivities &
  DeploymentActivities &
  HousekeepingActivities;

/** Update and query shapes of an endpoint, for typed clients. */
export interface EndpointHandlers {
  deploy(request: DeployUpdate): DeployOutput;
  rollback(request: RollbackUpdate): DeployOutput;
  state(): EndpointState;
}
