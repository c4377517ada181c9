import { lowerIsBetter, type MetricName } from '../contracts/spec/evaluation.ts';
import type { TrainedCandidate } from '../contracts/stages.ts';

/**
 * The candidate with the best value of the metric on the validation split; the first in the spec's order wins a tie.
 *
 * @throws RangeError where no candidate has a value
 */
export function selectCandidate(
  candidates: readonly TrainedCandidate[],
  metric: MetricName,
): TrainedCandidate {
  const sign = lowerIsBetter(metric) ? -1 : 1;
  let best: TrainedCandidate | undefined;
  let bestValue = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const value = candidate.validation[metric];
    if (value !== undefined && sign * value > bestValue) {
      best = candidate;
      bestValue = sign * value;
    }
  }
  if (!best) throw new RangeError(`no candidate has a value of ${metric} on the validation split`);
  return best;
}
