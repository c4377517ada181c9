import type { BacktestRun, BacktestStep, PolicyOutcome } from '../../contracts/backtest.ts';
import type { MetricValues } from '../../contracts/evaluation-report.ts';
import { lowerIsBetter, type MetricName, metricName } from '../../contracts/spec/metrics.ts';

/** Means of a metric over windows, each by its rows. */
function meanQuality(steps: readonly BacktestStep[]): MetricValues {
  const names = new Set(steps.flatMap(({ quality }) => Object.keys(quality)));
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const metric = metricName.safeParse(name).data;
      const known = metric
        ? steps.flatMap(({ quality, rows }) => {
            const value = quality[metric];
            return value === undefined || rows === 0 ? [] : [{ value, rows }];
          })
        : [];
      const rows = known.reduce((sum, one) => sum + one.rows, 0);
      return rows === 0 ? [] : [[name, known.reduce((sum, one) => sum + one.value * one.rows, 0) / rows]];
    }),
  );
}

/**
 * Alerts against what came out later. An alert is true where a window was bad between the one that it speaks of, whose
 * truth had just come, and the one at whose end it was raised. A stretch of bad windows of which nothing was told until
 * the truth about its last one was there was missed.
 *
 * @param delay how many windows later the truth about one is known
 */
export function alertsOf(
  steps: readonly BacktestStep[],
  delay: number,
): Pick<PolicyOutcome, 'trueAlerts' | 'falseAlerts' | 'missed'> {
  const isBad = (from: number, to: number): boolean =>
    steps.slice(Math.max(0, from), to + 1).some(({ bad }) => bad === true);
  let [trueAlerts, falseAlerts, missed] = [0, 0, 0];
  for (const [i, { raised }] of steps.entries()) {
    if (isBad(i - delay, i)) trueAlerts += raised.length;
    else falseAlerts += raised.length;
  }
  for (let i = 0; i < steps.length; i++) {
    if (steps[i]?.bad !== true || steps[i - 1]?.bad === true) continue;
    let end = i;
    while (steps[end + 1]?.bad === true) end++;
    const told = steps.slice(i, end + delay + 1).some(({ raised }) => raised.length > 0);
    // What was raised before and lasts is told already.
    if (!told && !steps.slice(Math.max(0, i - delay), i).some(({ raised }) => raised.length > 0)) missed++;
  }
  return { trueAlerts, falseAlerts, missed };
}

/** A policy as it came out. @param delay how many windows later the truth about one is known */
export function outcomeOf(
  policy: string,
  steps: readonly BacktestStep[],
  runs: readonly BacktestRun[],
  delay: number,
): PolicyOutcome {
  return {
    policy,
    steps: [...steps],
    runs: [...runs],
    quality: meanQuality(steps),
    badWindows: steps.filter(({ bad }) => bad === true).length,
    ...alertsOf(steps, delay),
    deployed: runs.filter(({ outcome }) => outcome === 'deployed').length,
    seconds: runs.reduce((sum, { seconds }) => sum + seconds, 0),
    cost: runs.reduce((sum, { cost }) => sum + cost, 0),
  };
}

/** A difference of quality below this share of the best is none that would be worth a retraining. */
const WORTH = 0.02;

/**
 * The policies, the best first, and which to choose: the one with the fewest retrainings among those whose quality is
 * within 2 % of the best.
 */
export function ranked(
  outcomes: readonly PolicyOutcome[],
  metric: MetricName,
): { policies: PolicyOutcome[]; advice: string } {
  const sign = lowerIsBetter(metric) ? 1 : -1;
  const meanOf = ({ quality }: PolicyOutcome): number => quality[metric] ?? Number.NaN;
  const known = outcomes.filter((one) => Number.isFinite(meanOf(one)));
  const best = [...known].sort((a, b) => sign * (meanOf(a) - meanOf(b)))[0];
  if (!best)
    return {
      policies: [...outcomes].sort((a, b) => a.runs.length - b.runs.length),
      advice: `no window has enough truth to compute ${metric}: a longer stretch, or windows with more rows`,
    };
  const limit = Math.abs(meanOf(best)) * WORTH;
  const behind = (one: PolicyOutcome): number => sign * (meanOf(one) - meanOf(best));
  /** Good ones, worse ones, and those of which nothing is known. */
  const place = (one: PolicyOutcome): number =>
    Number.isFinite(meanOf(one)) ? (behind(one) <= limit ? 0 : 1) : 2;
  const policies = [...outcomes].sort((a, b) => {
    const runs = a.runs.length - b.runs.length;
    if (place(a) !== place(b)) return place(a) - place(b);
    if (place(a) === 2) return runs;
    return place(a) === 0 ? runs || behind(a) - behind(b) : behind(a) - behind(b) || runs;
  });
  const [chosen] = policies;
  return { policies, advice: chosen ? adviceOf(chosen, best, policies, metric, meanOf) : '' };
}

function adviceOf(
  chosen: PolicyOutcome,
  best: PolicyOutcome,
  policies: readonly PolicyOutcome[],
  metric: MetricName,
  meanOf: (one: PolicyOutcome) => number,
): string {
  const figure = (value: number): string =>
    Number.isFinite(value) ? String(Number(value.toPrecision(4))) : 'unknown';
  const sign = lowerIsBetter(metric) ? 1 : -1;
  /** What it would cost or save to take another one. */
  const beside = (one: PolicyOutcome): string => {
    const share = (100 * sign * (meanOf(one) - meanOf(chosen))) / Math.abs(meanOf(chosen));
    return Number.isFinite(share)
      ? `, ${Math.abs(share).toFixed(1)} % ${share > 0 ? 'worse' : 'better'}`
      : '';
  };
  const others = policies
    .filter((one) => one !== chosen)
    .map((one) => `${one.policy} ${figure(meanOf(one))} with ${one.runs.length}${beside(one)}`);
  const why =
    chosen === best
      ? 'none is better'
      : `within ${100 * WORTH} % of the best (${best.policy}), with fewer retrainings`;
  return `${chosen.policy}: mean ${metric} ${figure(meanOf(chosen))} with ${chosen.runs.length} retraining(s), ${why}; ${others.join('; ')}`;
}
