import { z } from 'zod';
import { challengerIncident, modelServerInfo, routeTable, servedModel, servingPolicy } from './serving.ts';
import { deployOutput } from './stages.ts';

/** The argument of update `deploy` of an endpoint workflow. */
export const deployUpdate = z.strictObject({
  model: servedModel,
  /** Identifies the request across retries and continue-as-new. */
  requestId: z.string().min(1).max(300),
  requestedBy: z.string().max(300),
  /** The version that the candidate was judged against (`null`: none served). Another one in force refuses it. */
  judgedAgainst: z.string().nullable().optional(),
  /** How the endpoint treats requests from now on; where it is left out, as before. */
  policy: servingPolicy.optional(),
});
export type DeployUpdate = z.infer<typeof deployUpdate>;

/** The argument of update `rollback`: back to the version before. */
export const rollbackUpdate = z.strictObject({
  requestId: z.string().min(1).max(300),
  requestedBy: z.string().min(1).max(300),
  reason: z.string().max(4000).default(''),
  /** The version to go back from; where another one serves, the request is refused. */
  from: z.string().optional(),
});
export type RollbackUpdate = z.input<typeof rollbackUpdate>;

/** One change of an endpoint, for its history. */
export const endpointChange = z.strictObject({
  at: z.string(),
  generation: z.number().int(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  requestedBy: z.string(),
  /** Why, where a person said so. */
  reason: z.string().default(''),
  outcome: z.enum(['done', 'reverted']),
});

/** The argument of signal `challengerFailed`: a version beside the champion fails on a server. */
export const challengerFailedSignal = challengerIncident;

/** Failures of one kind, of one version on one server under one generation, summed up. */
export const endpointIncident = challengerIncident.extend({
  /** When it was first told, and when last. */
  at: z.string(),
  lastAt: z.string(),
  /** Whether it was about another generation than the one in force when it came; such a one moves nothing. */
  stale: z.boolean(),
});
export type EndpointIncident = z.infer<typeof endpointIncident>;

/** All that an endpoint workflow knows; carried over by continue-as-new and answered by query `endpoint`. */
export const endpointState = z.strictObject({
  table: routeTable,
  current: servedModel.nullable(),
  previous: servedModel.nullable(),
  /** The intent of the change that is under way. */
  pending: deployUpdate.nullable(),
  changes: z.array(endpointChange),
  /** Results by request id, so that a repeated request is answered and not carried out again. */
  answered: z.array(z.strictObject({ requestId: z.string(), output: deployOutput })),
  /** Routes are being put back, or a server joined: applied at the next opportunity. */
  acknowledged: z.record(z.string(), z.number().int()),
  /** The last failures of versions beside the champion, the oldest first. */
  incidents: z.array(endpointIncident).default([]),
});
export type EndpointState = z.infer<typeof endpointState>;

/** The argument of workflow type `endpoint`. */
export const endpointInput = z.strictObject({
  endpoint: routeTable.shape.endpoint,
  state: endpointState.optional(),
  /** Continue as new after this many handled changes, or when Temporal suggests it. */
  continueAfter: z.number().int().positive().default(200),
});
export type EndpointInput = z.input<typeof endpointInput>;

/** The argument of signal `serverJoined`. */
export const serverJoinedSignal = modelServerInfo;
