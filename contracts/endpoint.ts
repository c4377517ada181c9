import { z } from 'zod';
import { auditTrailState } from './audit.ts';
import { personName } from './people.ts';
import { artifactRef } from './refs.ts';
import { challengerIncident, modelServerInfo, routeTable, servedModel, servingPolicy } from './serving.ts';

const requestId = z.string().min(1).max(300);
/** The workflow id of the roll-out that asks. */
const rollout = z.string().min(1).max(600);

/** The answer of every update that changes routes. */
export const endpointAnswer = z.strictObject({
  endpoint: z.string(),
  /** The champion afterwards. */
  version: z.string().nullable(),
  /** The champion before. */
  previousVersion: z.string().nullable(),
  generation: z.number().int(),
  /** When every live server had acknowledged the generation (ISO 8601). */
  since: z.string(),
  /** Live servers that acknowledged it. */
  servers: z.array(z.string()),
});
export type EndpointAnswer = z.infer<typeof endpointAnswer>;

/** The argument of update `admit`: a roll-out asks to be the one that is under way. */
export const admitUpdate = z.strictObject({
  requestId,
  rollout,
  model: servedModel,
  /** How the endpoint treats requests once the model is the champion. */
  policy: servingPolicy,
  /** The version that the candidate was judged against (`null`: none served). Another one in force refuses it. */
  judgedAgainst: z.string().nullable(),
  busy: z.enum(['queue', 'supersede']),
  requestedBy: z.string().max(300),
});
export type AdmitUpdate = z.infer<typeof admitUpdate>;

/** Its answer. Who is queued gets signal `turn` and asks again. */
export const admitAnswer = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('admitted'), champion: z.string().nullable() }),
  z.strictObject({ state: z.literal('queued'), behind: z.string() }),
]);
export type AdmitAnswer = z.infer<typeof admitAnswer>;

/** The argument of update `shift`: the candidate gets a share, beside the champion. */
export const shiftUpdate = z.strictObject({
  requestId,
  rollout,
  /** Percentage of requests that it answers, or gets copies of. */
  share: z.number().min(0).max(100),
  role: z.enum(['challenger', 'shadow']),
});
export type ShiftUpdate = z.infer<typeof shiftUpdate>;

/** The argument of update `promote`: the candidate becomes the champion, in routes and alias. */
export const promoteUpdate = z.strictObject({
  requestId,
  rollout,
  by: z.string().max(400),
  /** Whether `by` is a person's name, and not the engine's word. */
  named: z.boolean(),
  reason: z.string().max(4_000),
});
export type PromoteUpdate = z.infer<typeof promoteUpdate>;

/** The argument of update `withdraw`: the candidate answers nobody any more. */
export const withdrawUpdate = promoteUpdate.extend({ outcome: z.enum(['rolled_back', 'withdrawn']) });
export type WithdrawUpdate = z.infer<typeof withdrawUpdate>;

/**
 * The argument of update `rollback`. Without `to`: a candidate that is being rolled out is withdrawn; where there is
 * none, the version before the champion serves again.
 */
export const rollbackUpdate = z.strictObject({
  requestId,
  requestedBy: personName,
  reason: z.string().max(4000).default(''),
  /** The champion that its sender saw; where another one serves, the request is refused. */
  from: z.string().optional(),
  /** Any earlier version. */
  to: z.string().optional(),
});
export type RollbackUpdate = z.input<typeof rollbackUpdate>;

/** The roll-out that is under way. */
export const rolloutSlot = admitUpdate
  .pick({ rollout: true, model: true, policy: true, judgedAgainst: true, requestedBy: true })
  .extend({ since: z.string() });
export type RolloutSlot = z.infer<typeof rolloutSlot>;

/** A roll-out that waits for its turn, and will ask again with all that it wants. */
export const queuedRollout = rolloutSlot
  .pick({ rollout: true, requestedBy: true, since: true })
  .extend({ version: z.string(), onnx: artifactRef });
export type QueuedRollout = z.infer<typeof queuedRollout>;

/** One change of an endpoint, for its history. */
export const endpointChange = z.strictObject({
  at: z.string(),
  kind: z.enum(['shift', 'promote', 'withdraw', 'rollback']),
  generation: z.number().int(),
  /** The champion before and after. */
  from: z.string().nullable(),
  to: z.string().nullable(),
  requestedBy: z.string(),
  /** Why, where somebody said so. */
  reason: z.string().default(''),
  outcome: z.enum(['done', 'reverted']),
});
export type EndpointChange = z.infer<typeof endpointChange>;

/** The argument of signal `challengerFailed`: a version beside the champion fails on a server. */
export const challengerFailedSignal = challengerIncident;

/** Failures of one kind, of one version on one server under one generation, summed up. */
export const endpointIncident = challengerIncident.extend({
  /** When it was first told, and when last. */
  at: z.string(),
  lastAt: z.string(),
  /** Whether it was about another generation than the one in force when it came. */
  stale: z.boolean(),
});
export type EndpointIncident = z.infer<typeof endpointIncident>;

/** What is yet to be written to the registry, behind what already serves. */
export const versionNote = z.strictObject({
  version: z.string(),
  tags: z.record(z.string(), z.string().max(4_500)),
});
export type VersionNote = z.infer<typeof versionNote>;

/** All that an endpoint workflow knows; carried over by continue-as-new and answered by query `endpoint`. */
export const endpointState = z.strictObject({
  table: routeTable,
  /** The champion. */
  current: servedModel.nullable(),
  /** Champions before it, the latest first: where a rollback goes. */
  served: z.array(servedModel),
  /** The roll-out under way, and those that wait. */
  slot: rolloutSlot.nullable(),
  queue: z.array(queuedRollout),
  changes: z.array(endpointChange),
  /** Results by request id, so that a repeated request is answered and not carried out again. */
  answered: z.array(z.strictObject({ requestId: z.string(), output: endpointAnswer })),
  /** The generation that each live server confirmed. */
  acknowledged: z.record(z.string(), z.number().int()),
  /** The last failures of versions beside the champion, the oldest first. */
  incidents: z.array(endpointIncident),
  /** The version that the alias `champion` names, as far as is known; behind `current` while MLflow is away. */
  alias: z.string().nullable(),
  /** Whether a write of it was begun whose outcome is not known. */
  aliasUncertain: z.boolean(),
  /** Why the registry refuses what is to be written, where it does. */
  aliasProblem: z.string().nullable(),
  notes: z.array(versionNote),
  audit: auditTrailState,
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
