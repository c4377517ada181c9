import type {
  AdmitUpdate,
  EndpointAnswer,
  EndpointChange,
  EndpointState,
  RolloutSlot,
  ShiftUpdate,
  VersionNote,
} from '../contracts/endpoint.ts';
import {
  type ChallengerIncident,
  MAX_KEY_COLUMNS,
  type Route,
  type RouteTable,
  routeTable,
  type ServedModel,
  type ServingPolicy,
} from '../contracts/serving.ts';
import { keyColumnsOf } from './routing.ts';

const MAX_CHANGES = 50;
const MAX_ANSWERED = 100;
const MAX_INCIDENTS = 50;
/**
 * Earlier champions that are at hand; older ones are looked up in the registry. Each holds its signature, and all of the
 * state travels into the next run of the workflow.
 */
const MAX_SERVED = 5;
const MAX_NOTES = 20;
const MAX_REASON = 500;
/** Roll-outs that may wait at one endpoint. */
export const MAX_QUEUED = 100;

/** The state of an endpoint that has never served anything. */
export const emptyEndpoint = (endpoint: string): EndpointState => ({
  table: routeTable.parse({ endpoint, generation: 0, routes: [] }),
  current: null,
  served: [],
  slot: null,
  queue: [],
  changes: [],
  answered: [],
  acknowledged: {},
  incidents: [],
  alias: null,
  aliasUncertain: false,
  aliasProblem: null,
  notes: [],
  audit: { next: 0, waiting: [] },
});

/** How requests are treated under a table. */
export const policyOf = ({ sticky, entityColumn, deadlineMs, log }: RouteTable): ServingPolicy => ({
  sticky,
  ...(entityColumn === undefined ? {} : { entityColumn }),
  deadlineMs,
  log,
});

/** The version that routes call the champion; `null` where there is none. */
export const championIn = ({ routes }: Pick<RouteTable, 'routes'>): string | null =>
  routes.find(({ role }) => role === 'champion')?.model.version ?? null;

/** The next generation with other routes. Keys that requests may have now, they may have then. */
function nextTable({ table }: EndpointState, routes: Route[], policy: ServingPolicy): RouteTable {
  const known = keyColumnsOf({ ...table, routes: [...routes, ...table.routes] });
  return {
    endpoint: table.endpoint,
    headerRoutes: [],
    ...policy,
    generation: table.generation + 1,
    routes,
    ...(known.length > 0 && { keyColumns: known.slice(0, MAX_KEY_COLUMNS) }),
  };
}

/** The table of the next generation that sends all traffic to one model, or none. */
export const tableFor = (
  state: EndpointState,
  model: ServedModel | null,
  policy: ServingPolicy = policyOf(state.table),
): RouteTable => nextTable(state, model ? [{ model, weight: 100, role: 'champion' }] : [], policy);

/**
 * The table of the next generation that gives a candidate its share beside the champion. How requests are treated
 * stays the champion's way until the candidate is the champion; recorded is as much as either asks for, since truth is
 * about what is on record.
 */
export function sharedTable(
  state: EndpointState,
  champion: ServedModel,
  { model: candidate, policy }: Pick<RolloutSlot, 'model' | 'policy'>,
  { share, role }: Pick<ShiftUpdate, 'share' | 'role'>,
): RouteTable {
  const own = policyOf(state.table);
  return nextTable(
    state,
    [
      { model: champion, weight: role === 'challenger' ? 100 - share : 100, role: 'champion' },
      { model: candidate, weight: share, role },
    ],
    { ...own, log: { ...own.log, sample: Math.max(own.log.sample, policy.log.sample) } },
  );
}

/** An endpoint whose workflow lost its state: what the alias names is what serves. */
export const adopted = (state: EndpointState, current: ServedModel | null): EndpointState => ({
  ...state,
  current,
  alias: current?.version ?? null,
  aliasUncertain: false,
  table: { ...state.table, routes: current ? [{ model: current, weight: 100, role: 'champion' }] : [] },
});

