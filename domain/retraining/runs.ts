import { durationMs } from '../../contracts/durations.ts';
import type {
  PendingReason,
  RetrainingAnswer,
  RetrainingDecision,
  RetrainingRun,
  RetrainingState,
} from '../../contracts/retraining.ts';
import type { RetrainingSpec } from '../../contracts/spec/retraining.ts';
import { isoOf } from './limits.ts';
import { outdatedBy, skipOf, toldOf, withReason } from './reasons.ts';

/** Runs that are remembered. */
const MAX_RUNS = 200;
const MAX_MESSAGE = 300;

/** How a run ended. */
export interface EndedRun {
  workflowId: string;
  outcome: NonNullable<RetrainingRun['outcome']>;
  message: string;
  version: string | null;
  seconds: number;
  cost: number;
  /** A run that broke is tried again for the same reasons; not one that a person ended. */
  cancelled?: boolean;
}

/** The run that goes on. */
export const runningOf = ({ runs }: Pick<RetrainingState, 'runs'>): RetrainingRun | null =>
  runs.find(({ endedAt }) => endedAt === null) ?? null;

/** All reasons that wait become one run. */
export function beginRun(state: RetrainingState, workflowId: string, asOf: string): RetrainingState {
  const run: RetrainingRun = {
    workflowId,
    startedAt: asOf,
    endedAt: null,
    kinds: state.pending.map(({ kind }) => kind),
    reasons: state.pending,
    outcome: null,
    message: '',
    version: null,
    helped: null,
    seconds: 0,
    cost: 0,
  };
  return { ...state, pending: [], runs: [...state.runs, run].slice(-MAX_RUNS) };
}

/**
 * Whether a run helped. A version that came into production did, unless it is told to be bad for the same reason within
 * `provenAfter`; until then nobody knows. A run that another candidate overtook says nothing.
 */
function helpedAtEnd(outcome: EndedRun['outcome']): boolean | null {
  return outcome === 'deployed' || outcome === 'rolling_out' || outcome === 'superseded' ? null : false;
}

/**
 * Ends a run and counts whether it helped; after `giveUpAfter` in a row that did not, a person is asked. Reasons about the
 * version that the run replaced are none any more.
 *
 * @returns the state, and the decisions to record
 */
export function endRun(
  spec: RetrainingSpec,
  state: RetrainingState,
  ended: EndedRun,
  asOf: string,
): { state: RetrainingState; decisions: RetrainingDecision[] } {
  const helped = helpedAtEnd(ended.outcome);
  const before = state.runs.find(
    ({ workflowId, endedAt }) => workflowId === ended.workflowId && endedAt === null,
  );
  const runs = state.runs.map((run) => (run === before ? closed(run, ended, helped, asOf) : run));
  const reasons = before?.reasons ?? [];
  const brought =
    ended.outcome === 'deployed' && ended.version !== null
      ? { version: ended.version, since: isoOf(Date.parse(asOf)) }
      : null;
  const outdated = outdatedBy(state.pending, brought);
  const next = counted(
    spec,
    {
      ...state,
      runs,
      pending: again(ended, reasons, state.pending).filter((reason) => !outdated.includes(reason)),
      ...(brought ? { champion: brought } : {}),
    },
    asOf,
  );
  const count =
    helped === false ? `; run ${next.failures} of ${spec.giveUpAfter} in a row that did not help` : '';
  const decision: RetrainingDecision = {
    at: asOf,
    decision: 'ended',
    reasons: toldOf(reasons),
    why: `${ended.outcome}: ${ended.message}`.slice(0, 900) + count,
    until: null,
    run: ended.workflowId,
  };
  if (outdated.length === 0 || !brought) return { state: next, decisions: [decision] };
  const skip = skipOf(outdated, `out of date: version ${brought.version} is in production now`, asOf);
  return { state: next, decisions: [decision, skip] };
}

function closed(
  { reasons: _reasons, ...run }: RetrainingRun,
  { outcome, message, version, seconds, cost }: EndedRun,
  helped: boolean | null,
  asOf: string,
): RetrainingRun {
  return {
    ...run,
    endedAt: asOf,
    outcome,
    message: message.slice(0, MAX_MESSAGE),
    version,
    helped,
    seconds,
    cost,
  };
}

/** What a run that broke has not judged is still to be done; a person who demanded it sees that it failed. */
function again(
  { outcome, cancelled }: EndedRun,
  reasons: readonly PendingReason[],
  pending: readonly PendingReason[],
): PendingReason[] {
  if (outcome !== 'failed' || cancelled) return [...pending];
  return pending.reduce<PendingReason[]>(
    withReason,
    reasons.filter(({ kind }) => kind !== 'demand'),
  );
}

/** A run of which nothing bad was told for long enough has helped. */
export function settled(spec: RetrainingSpec, state: RetrainingState, asOf: string): RetrainingState {
  const proven = durationMs(spec.provenAfter);
  const { champion } = state;
  let changed = false;
  const runs = state.runs.map((run): RetrainingRun => {
    const open = run.helped === null && run.endedAt !== null && run.outcome !== 'superseded';
    if (!open || run.endedAt === null || Date.parse(asOf) - Date.parse(run.endedAt) < proven) return run;
    changed = true;
    // A roll-out that went on after its run may have been taken back since.
    const arrived = run.outcome === 'deployed' || !champion || arrivedBy(champion, run);
    return { ...run, helped: arrived };
  });
  return changed ? counted(spec, { ...state, runs }, asOf) : state;
}

/** Whether what is in production came by this run, or later. */
const arrivedBy = (champion: { version: string; since: string }, run: RetrainingRun): boolean =>
  champion.version === run.version || Date.parse(champion.since) >= Date.parse(run.startedAt);

/** A run whose version is told to be bad for the very reason that it was for has not helped. */
export function refuted(
  spec: RetrainingSpec,
  state: RetrainingState,
  told: PendingReason,
  asOf: string,
): RetrainingState {
  if (told.version === null) return state;
  const meant = state.runs.find(
    ({ version, helped, endedAt, kinds }) =>
      version === told.version && helped === null && endedAt !== null && kinds.includes(told.kind),
  );
  if (!meant) return state;
  const runs = state.runs.map((run) => (run === meant ? { ...run, helped: false } : run));
  return counted(spec, { ...state, runs }, asOf);
}

/** Counts the runs in a row that did not help, since a person last said that it may go on. */
function counted(spec: RetrainingSpec, state: RetrainingState, asOf: string): RetrainingState {
  let failures = 0;
  for (const { helped, workflowId } of state.runs.toReversed()) {
    if (helped === true || workflowId === state.resumedAfter) break;
    if (helped === false) failures += 1;
  }
  const enough = failures >= spec.giveUpAfter;
  return { ...state, failures, gaveUpAt: enough ? (state.gaveUpAt ?? asOf) : null };
}

/** A person pauses retraining, or lets it go on; what did not help until now counts no more. */
export function answered(
  state: RetrainingState,
  { decision }: Pick<RetrainingAnswer, 'decision'>,
): RetrainingState {
  if (decision === 'pause') return { ...state, paused: true };
  const last = state.runs.findLast(({ endedAt }) => endedAt !== null);
  return { ...state, paused: false, gaveUpAt: null, failures: 0, resumedAfter: last?.workflowId ?? null };
}
