import { type NumberSketch, SKETCH_ZERO } from '../../contracts/rollout-evidence.ts';
import { sketchCount, sketchValues } from './sketch.ts';

/** How often what falls into one bin was answered. */
export interface Bin {
  champion: number;
  candidate: number;
}

/** Bins of numbers: the champion's tenths. */
const BINS = 10;
/** Classes that are bins of their own; rarer ones share one. */
const OWN_CLASSES = 19;
/** Counted into each bin that something fell into, so that an empty one is no infinite distance (Jeffreys). */
const SMOOTHING = 0.5;
/** Answers of each side below which the noise is not known: the chi-square distribution is one of large samples. */
export const LEAST_ANSWERS = 50;
/** The false alarms are dealt out over stretches in which the evidence grows by half. */
const STRETCH = 1.5;

/**
 * The counts of two sketches in bins that hold a tenth of the champion's numbers each. Ends lie in the middle between
 * two numbers of the champion, so that an answer that it gives often may move a little. What lies beyond all its
 * numbers by more than a tenth of their range has bins of its own.
 */
export function numberBins(champion: NumberSketch, candidate: NumberSketch): Bin[] {
  const ends = binEnds(champion);
  const bins = Array.from({ length: ends.length + 1 }, (): Bin => ({ champion: 0, candidate: 0 }));
  for (const [side, sketch] of [
    ['champion', champion],
    ['candidate', candidate],
  ] as const) {
    let index = 0;
    for (const { value, count } of sketchValues(sketch)) {
      while (index < ends.length && value > (ends[index] ?? 0)) index++;
      const bin = bins[index];
      if (bin) bin[side] += count;
    }
  }
  return bins;
}

/** Upper ends of all bins but the last, ascending. */
function binEnds(sketch: NumberSketch): number[] {
  const values = sketchValues(sketch);
  const total = sketchCount(sketch);
  const [least, most] = [values[0]?.value, values.at(-1)?.value];
  if (least === undefined || most === undefined) return [];
  const inner: number[] = [];
  let seen = 0;
  let tenth = 1;
  for (const [i, { value, count }] of values.entries()) {
    const next = values[i + 1]?.value;
    seen += count;
    if (next === undefined || seen < (tenth * total) / BINS) continue;
    inner.push((value + next) / 2);
    tenth = Math.floor((seen * BINS) / total) + 1;
  }
  const margin = Math.max((most - least || Math.abs(most)) / BINS, SKETCH_ZERO);
  return [least - margin, ...inner, most + margin];
}

/** The counts of classes: the most frequent of both sides together are bins, the others share one. */
export function classBins(
  champion: Readonly<Record<string, number>>,
  candidate: Readonly<Record<string, number>>,
): Bin[] {
  const bins = new Map<string, Bin>();
  for (const [side, counts] of [
    ['champion', champion],
    ['candidate', candidate],
  ] as const)
    for (const [name, count] of Object.entries(counts)) {
      const bin = bins.get(name) ?? { champion: 0, candidate: 0 };
      bin[side] += count;
      bins.set(name, bin);
    }
  const rest: Bin = { champion: 0, candidate: 0 };
  const whole = (bin: Bin): number => bin.champion + bin.candidate;
  const sorted = [...bins.values()].sort((a, b) => whole(b) - whole(a));
  for (const bin of sorted.slice(OWN_CLASSES)) {
    rest.champion += bin.champion;
    rest.candidate += bin.candidate;
  }
  return [...sorted.slice(0, OWN_CLASSES), rest];
}

/** Bins into which something fell. */
const filled = (bins: readonly Bin[]): Bin[] =>
  bins.filter(({ champion, candidate }) => champion + candidate > 0);

/**
 * The population stability index: `Σ (p - q) · ln(p / q)` over the bins' shares, each bin smoothed. 0: alike; by the
 * usual reading 0.1 is a small change and 0.25 a large one.
 */
export function populationStability(bins: readonly Bin[]): number {
  const used = filled(bins);
  const sum = (side: keyof Bin): number => used.reduce((total, bin) => total + bin[side] + SMOOTHING, 0);
  const [champion, candidate] = [sum('champion'), sum('candidate')];
  return used.reduce((psi, bin) => {
    const p = (bin.candidate + SMOOTHING) / candidate;
    const q = (bin.champion + SMOOTHING) / champion;
    return psi + (p - q) * Math.log(p / q);
  }, 0);
}

/**
 * What chance alone makes of the index where nothing changed, at any look at a growing sample, but with probability
 * `alpha`.
 *
 * Without a change the index times `1 / (1/n + 1/m)` is about chi-square distributed with one degree of freedom less
 * than bins (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index"); its quantile is
 * bounded from above after Laurent & Massart (2000, lemma 1). The k-th stretch in which the sample grows by half gets
 * `alpha / (k (k + 1))`, and within a stretch Lévy's inequality covers all looks. Both parts are statements about
 * large samples with independent answers, in which both sides grow alike: close to what was asked for, not exact.
 *
 * @param answers of each side that are independent of each other: requests, where one asks for several rows
 * @returns infinite below {@link LEAST_ANSWERS}
 */
export function stabilityNoise(bins: readonly Bin[], answers: Bin, alpha: number): number {
  if (Math.min(answers.champion, answers.candidate) < LEAST_ANSWERS) return Number.POSITIVE_INFINITY;
  const freedom = Math.max(filled(bins).length - 1, 1);
  const size = 1 / (1 / answers.champion + 1 / answers.candidate);
  const first = LEAST_ANSWERS / 2;
  const stretch = Math.floor(Math.log(size / first) / Math.log(STRETCH)) + 1;
  const end = first * STRETCH ** stretch;
  const evidence = Math.log((2 * stretch * (stretch + 1)) / alpha);
  const quantile = freedom + 2 * Math.sqrt(freedom * evidence) + 2 * evidence;
  return (quantile * end) / size ** 2;
}