/** The roll-out that a request to be admitted is of. */
export const slotOf = (
  { rollout, model, policy, judgedAgainst, requestedBy }: AdmitUpdate,
  since: string,
): RolloutSlot => ({ rollout, model, policy, judgedAgainst, requestedBy, since });

/** A roll-out has its turn. */
export const withSlot = (state: EndpointState, slot: RolloutSlot): EndpointState => ({
  ...state,
  slot,
  queue: state.queue.filter(({ rollout }) => rollout !== slot.rollout),
});

/** A roll-out waits behind the others; one that waits already keeps its place. */
export const withQueued = (
  state: EndpointState,
  { rollout, requestedBy, since, model: { version, onnx } }: RolloutSlot,
): EndpointState =>
  state.queue.some((queued) => queued.rollout === rollout)
    ? state
    : { ...state, queue: [...state.queue, { rollout, requestedBy, since, version, onnx }] };

/** A roll-out neither has its turn nor waits. */
export const withoutRollout = (state: EndpointState, rollout: string): EndpointState => ({
  ...state,
  slot: state.slot?.rollout === rollout ? null : state.slot,
  queue: state.queue.filter((slot) => slot.rollout !== rollout),
});

/** A table that servers have been told; the generation never goes back. */
export const withTable = (
  state: EndpointState,
  table: RouteTable,
  acknowledged: Record<string, number>,
): EndpointState => ({
  ...state,
  table,
  acknowledged: { ...state.acknowledged, ...acknowledged },
});

/** A model became the champion; the one before is where a rollback goes. */
export function promoted(state: EndpointState, model: ServedModel): EndpointState {
  const earlier = [...(state.current ? [state.current] : []), ...state.served];
  return {
    ...state,
    current: model,
    served: earlier.filter(({ version }) => version !== model.version).slice(0, MAX_SERVED),
  };
}

/**
 * An earlier champion serves again. What was champion after it is not where the next rollback goes. Where it is none of
 * `served` (forgotten, or rolled back before), the next rollback goes to what serves now.
 */
export function rolledBack(state: EndpointState, model: ServedModel): EndpointState {
  const place = state.served.findIndex(({ version }) => version === model.version);
  return place < 0
    ? promoted(state, model)
    : { ...state, current: model, served: state.served.slice(place + 1) };
}

/** A change on record. */
export const recorded = (state: EndpointState, change: EndpointChange): EndpointState => ({
  ...state,
  changes: [...state.changes, { ...change, reason: change.reason.slice(0, MAX_REASON) }].slice(-MAX_CHANGES),
});

/** An answer that whoever asks under the same id gets again. */
export const answered = (state: EndpointState, requestId: string, output: EndpointAnswer): EndpointState => ({
  ...state,
  answered: [...state.answered, { requestId, output }].slice(-MAX_ANSWERED),
});

/** The registry is yet to be told something of a version. */
export const withNote = (state: EndpointState, note: VersionNote): EndpointState => ({
  ...state,
  notes: [...state.notes, note].slice(-MAX_NOTES),
});

/**
 * A failure of a version beside the champion is on record: those of the same kind are summed up, the one that was told
 * last stands last, and the oldest are forgotten.
 *
 * @param at when it was told
 */
export function withIncident(state: EndpointState, incident: ChallengerIncident, at: string): EndpointState {
  const stale = incident.generation !== state.table.generation;
  const same = (other: EndpointState['incidents'][number]): boolean =>
    other.stale === stale &&
    other.serverId === incident.serverId &&
    other.generation === incident.generation &&
    other.version === incident.version &&
    other.role === incident.role &&
    other.kind === incident.kind;
  const before = state.incidents.find(same);
  const count = incident.count + (before?.count ?? 0);
  return {
    ...state,
    incidents: [
      ...state.incidents.filter((other) => other !== before),
      { ...incident, count, at: before?.at ?? at, lastAt: at, stale },
    ].slice(-MAX_INCIDENTS),
  };
}
