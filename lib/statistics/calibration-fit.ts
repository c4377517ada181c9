import { PerennialError } from '../../contracts/errors.ts';
import type { Calibration, IsotonicCurve, PlattCurve } from '../../contracts/finishing.ts';
import type { CalibrationMethod } from '../../contracts/spec/training.ts';
import { fitIsotonic } from './isotonic.ts';
import { type Classes, positiveIndex } from './judge.ts';
import { fitPlatt } from './platt.ts';
import { membersOf } from './scores.ts';

/** Below so many rows an isotonic curve follows chance (the advice of scikit-learn's guide). */
const FEW_ROWS = 1_000;

/**
 * Fits the correction of a classifier's probabilities to the truth of rows that it was not trained on. Multi-class: one
 * class against the rest, as scikit-learn's `CalibratedClassifierCV` has it.
 *
 * A class that none of the rows have, or all of them, tells nothing about its probabilities: they stay as they are, and a
 * note says so.
 *
 * @param labels class indices `[n]`
 * @param answers binary: probability of the positive class `[n]`; multiclass: row-major `[n, classes]`; taken as float32,
 *   which is what the graph gives
 * @param weights how much each row counts, `[n]`; none for rows as frequent as they will be in use
 * @throws PerennialError `InputInvalid` for a regression, no rows, or another number of answers; `StageFailed` where an
 *   answer is no probability
 * @example
 * const calibration = fitCalibration('platt', problem, labels, values);
 * const { onnx } = composeModel(preprocess, model, { ...options, calibration });
 */
export function fitCalibration(
  method: Exclude<CalibrationMethod, 'none'>,
  classes: Classes,
  labels: Int32Array,
  answers: Float32Array | Float64Array,
  weights?: Float32Array,
): Calibration {
  const { task, classNames } = classes;
  if (task === 'regression') throw invalid('A regression has no probabilities to calibrate.');
  const columns = task === 'binary' ? [positiveIndex(classes)] : classNames.map((_, index) => index);
  const rows = labels.length;
  if (rows === 0) throw invalid('A calibration needs rows.');
  if (answers.length !== rows * columns.length || (weights && weights.length !== rows))
    throw invalid(
      `${rows} labels need ${rows * columns.length} answers${weights ? ` and ${rows} weights` : ''}, not ${answers.length}${weights ? ` and ${weights.length}` : ''}.`,
    );
  const notes: string[] = [];
  if (method === 'isotonic' && rows < FEW_ROWS)
    notes.push(
      `Fitted on ${rows} rows: an isotonic curve of fewer than ${FEW_ROWS} follows chance; use platt.`,
    );
  const fitted = <T>(curveOf: (...args: Parameters<typeof fitPlatt>) => T, identity: T): T[] =>
    columns.map((label, column) => {
      const outcomes = membersOf(label, labels);
      const probabilities = columnOf(answers, column, columns.length);
      if (haveBoth(outcomes, weights)) return curveOf(outcomes, probabilities, weights);
      notes.push(
        `Class "${classNames[label]}" has none of the rows, or all: its probabilities stay as they are.`,
      );
      return identity;
    });
  if (method === 'isotonic')
    return { method, curves: fitted<IsotonicCurve>(fitIsotonic, { x: [0, 1], y: [0, 1] }), notes };
  const curves = fitted<PlattCurve>(fitPlatt, { a: 1, b: 0 });
  for (const [column, { a }] of curves.entries())
    if (a <= 0)
      notes.push(
        `The curve of class "${classNames[columns[column] ?? 0]}" falls: on these rows a higher probability meant less.`,
      );
  return { method, curves, notes };
}

/** One column of row-major answers, each rounded to float32. */
function columnOf(answers: Float32Array | Float64Array, column: number, columns: number): Float64Array {
  const probabilities = new Float64Array(answers.length / columns);
  for (let row = 0; row < probabilities.length; row++) {
    const probability = Math.fround(answers[row * columns + column] ?? 0);
    if (!(probability >= 0 && probability <= 1))
      throw new PerennialError(
        'StageFailed',
        'A calibration needs probabilities: an answer of the model is no number from 0 to 1.',
      );
    probabilities[row] = probability;
  }
  return probabilities;
}

function haveBoth(outcomes: Uint8Array, weights: Float32Array | undefined): boolean {
  const counts = (wanted: number) =>
    outcomes.some((outcome, row) => outcome === wanted && (weights?.[row] ?? 1) > 0);
  return counts(0) && counts(1);
}

function invalid(message: string): PerennialError {
  return new PerennialError('InputInvalid', message);
}
