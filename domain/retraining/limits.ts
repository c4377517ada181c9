import { durationMs } from '../../contracts/durations.ts';
import type { RetrainingState } from '../../contracts/retraining.ts';
import type { RetrainingSpec } from '../../contracts/spec/retraining.ts';
import { quietUntil } from './quiet-hours.ts';

const DAY = 86_400_000;
const HOUR = 3_600;

/** A rule that holds a run back. */
export interface Hold {
  rule: 'debounce' | 'cool-down' | 'maximum per day' | 'budget' | 'quiet hours';
  why: string;
  /** Milliseconds since 1970: from then on it does not; `null`: never. */
  until: number | null;
}

/** @example isoOf(0) === '1970-01-01T00:00:00.000Z' */
export const isoOf = (ms: number): string => new Date(ms).toISOString();

/**
 * All rules of time that hold a run back at a moment. A demand does not wait for others of its kind, and passes the
 * cool-down; what protects people and purses holds for it as well.
 *
 * @param at milliseconds since 1970
 */
export function holdsAt(spec: RetrainingSpec, state: RetrainingState, at: number): Hold[] {
  const demanded = state.pending.some(({ kind }) => kind === 'demand');
  return [
    ...(demanded ? [] : [debounce(spec, state), coolDown(spec, state)]),
    perDay(spec, state, at),
    budget(spec, state, at),
    quiet(spec, at),
  ].filter((hold) => hold !== null && (hold.until === null || hold.until > at)) as Hold[];
}

/**
 * The first moment at which no rule holds a run back any more, if nothing else happens.
 *
 * @param from milliseconds since 1970
 * @returns `null` where there is none
 */
export function freeFrom(spec: RetrainingSpec, state: RetrainingState, from: number): number | null {
  let moment = from;
  for (;;) {
    const holds = holdsAt(spec, state, moment);
    if (holds.length === 0) return moment;
    // Each round leaves at least one hold for good, but for quiet hours, which come again after another has ended.
    for (const { until } of holds) {
      if (until === null) return null;
      moment = Math.max(moment, until);
    }
  }
}

function debounce({ debounce: length }: RetrainingSpec, { pending }: RetrainingState): Hold | null {
  if (pending.length === 0) return null;
  const first = Math.min(...pending.map(({ firstAt }) => Date.parse(firstAt)));
  return {
    rule: 'debounce',
    why: `debounce: reasons that come within ${length} of the first one are one run`,
    until: first + durationMs(length),
  };
}

function coolDown({ cooldown }: RetrainingSpec, { runs }: RetrainingState): Hold | null {
  const ended = runs.flatMap(({ endedAt }) => (endedAt === null ? [] : [Date.parse(endedAt)]));
  if (ended.length === 0) return null;
  const last = Math.max(...ended);
  return {
    rule: 'cool-down',
    why: `cool-down: the last run ended at ${isoOf(last)}, the next begins ${cooldown} later at the earliest`,
    until: last + durationMs(cooldown),
  };
}

function perDay({ maxPerDay }: RetrainingSpec, { runs }: RetrainingState, at: number): Hold | null {
  const begun = startsAfter(runs, at - DAY);
  const leaves = begun[begun.length - maxPerDay];
  if (leaves === undefined) return null;
  return {
    rule: 'maximum per day',
    why: `maximum per day: ${begun.length} of ${maxPerDay} run(s) began in the last 24 hours`,
    until: leaves.at + DAY,
  };
}

function budget({ budget: limit }: RetrainingSpec, { runs }: RetrainingState, at: number): Hold | null {
  if (!limit) return null;
  const period = durationMs(limit.per);
  const spent = startsAfter(runs, at - period);
  const ends = [
    limit.time === undefined
      ? null
      : used(
          spent,
          ({ seconds }) => seconds,
          durationMs(limit.time) / 1_000,
          (sum, most) => `${hours(sum)} of ${hours(most)} hours of training`,
        ),
    limit.cost === undefined
      ? null
      : used(
          spent,
          ({ cost }) => cost,
          limit.cost,
          (sum, most) => `a cost of ${tidy(sum)} of ${tidy(most)}`,
        ),
  ].filter((end) => end !== null);
  if (ends.length === 0) return null;
  return {
    rule: 'budget',
    why: `budget: ${ends.map(({ words }) => words).join(' and ')} are used up in the last ${limit.per}`,
    until: Math.max(...ends.map(({ last }) => last)) + period,
  };
}

/** Where a limit is reached: the begin of the run that must be out of the period before there is room again. */
function used(
  spent: readonly { at: number; seconds: number; cost: number }[],
  of: (run: { seconds: number; cost: number }) => number,
  most: number,
  words: (sum: number, most: number) => string,
): { last: number; words: string } | null {
  const total = spent.reduce((sum, run) => sum + of(run), 0);
  let left = total;
  let last: number | undefined;
  for (const run of spent) {
    if (left < most) break;
    left -= of(run);
    last = run.at;
  }
  return last === undefined ? null : { last, words: words(total, most) };
}

function quiet({ quietHours }: RetrainingSpec, at: number): Hold | null {
  const until = quietUntil(quietHours, at);
  if (until === at) return null;
  const words = quietHours.map(({ from, to, utcOffset }) => `${from} to ${to} (${utcOffset})`).join(', ');
  return { rule: 'quiet hours', why: `quiet hours: no run begins from ${words}`, until };
}

/** Runs that began after a moment, the oldest first. */
const startsAfter = (
  runs: RetrainingState['runs'],
  after: number,
): { at: number; seconds: number; cost: number }[] =>
  runs
    .map(({ startedAt, seconds, cost }) => ({ at: Date.parse(startedAt), seconds, cost }))
    .filter(({ at }) => at > after)
    .sort((a, b) => a.at - b.at);

const tidy = (value: number): string => String(Math.round(value * 100) / 100);
const hours = (seconds: number): string => tidy(seconds / HOUR);
