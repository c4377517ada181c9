import { durationMs } from '../../contracts/durations.ts';
import type { OperationsReport, Verdict, WindowReport } from '../../contracts/monitoring.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { countText, figure, latencyText, shareText } from '../rollout/guards/words.ts';
import { NOT_COMPUTED, tooFew, verdictOf } from './verdict.ts';

/** Training-serving skew: rows whose answer is not the one that was served. */
export function skewVerdicts(
  { skew, minRows }: MonitoringSpec,
  report: Pick<WindowReport, 'skew' | 'rows'>,
): Verdict[] {
  if (skew === false) return [];
  const rows = report.skew?.rows ?? 0;
  const needed = Math.min(minRows, skew.rows);
  const limit = skew.maxShare;
  if (!report.skew && report.rows >= minRows)
    return [
      verdictOf('skew', 'insufficient', 0, `the comparison with the model’s file ${NOT_COMPUTED}`, { limit }),
    ];
  if (!report.skew || rows < needed)
    return [verdictOf('skew', 'insufficient', rows, tooFew('rows', rows, needed), { limit })];
  const { differing, largest } = report.skew;
  const share = differing / rows;
  return [
    verdictOf(
      'skew',
      share > limit ? 'breached' : 'ok',
      rows,
      `${countText(differing)} of ${countText(rows)} answers (${shareText(share)}) differ from what the model’s file says, by up to ${figure(largest)}; at most ${shareText(limit)}`,
      { observed: share, limit },
    ),
  ];
}

/** Parity of the online and the offline features: rows whose looked-up values are not those of the sources. */
export function featureVerdicts(
  { features, minRows }: MonitoringSpec,
  report: Pick<WindowReport, 'features'>,
): Verdict[] {
  if (features === false) return [];
  const limit = features.maxShare;
  return (report.features ?? []).map(({ view, rows, stale, differing, largest }) => {
    const compared = rows - stale;
    const needed = Math.min(minRows, features.rows);
    if (compared < needed)
      return verdictOf('feature-parity', 'insufficient', compared, tooFew('rows', compared, needed), {
        of: view,
        limit,
      });
    const share = differing / compared;
    const words = `${countText(differing)} of ${countText(compared)} rows (${shareText(share)}) had other features than the sources say, by up to ${figure(largest)}; at most ${shareText(limit)}${stale > 0 ? `; ${countText(stale)} more were looked up before the latest events were there` : ''}`;
    return verdictOf('feature-parity', share > limit ? 'breached' : 'ok', compared, words, {
      of: view,
      observed: share,
      limit,
    });
  });
}

/**
 * A change of the error of the model, found in this window. One for the better is told in words and alarms nobody.
 */
export function conceptVerdicts(
  { concept, minLabels }: MonitoringSpec,
  report: Pick<WindowReport, 'concept'>,
): Verdict[] {
  if (concept === false) return [];
  const { labels, changes } = report.concept ?? { labels: 0, changes: [] };
  const worse = changes.filter(({ before, after }) => before === null || after === null || after > before);
  const change = worse.at(-1) ?? changes.at(-1);
  if (!change && labels < minLabels)
    return [verdictOf('concept-drift', 'insufficient', labels, tooFew('labels', labels, minLabels))];
  const error = (mean: number | null): string => (mean === null ? 'unknown' : figure(mean));
  const words = change
    ? `${concept.detector}: the mean error went from ${error(change.before)} to ${error(change.after)}, found at ${change.at}`
    : `${concept.detector}: no change of the error in ${countText(labels)} labels`;
  return [
    verdictOf('concept-drift', worse.length > 0 ? 'breached' : 'ok', labels, words, {
      observed: change?.after ?? null,
    }),
  ];
}

/** Failures and refusals, as shares of all requests; `null` where no server was asked, or nobody asked anything. */
export function operationShares(operations: OperationsReport): {
  asked: number;
  errors: number | null;
  invalid: number | null;
} {
  const { requests, counted, failed, refused, invalidOutputs } = operations;
  // The log has a sample of what was answered; the servers count all.
  const asked = counted ?? requests + (failed ?? 0) + (refused ?? 0);
  const share = (count: number): number | null => (asked > 0 ? Math.min(1, count / asked) : null);
  return {
    asked,
    errors: failed === null ? null : share(failed),
    invalid: share(invalidOutputs + (refused ?? 0)),
  };
}

/** How the endpoint runs: each limit, and what was measured without one. */
export function operationsVerdicts(
  { operations: limits, minRows }: MonitoringSpec,
  { operations }: Pick<WindowReport, 'operations'>,
): Verdict[] {
  const { asked, errors, invalid } = operations
    ? operationShares(operations)
    : { asked: 0, errors: null, invalid: null };
  const maxLatency = limits.maxLatencyP99 === undefined ? undefined : durationMs(limits.maxLatencyP99);
  const enough = Math.max(asked, operations?.rows ?? 0) >= minRows;
  const measures: {
    of: string;
    observed: number | null;
    limit: number | undefined;
    least?: boolean;
    /** Whether it says something of few requests, too. */
    always?: boolean;
    words: (value: number) => string;
  }[] = [
    {
      of: 'errors',
      observed: errors,
      limit: limits.maxErrors,
      words: (value) => `${shareText(value)} failed`,
    },
    {
      of: 'invalid',
      observed: invalid,
      limit: limits.maxInvalid,
      words: (value) => `${shareText(value)} were refused or answered with no number`,
    },
    {
      of: 'latency_p99_ms',
      observed: operations?.latencyMs?.p99 ?? null,
      limit: maxLatency,
      words: (value) => `${latencyText(value)} at the 99th percentile`,
    },
    {
      of: 'uptime',
      observed: operations?.uptime ?? null,
      limit: limits.minUptime,
      least: true,
      always: true,
      words: (value) => `a server was live ${Number((value * 100).toFixed(2))} % of the time`,
    },
    {
      of: 'requests',
      observed: operations ? asked : null,
      limit: limits.minRequests,
      least: true,
      always: true,
      words: countText,
    },
  ];
  return measures.flatMap(({ of, observed, limit, least = false, always = false, words }) => {
    const about = { of, observed, limit: limit ?? null };
    if (limit === undefined)
      return observed === null ? [] : [verdictOf('operations', 'unlimited', asked, words(observed), about)];
    if (observed === null)
      return [verdictOf('operations', 'insufficient', asked, `${of} could not be measured`, about)];
    if (!enough && !always)
      return [verdictOf('operations', 'insufficient', asked, tooFew('requests', asked, minRows), about)];
    const beyond = least ? observed < limit : observed > limit;
    const said = `${words(observed)}, at ${least ? 'least' : 'most'} ${limitWords(of, limit)}`;
    return [verdictOf('operations', beyond ? 'breached' : 'ok', asked, said, about)];
  });
}

function limitWords(of: string, limit: number): string {
  if (of === 'latency_p99_ms') return latencyText(limit);
  return of === 'requests' ? countText(limit) : `${Number((limit * 100).toPrecision(4))} %`;
}
