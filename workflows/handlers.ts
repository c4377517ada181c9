import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { BatchProgress } from '../contracts/batch-scoring.ts';
import type { AdmitAnswer, EndpointAnswer, EndpointState } from '../contracts/endpoint.ts';
import type { Appended, EventLogStatus } from '../contracts/events.ts';
import type { RunStatus } from '../contracts/lifecycle.ts';
import { QUERIES, SIGNALS, UPDATES } from '../contracts/names.ts';
import type { RetrainingDecision, RetrainingStatus } from '../contracts/retraining.ts';
import type { RolloutStatus } from '../contracts/rollout.ts';
import type { StageOutputs } from '../contracts/stages.ts';
import type { SearchReport } from '../contracts/trials.ts';

/** Arguments are `unknown`: people send raw JSON, each handler parses what it gets. */
export const handlers = {
  status: defineQuery<RunStatus>(QUERIES.status),
  outputs: defineQuery<StageOutputs>(QUERIES.outputs),
  input: defineQuery<unknown>(QUERIES.input),
  approve: defineSignal<[unknown]>(SIGNALS.approve),
  reject: defineSignal<[unknown]>(SIGNALS.reject),
  review: defineUpdate<{ accepted: true; votes: number }, [unknown]>(UPDATES.review),
  serverJoined: defineSignal<[unknown]>(SIGNALS.serverJoined),
  challengerFailed: defineSignal<[unknown]>(SIGNALS.challengerFailed),
  admit: defineUpdate<AdmitAnswer, [unknown]>(UPDATES.admit),
  shift: defineUpdate<EndpointAnswer, [unknown]>(UPDATES.shift),
  promoteCandidate: defineUpdate<EndpointAnswer, [unknown]>(UPDATES.promote),
  withdraw: defineUpdate<EndpointAnswer, [unknown]>(UPDATES.withdraw),
  rollbackEndpoint: defineUpdate<EndpointAnswer, [unknown]>(UPDATES.rollback),
  endpoint: defineQuery<EndpointState>(QUERIES.endpoint),
  turn: defineSignal<[unknown]>(SIGNALS.turn),
  rollout: defineQuery<RolloutStatus>(QUERIES.rollout),
  promoteNow: defineUpdate<RolloutStatus, [unknown]>(UPDATES.promote),
  pause: defineUpdate<RolloutStatus, [unknown]>(UPDATES.pause),
  resume: defineUpdate<RolloutStatus, [unknown]>(UPDATES.resume),
  traffic: defineUpdate<RolloutStatus, [unknown]>(UPDATES.traffic),
  rollbackCandidate: defineUpdate<RolloutStatus, [unknown]>(UPDATES.rollback),
  append: defineSignal<[unknown]>(SIGNALS.append),
  appendUpdate: defineUpdate<Appended, [unknown]>(UPDATES.append),
  search: defineQuery<SearchReport>(QUERIES.search),
  budget: defineUpdate<SearchReport, [unknown]>(UPDATES.budget),
  stop: defineUpdate<SearchReport>(UPDATES.stop),
  rung: defineUpdate<boolean, [unknown]>(UPDATES.rung),
  batches: defineQuery<EventLogStatus>(QUERIES.batches),
  progress: defineQuery<BatchProgress>(QUERIES.progress),
  batchOutputs: defineQuery<unknown>(QUERIES.outputs),
  retraining: defineQuery<RetrainingStatus>(QUERIES.retraining),
  trigger: defineSignal<[unknown]>(SIGNALS.trigger),
  tick: defineSignal<[unknown]>(SIGNALS.tick),
  triggerUpdate: defineUpdate<RetrainingDecision, [unknown]>(UPDATES.trigger),
  configure: defineUpdate<RetrainingStatus, [unknown]>(UPDATES.configure),
  answer: defineUpdate<RetrainingStatus, [unknown]>(UPDATES.answer),
  retire: defineUpdate<RetrainingStatus, [unknown]>(UPDATES.retire),
};
