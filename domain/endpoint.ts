import type { DeployUpdate, EndpointState } from '../contracts/endpoint.ts';
import {
  type ChallengerIncident,
  type Route,
  type RouteTable,
  routeTable,
  type ServedModel,
  type ServingPolicy,
} from '../contracts/serving.ts';
import type { DeployOutput } from '../contracts/stages.ts';

const MAX_CHANGES = 50;
const MAX_ANSWERED = 100;
const MAX_INCIDENTS = 50;

/** The state of an endpoint that has never served anything. */
export const emptyEndpoint = (endpoint: string): EndpointState => ({
  table: routeTable.parse({ endpoint, generation: 0, routes: [] }),
  current: null,
  previous: null,
  pending: null,
  changes: [],
  answered: [],
  acknowledged: {},
  incidents: [],
});

/** How requests are treated under a table. */
export const policyOf = ({ sticky, entityColumn, deadlineMs, log }: RouteTable): ServingPolicy => ({
  sticky,
  ...(entityColumn === undefined ? {} : { entityColumn }),
  deadlineMs,
  log,
});

const allTraffic = (model: ServedModel): Route => ({ model, weight: 100, role: 'champion' });

/** The table of the next generation that sends all traffic to one model, or none. */
export const tableFor = (
  state: EndpointState,
  model: ServedModel | null,
  policy: ServingPolicy = policyOf(state.table),
): RouteTable => ({
  endpoint: state.table.endpoint,
  headerRoutes: [],
  ...policy,
  generation: state.table.generation + 1,
  routes: model ? [allTraffic(model)] : [],
});

/** An endpoint whose workflow lost its state: what the alias names is what serves. */
export const adopted = (state: EndpointState, current: ServedModel | null): EndpointState => ({
  ...state,
  current,
  table: { ...state.table, routes: current ? [allTraffic(current)] : [] },
});

/** The intent is written down before anything outside changes. */
export const withPending = (state: EndpointState, request: DeployUpdate): EndpointState => ({
  ...state,
  pending: request,
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

/** The change is complete: traffic and alias are at `request.model`. */
export function completed(
  state: EndpointState,
  request: DeployUpdate,
  output: DeployOutput,
  at: string,
  rollback?: { reason: string },
): EndpointState {
  return {
    ...state,
    current: request.model,
    // What was rolled back is not what a second rollback goes to.
    previous: rollback
      ? null
      : state.current?.version === request.model.version
        ? state.previous
        : state.current,
    pending: null,
    changes: [
      ...state.changes,
      {
        at,
        generation: output.generation,
        from: state.current?.version ?? null,
        to: request.model.version,
        requestedBy: request.requestedBy,
        reason: rollback?.reason ?? '',
        outcome: 'done' as const,
      },
    ].slice(-MAX_CHANGES),
    answered: [...state.answered, { requestId: request.requestId, output }].slice(-MAX_ANSWERED),
  };
}

/** The change was undone: the table of before is in force again, under a higher generation. */
export function reverted(state: EndpointState, request: DeployUpdate, at: string): EndpointState {
  return {
    ...state,
    pending: null,
    changes: [
      ...state.changes,
      {
        at,
        generation: state.table.generation,
        from: state.current?.version ?? null,
        to: request.model.version,
        requestedBy: request.requestedBy,
        reason: '',
        outcome: 'reverted' as const,
      },
    ].slice(-MAX_CHANGES),
  };
}

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
