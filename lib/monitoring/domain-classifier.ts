import type { WindowReport } from '../../contracts/monitoring.ts';
import type { SketchedColumn } from '../../contracts/monitoring-reference.ts';
import { derivedSeed, shuffledOrder } from '../../domain/random.ts';
import type { Database } from '../duckdb/database.ts';
import { BinaryScores } from '../statistics/binary-scores.ts';
import { type BinnedFeature, boostedLogOdds } from '../statistics/boosted-trees.ts';
import { unpackNumbers } from '../statistics/packed-numbers.ts';
import { MISSING, type Rows, readValues, typesOf, UNKNOWN, type Values, valueSql } from './column-values.ts';
import type { WindowColumn } from './drifted-columns.ts';
import { askedAs } from './sketched-columns.ts';

const FOLDS = 5;
/** Bins of a number, and categories that are told apart. */
const BINS = 32;
const MOST_CATEGORIES = 60;
/** Rows of either side, evenly taken: so many, and of many features fewer. */
const MOST_ROWS = 10_000;
const MOST_VALUES = 1_000_000;
/** Of fewer rows in a fold the answer would be chance. */
const FEWEST_ROWS = 50;
const NAMED = 5;

/** Rows of the reference; they may stand in another database than those of the window. */
export interface ReferenceRows extends Rows {
  database?: Database;
}

/**
 * Whether a model can tell the rows of the window from those of the reference (Lopez-Paz and Oquab 2017): the ROC AUC of
 * boosted trees on rows that they were not trained on, over five folds. 0.5 says that it cannot. Moments are left out:
 * they tell the time; and so are texts.
 *
 * @param columns of the window
 * @returns `null` where there are too few rows on a side, or no feature to look at
 */
export async function domainClassifier(
  database: Database,
  reference: ReferenceRows,
  columns: readonly WindowColumn[],
  seed: number,
): Promise<WindowReport['classifier']> {
  const taken = columns.filter(
    ({ kind, sketch }) => kind !== 'datetime' && kind !== 'text' && sketch.rows > 0,
  );
  const own = reference.database ?? database;
  const types = await typesOf(own, reference.relation);
  const before = await readValues(
    own,
    reference.relation,
    taken.map((column) => ({
      sql: valueSql(reference, column, types),
      as: askedAs(column.kind, column.sketch, false),
    })),
  );
  const most = Math.min(MOST_ROWS, Math.floor(MOST_VALUES / Math.max(1, taken.length)));
  const [rows, others] = [taken[0]?.values.length ?? 0, before[0]?.length ?? 0];
  // As many of either side, so that no fold is lopsided.
  const side = Math.min(rows, others, most);
  if (side < FEWEST_ROWS) return null;
  const features = taken.map((column, i) =>
    binned(column, evenly(before[i] ?? new Float32Array(), side), evenly(column.values, side)),
  );
  const { auc, gains } = crossValidated(features, side, seed);
  const top = [...gains.keys()]
    .filter((i) => (gains[i] ?? 0) > 0)
    .sort((a, b) => (gains[b] ?? 0) - (gains[a] ?? 0))
    .slice(0, NAMED)
    .map((i) => taken[i]?.name ?? '');
  return { auc, rows: 2 * side, top };
}

function evenly(values: Values, most: number): Values {
  const own = values.slice(0, most);
  const step = values.length / most;
  for (let i = 0; i < own.length; i++) own[i] = values[Math.floor(i * step)] ?? 0;
  return own;
}

/** The values of the reference, then those of the window, in bins by the reference’s quantiles. */
function binned({ sketch }: SketchedColumn, before: Values, after: Values): BinnedFeature {
  const bins = new Uint8Array(before.length + after.length);
  if (sketch.of === 'categories') {
    const names = Math.min(sketch.names.length, MOST_CATEGORIES);
    const binOf = (code: number): number =>
      code === MISSING ? names + 2 : code === UNKNOWN ? names + 1 : Math.min(code, names);
    before.forEach((code, i) => {
      bins[i] = binOf(code);
    });
    after.forEach((code, i) => {
      bins[before.length + i] = binOf(code);
    });
    return { bins, count: names + 3, ordered: false };
  }
  const values = unpackNumbers(sketch.values);
  const edges = [
    ...new Set(
      Array.from({ length: BINS - 1 }, (_, i) => values[Math.floor(((i + 1) * values.length) / BINS)] ?? 0),
    ),
  ];
  const binOf = (value: number): number => {
    if (Number.isNaN(value)) return 0;
    let [low, high] = [0, edges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value < (edges[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    return low + 1;
  };
  before.forEach((value, i) => {
    bins[i] = binOf(value);
  });
  after.forEach((value, i) => {
    bins[before.length + i] = binOf(value);
  });
  return { bins, count: edges.length + 2, ordered: true };
}

/** The first half of the rows is the reference’s. */
function crossValidated(
  features: readonly BinnedFeature[],
  side: number,
  seed: number,
): { auc: number; gains: Float64Array } {
  const rows = 2 * side;
  const outcomes = Uint8Array.from({ length: rows }, (_, i) => (i < side ? 0 : 1));
  const folds = new Uint8Array(rows);
  for (const from of [0, side])
    for (const [place, row] of shuffledOrder(side, derivedSeed(seed, 'domain-classifier', from), 0).entries())
      folds[from + row] = place % FOLDS;
  const gains = new Float64Array(features.length);
  const logOdds = new Float64Array(rows);
  for (let fold = 0; fold < FOLDS; fold++) {
    const learned = folds.map((own) => (own === fold ? 0 : 1));
    const found = boostedLogOdds(features, outcomes, learned);
    for (let i = 0; i < rows; i++) if (folds[i] === fold) logOdds[i] = found.logOdds[i] ?? 0;
    for (let i = 0; i < gains.length; i++) gains[i] = (gains[i] ?? 0) + (found.gains[i] ?? 0);
  }
  const probabilities = logOdds.map((value) => 1 / (1 + Math.exp(-value)));
  return { auc: new BinaryScores(outcomes, probabilities).metrics().roc_auc ?? 0.5, gains };
}
