import type { Interval } from '../../contracts/evaluation-report.ts';
import { between, drawSample } from './bootstrap.ts';
import type { RowCounts } from './scores.ts';

/** What stands behind the metrics has intervals from so many samples at the most; of more than 100,000 rows from fewer. */
const [MOST_SAMPLES, FEWEST_SAMPLES, MOST_DRAWN] = [200, 50, 20_000_000];

/** How bootstrap samples are drawn. */
export interface DetailBootstrap {
  confidence: number;
  resamples: number;
  seed: number;
}

/**
 * Percentile intervals of numbers that are computed of the rows, each row as often as it counts.
 *
 * @param valuesOf of one sample, always as many numbers
 * @returns an interval for each of them; none at all where no samples are wanted
 */
export function sampledIntervals(
  rows: number,
  { confidence, resamples, seed }: DetailBootstrap,
  valuesOf: (counts: RowCounts) => Float64Array,
): Interval[] {
  const most = Math.max(FEWEST_SAMPLES, Math.floor(MOST_DRAWN / rows));
  const samples = Math.min(MOST_SAMPLES, most, resamples);
  const counts = new Uint16Array(rows);
  const drawn = Array.from({ length: rows === 0 ? 0 : samples }, (_, sample) => {
    drawSample(counts, seed, sample);
    return valuesOf(counts);
  });
  return Array.from(drawn[0] ?? [], (_, at) =>
    between(
      Float64Array.from(drawn, (values) => values[at] ?? Number.NaN),
      (1 - confidence) / 2,
    ),
  );
}
