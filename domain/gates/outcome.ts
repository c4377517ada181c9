import type { Interval } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { Gate } from '../../contracts/spec/gates.ts';

/** A part that a result is about. */
export type Part = Pick<GateResult, 'slice' | 'group' | 'feature'>;

/** A value that must lie on one side of a limit. */
export interface Bound extends Part {
  /** What is judged, and what is asked of it: both together are the condition in words. */
  subject: string;
  required: string;
  limit: number;
  direction: 'at_least' | 'at_most';
  /** Left out, or not finite: it could not be computed. */
  observed: number | undefined;
  /** What is held against the limit where that is not the value itself: the bound of it. */
  judged?: number | undefined;
  interval?: Interval | undefined;
  /** Why there is no value; by default that the subject could not be computed. */
  missing?: string;
  note?: string | undefined;
}

const isNumber = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value);

const partOf = ({ slice, group, feature }: Part): Part => ({
  ...(slice === undefined ? {} : { slice }),
  ...(group === undefined ? {} : { group }),
  ...(feature === undefined ? {} : { feature }),
});

/** Holds a value against its limit. What is no finite number keeps no limit, and no limit that is none is kept. */
export function judge(gate: Gate, bound: Bound): GateResult {
  const { subject, required, limit, direction, observed, interval, note } = bound;
  const judged = 'judged' in bound ? bound.judged : observed;
  const said = {
    gate,
    condition: `${subject} ${required}`,
    required,
    limit: isNumber(limit) ? limit : null,
    interval: interval ?? null,
    ...partOf(bound),
  };
  if (!isNumber(observed) || !isNumber(judged) || !isNumber(limit))
    return {
      ...said,
      verdict: 'failed',
      passed: false,
      observed: isNumber(observed) ? observed : null,
      margin: null,
      note: bound.missing ?? `${subject} could not be computed`,
    };
  const margin = direction === 'at_least' ? judged - limit : limit - judged;
  return {
    ...said,
    verdict: margin >= 0 ? 'passed' : 'failed',
    passed: margin >= 0,
    observed,
    margin,
    ...(note === undefined ? {} : { note }),
  };
}

/** A gate that no number decides. */
export const unjudged = (
  gate: Gate,
  said: { subject: string; required: string; note: string; observed?: number | undefined } & Part,
  verdict: GateResult['verdict'] = 'failed',
): GateResult => ({
  gate,
  condition: `${said.subject} ${said.required}`,
  required: said.required,
  verdict,
  passed: verdict === 'passed',
  observed: isNumber(said.observed) ? said.observed : null,
  limit: null,
  margin: null,
  interval: null,
  note: said.note,
  ...partOf(said),
});

/** Parts of one gate that stand in the verdict each by itself; of those that are kept the nearest to the limit. */
const SHOWN = 3;

/**
 * Of a condition on many parts the ones that count: those that failed, the worst first, or where all keep it the one
 * that came nearest to the limit. A verdict is read by people, and travels.
 *
 * @param parts what the results are about, in the plural
 */
export function worstOf(results: readonly GateResult[], parts: string): GateResult[] {
  const badness = ({ margin }: GateResult): number => margin ?? Number.NEGATIVE_INFINITY;
  const sorted = [...results].sort((a, b) => badness(a) - badness(b));
  const failed = sorted.filter(({ verdict }) => verdict === 'failed');
  const noted = (result: GateResult, words: string): GateResult => ({
    ...result,
    note: [result.note, words].filter((part) => part !== undefined).join('; '),
  });
  if (failed.length === 0)
    return sorted.slice(0, 1).map((result) => noted(result, `the nearest of ${results.length} ${parts}`));
  const more = failed.length - SHOWN;
  return failed
    .slice(0, SHOWN)
    .map((result, i) =>
      more > 0 && i === SHOWN - 1 ? noted(result, `and ${more} more ${parts} failed`) : result,
    );
}

/** A confidence in words. @example percent(0.95) === '95 %' */
export const percent = (share: number): string => `${Number((100 * share).toPrecision(4))} %`;
