import { describe, expect, it } from 'vitest';
import type { MetricValues } from '../../contracts/reports.ts';
import { BinaryScores } from '../../lib/statistics/binary-scores.ts';
import { calibrationBins } from '../../lib/statistics/calibration.ts';
import { type Problem, scoresOf, trivialPredictions } from '../../lib/statistics/judge.ts';
import { MulticlassScores } from '../../lib/statistics/multiclass-scores.ts';
import { RegressionScores } from '../../lib/statistics/regression-scores.ts';
import { linearCongruential } from '../support/integration-random.ts';

// All expected numbers were computed once with scikit-learn 1.9.1 from the same rows: roc_auc_score,
// average_precision_score, log_loss (probabilities cut off at the epsilon of float32), brier_score_loss,
// accuracy_score, balanced_accuracy_score, precision_score, recall_score, f1_score (zero_division=0; macro over the classes that occur),
// matthews_corrcoef, root_mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, r2_score, median_absolute_error,
// mean_pinball_loss. The expected calibration error is
// not in scikit-learn; it was computed with numpy from ten bins of equal width.

function expectMetrics(found: MetricValues, expected: MetricValues): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, value] of Object.entries(expected))
    expect(found[name as keyof MetricValues], name).toBeCloseTo(value, 12);
}

const binary = (labels: number[], probabilities: number[], positive = 1): MetricValues =>
  new BinaryScores(
    Uint8Array.from(labels, (label) => (label === positive ? 1 : 0)),
    Float64Array.from(probabilities),
  ).metrics();

const MIXED = [0, 1, 1, 0, 1, 0, 0, 1];

describe('binary metrics are those of scikit-learn', () => {
  it('on scores with ties, one of them at the threshold', () => {
    const labels = [0, 0, 1, 1, 0, 1, 0, 1, 1, 0];
    const probabilities = [0.1, 0.4, 0.35, 0.8, 0.5, 0.95, 0.05, 0.5, 0.62, 0.62];
    const expected: MetricValues = {
      roc_auc: 0.8,
      average_precision: 0.8083333333333333,
      log_loss: 0.48236525923364015,
      brier_score: 0.16663,
      accuracy: 0.7,
      balanced_accuracy: 0.7,
      precision: 0.6666666666666666,
      recall: 0.8,
      f1: 0.7272727272727273,
      matthews_corrcoef: 0.408248290463863,
      expected_calibration_error: 0.169,
    };
    expectMetrics(binary(labels, probabilities), expected);
    // The same rows with the positive class at index 0.
    expectMetrics(
      binary(
        labels.map((label) => 1 - label),
        probabilities,
        0,
      ),
      expected,
    );
  });

  it('where only two scores exist', () =>
    expectMetrics(binary(MIXED, [0.3, 0.3, 0.3, 0.3, 0.7, 0.7, 0.7, 0.7]), {
      roc_auc: 0.5,
      average_precision: 0.5,
      log_loss: 0.7803238741323342,
      brier_score: 0.29,
      accuracy: 0.5,
      balanced_accuracy: 0.5,
      precision: 0.5,
      recall: 0.5,
      f1: 0.5,
      matthews_corrcoef: 0,
      expected_calibration_error: 0.2,
    }));

  it('where all predictions are the same', () =>
    expectMetrics(binary(MIXED, new Array<number>(8).fill(0.25)), {
      roc_auc: 0.5,
      average_precision: 0.5,
      log_loss: 0.8369882167858358,
      brier_score: 0.3125,
      accuracy: 0.5,
      balanced_accuracy: 0.5,
      precision: 0,
      recall: 0,
      f1: 0,
      matthews_corrcoef: 0,
      expected_calibration_error: 0.25,
    }));

  it('where probabilities are 0 and 1, right and wrong', () => {
    expect(binary([0, 1, 1, 0], [0, 1, 1, 0]).log_loss).toBeCloseTo(1.1920929665620916e-7, 13);
    const wrong = binary([0, 1, 1, 0], [1, 0, 1, 0]);
    expect(wrong.log_loss).toBeCloseTo(7.9711926360440195, 8);
    expect(wrong).toMatchObject({ roc_auc: 0.5, brier_score: 0.5, accuracy: 0.5 });
  });

  it('where only one class occurs: what is not defined is left out', () => {
    expectMetrics(binary([1, 1, 1], [0.2, 0.6, 0.9]), {
      average_precision: 1,
      log_loss: 0.7418746839526391,
      brier_score: 0.27,
      accuracy: 0.6666666666666666,
      precision: 1,
      recall: 0.6666666666666666,
      f1: 0.8,
      matthews_corrcoef: 0,
      expected_calibration_error: 0.43333333333333335,
    });
    const negative = binary([0, 0, 0], [0.2, 0.6, 0.9]);
    expect(Object.keys(negative)).not.toContain('roc_auc');
    expect(Object.keys(negative)).not.toContain('average_precision');
    expect(negative.log_loss).toBeCloseTo(1.1473397920608035, 12);
    expect(negative).toMatchObject({ precision: 0, recall: 0, f1: 0 });
  });

  it('on two thousand rows with many ties', () => {
    const uniform = linearCongruential(4_000, 1);
    const probabilities = uniform.slice(0, 2_000).map((value) => Math.round(value * 100) / 100);
    const labels = uniform.slice(2_000).map((value, row) => (value < (probabilities[row] ?? 0) ? 1 : 0));
    expect(labels.filter(Boolean)).toHaveLength(1_023);
    expectMetrics(binary(labels, probabilities), {
      roc_auc: 0.841364081599166,
      average_precision: 0.8420232763980235,
      log_loss: 0.491813073994782,
      brier_score: 0.16272455,
      accuracy: 0.753,
      balanced_accuracy: 0.7529152921895683,
      precision: 0.7595682041216879,
      recall: 0.7565982404692082,
      f1: 0.7580803134182175,
      matthews_corrcoef: 0.5057880774796932,
      expected_calibration_error: 0.025025,
    });
  });
});

