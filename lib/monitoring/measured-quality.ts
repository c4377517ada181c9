import type { MeasuredQuality } from '../../contracts/monitoring.ts';
import { derivedSeed } from '../../domain/random.ts';
import { intervalsOf, sampledMetrics } from '../statistics/bootstrap.ts';
import { type KnownRows, scoresOfKnown } from './labelled-rows.ts';
import type { WatchedProblem } from './problem.ts';

const CONFIDENCE = 0.95;
const MOST_SAMPLES = 200;
/** Rows that are drawn for all samples together; of many labels fewer samples are drawn, whose interval is narrow anyway. */
const MOST_DRAWN = 20_000_000;
const FEWEST_SAMPLES = 60;
/** Of fewer rows an interval would say nothing. */
const FEWEST_LABELS = 10;

/**
 * Metrics of rows whose truth is known, with percentile intervals of 95 % by the bootstrap; none where no truth is known.
 *
 * @param rows that were looked at, whether their truth is known or not
 * @param seed the same seed gives the same intervals
 */
export async function measuredQuality(
  problem: WatchedProblem,
  rows: number,
  known: KnownRows | null,
  seed: number,
): Promise<MeasuredQuality> {
  const scores = known && scoresOfKnown(problem, known);
  if (!scores) return { rows, labels: 0, metrics: {}, intervals: {} };
  const labels = scores.rows;
  const metrics = scores.metrics();
  if (labels < FEWEST_LABELS) return { rows, labels, metrics, intervals: {} };
  const width = problem.task === 'multiclass' ? problem.classNames.length : 1;
  const before = Math.min(MOST_SAMPLES, Math.max(FEWEST_SAMPLES, Math.floor(MOST_DRAWN / (labels * width))));
  const samples = await sampledMetrics(scores, {
    seed: derivedSeed(seed, 'window-quality'),
    from: 0,
    before,
  });
  return { rows, labels, metrics, intervals: intervalsOf(samples, CONFIDENCE, before) };
}
