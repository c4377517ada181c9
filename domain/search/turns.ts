import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';

/** Trials that each candidate has before the better ones get more. */
const EVEN_TRIALS = 3;

/** A candidate that could have another trial. */
export interface Contender {
  started: number;
  best: number | null;
}

/**
 * Whose turn it is: all candidates in turn at first; then the best one gets half of the trials, the second a quarter, and
 * so on, so that trials go where they help, and none is given up for ever. The first of equals wins.
 *
 * @returns the index, or -1 where there is none
 */
export function whoseTurn(contenders: readonly Contender[], metric: MetricName): number {
  const sign = lowerIsBetter(metric) ? 1 : -1;
  const loss = ({ best }: Contender): number => (best === null ? Number.POSITIVE_INFINITY : sign * best);
  const fewest = contenders.reduce(
    (least, { started }, index) =>
      started < (contenders[least]?.started ?? Number.POSITIVE_INFINITY) ? index : least,
    -1,
  );
  if (fewest < 0 || (contenders[fewest]?.started ?? 0) < EVEN_TRIALS) return fewest;
  const ranked = contenders
    .map((_, index) => index)
    .sort((a, b) => {
      const [one, other] = [contenders[a], contenders[b]];
      return one && other ? loss(one) - loss(other) || a - b : 0;
    });
  const total = contenders.reduce((sum, { started }) => sum + started - EVEN_TRIALS, 0) + 1;
  const shares = ranked.map((_, rank) => 2 ** -(rank + 1));
  const whole = shares.reduce((sum, share) => sum + share, 0);
  const behind = (rank: number, index: number): number =>
    ((shares[rank] ?? 0) / whole) * total - ((contenders[index]?.started ?? 0) - EVEN_TRIALS);
  return ranked.reduce(
    (most, index, rank) =>
      behind(rank, index) > most.behind ? { index, behind: behind(rank, index) } : most,
    { index: -1, behind: Number.NEGATIVE_INFINITY },
  ).index;
}