const CLASSES = [0, 1, 2, 2, 1, 0, 1, 2, 0, 1, 1, 2];
const TENTHS = [
  [7, 2, 1],
  [2, 5, 3],
  [1, 2, 7],
  [3, 4, 3],
  [1, 8, 1],
  [4, 4, 2],
  [5, 3, 2],
  [2, 2, 6],
  [3, 3, 4],
  [1, 6, 3],
  [2, 6, 2],
  [0, 1, 9],
];
const SHARES = {
  roc_auc: 0.9244929453262786,
  accuracy: 0.75,
  balanced_accuracy: 0.7388888888888889,
  macro_precision: 0.7388888888888889,
  macro_recall: 0.7388888888888889,
  macro_f1: 0.7388888888888889,
  weighted_precision: 0.75,
  weighted_recall: 0.75,
  weighted_f1: 0.75,
  matthews_corrcoef: 0.6170212765957447,
};

describe('multi-class metrics are those of scikit-learn', () => {
  it('with ties between classes', () => {
    const probabilities = Float64Array.from(TENTHS.flat(), (tenth) => tenth / 10);
    expectMetrics(new MulticlassScores(Int32Array.from(CLASSES), 3, probabilities).metrics(), {
      ...SHARES,
      log_loss: 0.6496405959632817,
      brier_score: 0.35833333333333334,
      expected_calibration_error: 0.19166666666666668,
    });
  });

  it('with a class that never occurs', () => {
    const rows = TENTHS.flatMap((row) => [...row.map((tenth) => tenth * 0.09), 0.1]);
    const found = new MulticlassScores(Int32Array.from(CLASSES), 4, Float64Array.from(rows)).metrics();
    expect(found.log_loss).toBeCloseTo(0.7550011116211081, 12);
    expect(found.brier_score).toBeCloseTo(0.38975, 12);
    for (const [name, value] of Object.entries(SHARES))
      expect(found[name as keyof MetricValues], name).toBeCloseTo(value, 12);
  });
});

