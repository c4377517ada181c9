import type { Interval, MetricValues } from '../../contracts/evaluation-report.ts';
import type { MeasuredQuality, Verdict, WindowReport } from '../../contracts/monitoring.ts';
import { isBounded, lowerIsBetter, type MetricName, metricName } from '../../contracts/spec/metrics.ts';
import type { MonitoringSpec, QualityLimit } from '../../contracts/spec/monitoring.ts';
import { countText, figure } from '../rollout/guards/words.ts';
import { sliceRows } from './drift-verdicts.ts';
import { tooFew, verdictOf } from './verdict.ts';

/** A bound that a metric must keep. */
interface Bound {
  side: 'most' | 'least';
  value: number;
  words: string;
}

/** The metrics that were measured, in the order of their names. */
const measured = ({ metrics }: MeasuredQuality): MetricName[] =>
  Object.keys(metrics)
    .sort()
    .flatMap((name) => metricName.safeParse(name).data ?? []);

/** The bounds of a metric, and whether one waits for a figure of the reference that is not there. */
function boundsOf(
  metric: MetricName,
  limits: readonly Omit<QualityLimit, 'metric'>[],
  reference: MetricValues | undefined,
): { bounds: Bound[]; waits: boolean } {
  const usual = reference?.[metric];
  const bounds: Bound[] = [];
  let waits = false;
  for (const { min, max, worseBy } of limits) {
    if (min !== undefined) bounds.push({ side: 'least', value: min, words: `at least ${figure(min)}` });
    if (max !== undefined) bounds.push({ side: 'most', value: max, words: `at most ${figure(max)}` });
    if (worseBy === undefined) continue;
    if (usual === undefined) {
      waits = true;
      continue;
    }
    const lower = lowerIsBetter(metric);
    const value = lower ? usual + worseBy : usual - worseBy;
    bounds.push({
      side: lower ? 'most' : 'least',
      value,
      words: `at ${lower ? 'most' : 'least'} ${figure(value)} (${figure(worseBy)} worse than the reference’s ${figure(usual)})`,
    });
  }
  return { bounds, waits };
}

const isBeyond = ({ side, value }: Bound, observed: number): boolean =>
  side === 'most' ? observed > value : observed < value;

/** Whether a bound is broken by all of an interval. */
const isSurelyBeyond = (bound: Bound, { low, high }: Interval): boolean =>
  isBeyond(bound, bound.side === 'most' ? low : high);

function intervalWords(interval: Interval | undefined, bound: Bound | undefined, beyond: boolean): string {
  if (!interval) return '';
  const words = `, interval ${figure(interval.low)} to ${figure(interval.high)}`;
  if (!bound) return words;
  if (beyond)
    return `${words}${isSurelyBeyond(bound, interval) ? ', all of it beyond' : ': the limit lies within, it may be chance'}`;
  const touches = isBeyond(bound, bound.side === 'most' ? interval.high : interval.low);
  return touches ? `${words}: part of it beyond` : words;
}

interface Judged {
  check: 'quality' | 'estimated-quality';
  metric: MetricName;
  limits: readonly Omit<QualityLimit, 'metric'>[];
  quality: MeasuredQuality;
  reference: MetricValues | undefined;
  /** Labels, or rows of an estimate, that there are and that are needed. */
  known: number;
  needed: number;
  what: 'labels' | 'rows';
  slice: string | null;
}

/** One metric held against all its limits; the one that is broken, or the first, is named. */
function judgeMetric({
  check,
  metric,
  limits,
  quality,
  reference,
  known,
  needed,
  what,
  slice,
}: Judged): Verdict {
  const about = { of: metric, slice };
  if (known < needed) return verdictOf(check, 'insufficient', known, tooFew(what, known, needed), about);
  const observed = quality.metrics[metric];
  if (observed === undefined)
    return verdictOf(
      check,
      'insufficient',
      known,
      `${metric} has no value: one class alone, or no answers`,
      about,
    );
  const { bounds, waits } = boundsOf(metric, limits, reference);
  const interval = Object.hasOwn(quality.intervals, metric) ? quality.intervals[metric] : undefined;
  // There are many slices: where chance may have done it, they alarm nobody.
  const breaks = (bound: Bound): boolean =>
    isBeyond(bound, observed) && (slice === null || !interval || isSurelyBeyond(bound, interval));
  const broken = bounds.find(breaks);
  const bound = broken ?? bounds[0];
  const state = broken ? 'breached' : waits && slice === null ? 'insufficient' : bound ? 'ok' : 'unlimited';
  const asked = bound ? `, ${(broken ? [broken] : bounds).map(({ words }) => words).join(' and ')}` : '';
  const lacking = state === 'insufficient' ? '; the reference has no figure to compare with' : '';
  const name = check === 'quality' ? metric : `estimated ${metric}`;
  const chance = intervalWords(interval, bound, bound !== undefined && isBeyond(bound, observed));
  return verdictOf(
    check,
    state,
    known,
    `${name} ${figure(observed)} over ${countText(known)} ${what}${asked}${chance}${lacking}`,
    { ...about, observed, limit: bound?.value ?? null, interval: interval ?? null },
  );
}

/** Quality against the truth: of all rows and of slices, each metric once. */
export function qualityVerdicts(
  settings: MonitoringSpec,
  report: Pick<WindowReport, 'quality' | 'referenceQuality' | 'slices'>,
): Verdict[] {
  const of = (
    quality: MeasuredQuality,
    reference: MetricValues | undefined,
    needed: number,
    slice: string | null,
  ): Verdict[] =>
    [...new Set([...settings.quality.map(({ metric }) => metric), ...measured(quality)])].map((metric) =>
      judgeMetric({
        check: 'quality',
        metric,
        limits: settings.quality.filter((limit) => limit.metric === metric),
        quality,
        reference,
        known: quality.labels,
        needed,
        what: 'labels',
        slice,
      }),
    );
  return [
    ...of(report.quality, report.referenceQuality, settings.minLabels, null),
    ...report.slices.flatMap(({ name, quality, referenceQuality }) =>
      of(quality, referenceQuality, sliceRows(settings, name), name),
    ),
  ];
}

/**
 * The estimate held against the reference by `estimate.worseBy`: the metrics of `quality`, or where it names none those
 * that lie between 0 and 1.
 */
export function estimateVerdicts(
  { estimate, quality, minRows }: MonitoringSpec,
  {
    estimated,
    referenceQuality,
    estimateReference = referenceQuality,
    rows,
  }: Pick<WindowReport, 'estimated' | 'referenceQuality' | 'estimateReference' | 'rows'>,
): Verdict[] {
  if (estimate === false) return [];
  const { worseBy } = estimate;
  const named = new Set(quality.map(({ metric }) => metric));
  if (!estimated)
    return worseBy === undefined
      ? []
      : [...(named.size > 0 ? named : [''])].map((of) =>
          verdictOf(
            'estimated-quality',
            'insufficient',
            rows,
            rows < minRows ? tooFew('rows', rows, minRows) : 'nothing could be estimated',
            { of },
          ),
        );
  const judged = (metric: MetricName): boolean =>
    worseBy !== undefined && (named.size > 0 ? named.has(metric) : isBounded(metric));
  const asked = worseBy === undefined ? [] : [...named];
  return [...new Set([...asked, ...measured(estimated)])].map((metric) =>
    judgeMetric({
      check: 'estimated-quality',
      metric,
      limits: judged(metric) ? [{ worseBy }] : [],
      quality: estimated,
      reference: estimateReference,
      known: estimated.rows,
      needed: minRows,
      what: 'rows',
      slice: null,
    }),
  );
}
