import type { FairnessResult, Interval } from '../../contracts/evaluation-report.ts';
import { FAIRNESS_MEASURES, type FairnessMeasure, isRatio } from '../../contracts/spec/metrics.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { between, drawSample, isDefined } from './bootstrap.ts';
import type { CodedColumn } from './coded-column.ts';
import type { RowCounts } from './scores.ts';

/** What a model answered, row by row. */
export interface Answered {
  task: Task;
  /** Classification: 1 where the answer is right; regression: the absolute error. `[n]` */
  score: Float64Array;
  /** Binary: 1 where the row is of the positive class, and where that is the answer. */
  positive?: Uint8Array;
  said?: Uint8Array;
  /** Regression: the predictions. */
  prediction?: Float64Array;
}

/** How intervals are drawn. */
export interface FairnessOptions {
  minRows: number;
  confidence: number;
  resamples: number;
  seed: number;
}

/** Rows that are drawn for all samples together. */
const MOST_DRAWN = 40_000_000;
/** Fewer samples say nothing about the tails. */
const LEAST_SAMPLES = 50;

interface Rates {
  name: string;
  rows: number;
  selectionRate: number | null;
  truePositiveRate: number | null;
  falsePositiveRate: number | null;
  accuracy: number | null;
  meanPrediction: number | null;
  meanAbsoluteError: number | null;
}

/**
 * Compares the groups of a column, as Fairlearn defines it: `demographic_parity` by the rate of the positive answer,
 * `equalized_odds` by true and false positive rates, whose larger difference (smaller ratio) counts. Groups with
 * fewer rows than `minRows` are left out and not named. Of a rate those are left out that have no row of the class that
 * it needs, and counted for each measure that looks at it.
 */
export function fairnessOf(
  column: CodedColumn,
  answered: Answered,
  options: FairnessOptions,
): FairnessResult {
  const size = column.labels.length;
  const counts = new Uint32Array(size + 1);
  for (const code of column.codes) counts[code] = (counts[code] ?? 0) + 1;
  const large = Array.from({ length: size }, (_, code) => code).filter(
    (code) => (counts[code] ?? 0) >= options.minRows,
  );
  const groups = ratesOf(column, large, answered);
  const measures = measuresOf(groups, answered.task);
  const oneClass = FAIRNESS_MEASURES[answered.task].flatMap((measure) => {
    const without = withoutRate(groups, measure);
    return without.groups > 0 ? [[measure, without] as const] : [];
  });
  const named = large.reduce((sum, code) => sum + (counts[code] ?? 0), 0);
  const small = column.labels.filter((_, code) => {
    const count = counts[code] ?? 0;
    return count > 0 && count < options.minRows;
  }).length;
  return {
    column: column.name,
    measures: Object.fromEntries([...measures].map(([name, { value }]) => [name, value])),
    extremes: Object.fromEntries([...measures].map(([name, { low, high }]) => [name, { low, high }])),
    intervals: intervalsOf(column, large, groups, answered, options),
    groups: [...groups].sort((a, b) => b.rows - a.rows),
    insufficient: { groups: small + column.unnamed, rows: column.codes.length - named },
    ...(oneClass.length > 0 ? { oneClass: Object.fromEntries(oneClass) } : {}),
  };
}

function ratesOf(
  column: CodedColumn,
  codes: readonly number[],
  answered: Answered,
  counts?: RowCounts,
): Rates[] {
  const size = column.labels.length + 1;
  const { task, score, positive, said, prediction } = answered;
  const sum = {
    rows: new Float64Array(size),
    score: new Float64Array(size),
    said: new Float64Array(size),
    positive: new Float64Array(size),
    truePositive: new Float64Array(size),
    prediction: new Float64Array(size),
  };
  const add = (to: Float64Array, code: number, value: number): void => {
    to[code] = (to[code] ?? 0) + value;
  };
  for (let i = 0; i < column.codes.length; i++) {
    const code = column.codes[i] ?? 0;
    const count = counts === undefined ? 1 : (counts[i] ?? 0);
    if (count === 0) continue;
    add(sum.rows, code, count);
    add(sum.score, code, count * (score[i] ?? 0));
    if (positive && said) {
      add(sum.said, code, count * (said[i] ?? 0));
      add(sum.positive, code, count * (positive[i] ?? 0));
      add(sum.truePositive, code, count * (positive[i] ?? 0) * (said[i] ?? 0));
    }
    if (prediction) add(sum.prediction, code, count * (prediction[i] ?? 0));
  }
  return codes.map((code) => {
    const of = (values: Float64Array): number => values[code] ?? 0;
    const share = (part: number, whole: number, asked: boolean): number | null =>
      asked && whole > 0 ? part / whole : null;
    const [rows, positives] = [of(sum.rows), of(sum.positive)];
    const binary = task === 'binary';
    return {
      name: column.labels[code] ?? '',
      rows,
      selectionRate: share(of(sum.said), rows, binary),
      truePositiveRate: share(of(sum.truePositive), positives, binary),
      falsePositiveRate: share(of(sum.said) - of(sum.truePositive), rows - positives, binary),
      accuracy: share(of(sum.score), rows, task !== 'regression'),
      meanPrediction: share(of(sum.prediction), rows, task === 'regression'),
      meanAbsoluteError: share(of(sum.score), rows, task === 'regression'),
    };
  });
}

