import type { RetrainingDecision, RetrainingState } from '../../contracts/retraining.ts';
import type { RetrainingSpec } from '../../contracts/spec/retraining.ts';
import { freeFrom, holdsAt, isoOf } from './limits.ts';
import { toldOf } from './reasons.ts';

/** What is to be done about the reasons that wait. */
export interface RetrainingVerdict {
  decision: 'start' | 'wait' | 'skip' | 'give-up';
  /** The rule that decided, in words that stay the same as long as it is the same. */
  why: string;
  /** When to look again if nothing happens before; `null`: only when something happens. */
  until: string | null;
}

/** A state without reasons, runs, and doubts. */
export const emptyRetraining = (): RetrainingState => ({
  pending: [],
  runs: [],
  failures: 0,
  gaveUpAt: null,
  paused: false,
});

/**
 * Whether a run begins now for the reasons that wait; they are one run. The rules, in this order: nothing to be done,
 * paused by a person, one run at a time, given up, and those of time (debounce, cool-down, maximum per day, budget, quiet
 * hours).
 *
 * A demand passes debounce and cool-down. One that names a person passes the giving-up, too: it is an answer. None passes
 * a pause, a run under way, the maximum per day, the budget, or quiet hours.
 *
 * @param running the workflow id of the run that goes on
 * @param asOf ISO 8601: the clock's time, or the event's
 * @example
 * decide(spec, state, null, '2026-11-21T10:00:00Z')
 * // { decision: 'wait', why: 'cool-down: …', until: '2026-11-22T03:00:00.000Z' }
 */
export function decide(
  spec: RetrainingSpec,
  state: RetrainingState,
  running: string | null,
  asOf: string,
): RetrainingVerdict {
  if (state.pending.length === 0)
    return { decision: 'skip', why: 'there is no reason to train', until: null };
  if (state.paused)
    return { decision: 'wait', why: 'paused: a person has paused retraining; resume it', until: null };
  if (running !== null)
    return {
      decision: 'wait',
      why: `one run at a time: ${running} goes on; what comes meanwhile is one run after it`,
      until: null,
    };
  const answered = state.pending.some(({ kind, by }) => kind === 'demand' && by !== null);
  if (state.gaveUpAt !== null && !answered) return givenUp(state.failures);
  const now = Date.parse(asOf);
  const holds = holdsAt(spec, state, now);
  if (holds.length === 0) return { decision: 'start', why: startWords(state), until: null };
  const free = freeFrom(spec, state, now);
  return {
    decision: 'wait',
    why: holds.map(({ why }) => why).join('; '),
    until: free === null ? null : isoOf(free),
  };
}

/** The verdict after too many runs that did not help. */
export const givenUp = (failures: number): RetrainingVerdict => ({
  decision: 'give-up',
  why: `given up: ${failures} run(s) in a row did not help; a person has to look and resume it`,
  until: null,
});

function startWords({ pending }: RetrainingState): string {
  const demand = pending.find(({ kind }) => kind === 'demand');
  if (demand) return demand.by === null ? 'demanded' : `demanded by ${demand.by}`;
  return pending.length === 1
    ? 'no rule holds it back'
    : `${pending.length} reasons are one run; no rule holds it back`;
}

/** A verdict as it is put on record. */
export const recordOf = (
  verdict: RetrainingVerdict,
  pending: RetrainingState['pending'],
  asOf: string,
  run: string | null = null,
): RetrainingDecision => ({
  at: asOf,
  decision: verdict.decision,
  reasons: toldOf(pending),
  why: verdict.why.slice(0, 1_000),
  until: verdict.until,
  run,
});
