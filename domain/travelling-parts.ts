import type { FairnessResult, SliceResult, SlicesResult } from '../contracts/evaluation-report.ts';
import { lowerIsBetter, type MetricName } from '../contracts/spec/metrics.ts';

/** Declared slices that a stage's output names at most, and those of each metric that come first; the report has all. */
const MOST_SLICES = 60;
const WORST_OF_METRIC = 8;
/** Groups of a column that travel, and columns all groups of which do. */
const MOST_GROUPS = 12;

/** How bad a slice is by a metric; what could not be computed is worst of all. */
const badness = (slice: SliceResult, metric: MetricName): number => {
  const value = slice.metrics[metric];
  if (value === undefined || !Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return lowerIsBetter(metric) ? value : -value;
};

/**
 * The slices that travel through workflow histories: mandatory ones that are insufficient, of each metric the worst and
 * the best ones, and then the largest. A gate on all of them comes to the same verdict.
 */
export function travellingSlices(slices: SlicesResult, metrics: readonly MetricName[]): SlicesResult {
  const { declared } = slices;
  const judged = declared.filter(({ insufficient }) => insufficient === undefined);
  const chosen = new Set(
    declared.filter((one) => one.mandatory && one.insufficient).slice(0, WORST_OF_METRIC),
  );
  const room = Math.max(1, Math.floor(MOST_SLICES / 2 / Math.max(1, 2 * metrics.length)));
  for (const metric of metrics) {
    const sorted = [...judged].sort((a, b) => badness(b, metric) - badness(a, metric));
    for (const slice of sorted.slice(0, Math.min(WORST_OF_METRIC, room))) chosen.add(slice);
    // A gate may ask for a maximum of what is better when higher.
    for (const slice of sorted.slice(-Math.min(WORST_OF_METRIC, room))) chosen.add(slice);
  }
  for (const slice of [...declared].sort((a, b) => b.rows - a.rows)) {
    if (chosen.size >= MOST_SLICES) break;
    chosen.add(slice);
  }
  return { ...slices, declared: declared.filter((slice) => chosen.has(slice)) };
}

/** The groups that travel: the largest ones. Measures and the groups at their ends are of all. */
export const travellingFairness = (fairness: readonly FairnessResult[]): FairnessResult[] =>
  fairness.map((result) => ({ ...result, groups: result.groups.slice(0, MOST_GROUPS) }));