type Rate = Exclude<keyof Rates, 'name' | 'rows'>;

interface Measured {
  value: number;
  low: string;
  high: string;
}

/** The groups with the smallest and the largest rate; undefined where fewer than two have one. */
function extremesOf(groups: readonly Rates[], rate: Rate) {
  const known = groups.flatMap((group) => {
    const value = group[rate];
    return value === null || !Number.isFinite(value) ? [] : [{ name: group.name, value }];
  });
  if (known.length < 2) return undefined;
  const low = known.reduce((a, b) => (b.value < a.value ? b : a));
  const high = known.reduce((a, b) => (b.value > a.value ? b : a));
  return { low, high };
}

/** The rates that a measure compares. */
const RATES: Record<FairnessMeasure, readonly Rate[]> = {
  demographic_parity_difference: ['selectionRate'],
  demographic_parity_ratio: ['selectionRate'],
  equalized_odds_difference: ['truePositiveRate', 'falsePositiveRate'],
  equalized_odds_ratio: ['truePositiveRate', 'falsePositiveRate'],
  accuracy_difference: ['accuracy'],
  mean_prediction_difference: ['meanPrediction'],
  mean_absolute_error_difference: ['meanAbsoluteError'],
};

/** Groups that lack a rate of the measure, and their rows. */
function withoutRate(groups: readonly Rates[], measure: FairnessMeasure): { groups: number; rows: number } {
  const without = groups.filter((group) => RATES[measure].some((rate) => group[rate] === null));
  return { groups: without.length, rows: without.reduce((sum, { rows }) => sum + rows, 0) };
}

/** The measures of a task that can be had. */
function measuresOf(groups: readonly Rates[], task: Task): Map<FairnessMeasure, Measured> {
  const measures = new Map<FairnessMeasure, Measured>();
  for (const measure of FAIRNESS_MEASURES[task]) {
    const measured = compared(groups, RATES[measure], isRatio(measure));
    if (measured) measures.set(measure, measured);
  }
  return measures;
}

function compared(groups: readonly Rates[], rates: readonly Rate[], ratio: boolean): Measured | undefined {
  const measured = rates.flatMap((rate) => {
    const ends = extremesOf(groups, rate);
    if (ends === undefined) return [];
    const { low, high } = ends;
    // Fairlearn: nothing by nothing says nothing, and counts as equal.
    const value = !ratio ? high.value - low.value : high.value === 0 ? 1 : low.value / high.value;
    return [{ value, low: low.name, high: high.name }];
  });
  // One of two rates that cannot be compared could hide the difference.
  if (measured.length < rates.length) return undefined;
  return measured.reduce((a, b) => ((ratio ? b.value < a.value : b.value > a.value) ? b : a));
}

/**
 * Percentile intervals over samples of the rows.
 *
 * @param whole rates of all rows
 */
function intervalsOf(
  column: CodedColumn,
  codes: readonly number[],
  whole: readonly Rates[],
  answered: Answered,
  { resamples, confidence, seed }: FairnessOptions,
): Partial<Record<FairnessMeasure, Interval>> {
  const rows = column.codes.length;
  const samples = Math.min(resamples, Math.floor(MOST_DRAWN / rows));
  if (samples < LEAST_SAMPLES || codes.length < 2) return {};
  const alike = new Map(
    FAIRNESS_MEASURES[answered.task].map((measure) => [measure, withoutRate(whole, measure).groups]),
  );
  const seen = new Map<FairnessMeasure, number[]>();
  const counts = new Uint16Array(rows);
  for (let sample = 0; sample < samples; sample++) {
    drawSample(counts, seed, sample);
    const groups = ratesOf(column, codes, answered, counts);
    for (const [name, { value }] of measuresOf(groups, answered.task)) {
      // Without a group that counts, the groups that are left lie closer together.
      if (withoutRate(groups, name).groups > (alike.get(name) ?? 0)) continue;
      const values = seen.get(name) ?? [];
      values.push(value);
      seen.set(name, values);
    }
  }
  return Object.fromEntries(
    [...seen]
      .filter(([, values]) => isDefined(values.length, samples))
      .map(([name, values]) => [name, between(Float64Array.from(values), (1 - confidence) / 2)]),
  );
}