describe('regression metrics are those of scikit-learn', () => {
  const truth = [3, -0.5, 2, 7, 4.25];
  const predictions = [2.5, 0, 2, 8, 3];
  const regression = (y: number[], p: number[]): MetricValues =>
    new RegressionScores(Float64Array.from(y), Float64Array.from(p)).metrics();

  it('for an odd and an even number of rows', () => {
    expectMetrics(regression(truth, predictions), {
      root_mean_squared_error: 0.7826237921249264,
      mean_absolute_error: 0.65,
      mean_absolute_percentage_error: 0.32072829131652664,
      r2: 0.9002442996742671,
      median_absolute_error: 0.5,
      mean_pinball_loss: 0.325,
    });
    expectMetrics(regression(truth.slice(0, 4), predictions.slice(0, 4)), {
      root_mean_squared_error: 0.6123724356957945,
      mean_absolute_error: 0.5,
      mean_absolute_percentage_error: 0.3273809523809524,
      r2: 0.9486081370449679,
      median_absolute_error: 0.5,
      mean_pinball_loss: 0.25,
    });
  });

  it('for predictions that are all the mean', () =>
    expectMetrics(regression(truth, new Array<number>(5).fill(3.15)), {
      root_mean_squared_error: 2.4779023386727737,
      mean_absolute_error: 1.98,
      mean_absolute_percentage_error: 1.746764705882353,
      r2: 0,
      median_absolute_error: 1.15,
      mean_pinball_loss: 0.99,
    }));

  it('leaves r2 out where all rows are the same', () =>
    expect(Object.keys(regression([2, 2, 2], [1, 2, 3]))).not.toContain('r2'));
});

describe('judging', () => {
  const problem: Problem = {
    task: 'binary',
    classNames: ['no', 'yes'],
    positiveClass: 'no',
    baseline: { classShares: [0.75, 0.25], mean: null },
  };

  it('takes the positive class from the problem', () => {
    const labels = Int32Array.from([0, 0, 1]);
    const answers = Float32Array.from([0.9, 0.8, 0.1]);
    expect(scoresOf(problem, labels, answers).metrics().roc_auc).toBe(1);
    expect(scoresOf({ ...problem, positiveClass: 'yes' }, labels, answers).metrics().roc_auc).toBe(0);
  });

  it.each([
    ['logits', { ...problem }, [2.5, -1, 0.3], 'values below 0 or above 1 in 2 of 3 rows'],
    [
      'votes',
      { ...problem, task: 'multiclass' as const },
      [0.9, 0.3, 0.5, 0.5, 0, 0],
      'do not sum to 1 in 2 of 3 rows',
    ],
  ])('refuses %s of a classification', (_, asked, answers, words) => {
    expect(() => scoresOf(asked, Int32Array.of(0, 1, 1), Float64Array.from(answers))).toThrow(
      expect.objectContaining({ code: 'TrainerContract', message: expect.stringContaining(words) }),
    );
  });

  it('takes probabilities as float32 rounds them, of a thousand classes too', () => {
    const classNames = Array.from({ length: 1_000 }, (_, i) => `c${i}`);
    const scores = Float32Array.from(linearCongruential(2_000, 3), (value) => Math.exp(4 * value));
    const sums = [0, 1].map((row) =>
      scores.subarray(row * 1_000, (row + 1) * 1_000).reduce((a, b) => a + b, 0),
    );
    const answers = scores.map((value, i) => value / (sums[Math.floor(i / 1_000)] ?? 1));
    expect(scoresOf({ ...problem, task: 'multiclass', classNames }, Int32Array.of(0, 1), answers).rows).toBe(
      2,
    );
    expect(scoresOf(problem, Int32Array.of(0, 1), Float32Array.of(1.0000001, -1e-7)).rows).toBe(2);
  });

  it('knows what a trivial model says', () => {
    expect([...trivialPredictions(problem, 2)]).toEqual([0.75, 0.75]);
    expect([...trivialPredictions({ ...problem, task: 'multiclass', positiveClass: null }, 2)]).toEqual([
      0.75, 0.25, 0.75, 0.25,
    ]);
    const regression: Problem = {
      ...problem,
      task: 'regression',
      positiveClass: null,
      baseline: { classShares: [], mean: 1.5 },
    };
    expect([...trivialPredictions(regression, 3)]).toEqual([1.5, 1.5, 1.5]);
  });

  it('puts the probability 1 into the last bin of a reliability diagram', () => {
    // As calibration_curve(y, p, n_bins=10) of scikit-learn gives, except for its bounds, which are closed above.
    const bins = calibrationBins(Uint8Array.from([1, 0, 1]), Float64Array.from([1, 0, 0.95]));
    expect(bins).toEqual([
      { rows: 1, predicted: 0, observed: 0 },
      { rows: 2, predicted: 0.975, observed: 1 },
    ]);
  });
});
