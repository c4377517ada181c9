import { PerennialError } from '../../contracts/errors.ts';
import type { ChosenThreshold } from '../../contracts/finishing.ts';
import { THRESHOLD_METRICS, type ThresholdSpec } from '../../contracts/spec/training.ts';
import { type Decisions, decisionMetrics } from './decision-metrics.ts';
import { descending } from './descending.ts';
import { type Classes, positiveIndex } from './judge.ts';
import { membersOf } from './scores.ts';

/** Values that are nearer than this are the same: their formulas round differently. */
const SAME = 1e-12;

/**
 * Chooses from which probability on the label is the positive class: a stated number, the best one for a metric, or the
 * one whose decisions cost least, over all distinct probabilities in one pass.
 *
 * The threshold lies in the middle between two neighbouring probabilities and is a float32, as the graph compares float32:
 * the label of the graph is the decision that was counted here for every one of these rows. Of several that are as good
 * the one nearest to 0.5 is taken. Rows of one class only tell nothing: it is 0.5, and a note says so.
 *
 * @param labels class indices `[n]`, of rows that the model was not trained on
 * @param answers probability of the positive class `[n]`, as the model gives them (calibrated, where it is); taken as
 *   float32
 * @throws PerennialError `InputInvalid` for another number of answers or a metric that does not depend on the threshold;
 *   `StageFailed` where an answer is no probability
 * @example
 * const { threshold } = chooseThreshold({ maximize: 'f1' }, problem, labels, values);
 * const { onnx } = composeModel(preprocess, model, { ...options, threshold });
 */
export function chooseThreshold(
  spec: ThresholdSpec,
  classes: Classes,
  labels: Int32Array,
  answers: Float32Array | Float64Array,
): ChosenThreshold {
  if (typeof spec === 'number')
    return { threshold: Math.fround(spec), value: null, what: 'as the spec says', notes: [] };
  const { what, gain, value } = aimOf(spec);
  const probabilities = probabilitiesOf(answers, labels.length);
  const positive = membersOf(positiveIndex(classes), labels);
  const positives = positive.reduce((sum, outcome) => sum + outcome, 0);
  if (positives === 0 || positives === labels.length)
    return {
      threshold: 0.5,
      value: null,
      what,
      notes: [
        `All ${labels.length} rows are of one class, which tells nothing about a threshold: it is 0.5.`,
      ],
    };

  let best: { threshold: number; gain: number; decisions: Decisions } | undefined;
  const order = descending(probabilities);
  const at = (place: number): number => probabilities[order[place] ?? 0] ?? 0;
  let tp = 0;
  // Before each place: the rows before it are said to be positive, those from it on are not.
  for (let place = 0; place <= order.length; place++) {
    if (place > 0) tp += positive[order[place - 1] ?? 0] ?? 0;
    const threshold = between(place, order.length, at);
    if (threshold === undefined) continue;
    const fp = place - tp;
    const decisions = { tp, fp, fn: positives - tp, tn: labels.length - positives - fp };
    const own = gain(decisions);
    const more = best ? own - best.gain : 1;
    if (!best || more > SAME || (more >= -SAME && isNearer(threshold, best.threshold)))
      best = { threshold, gain: own, decisions };
  }
  if (!best) throw new PerennialError('StageFailed', 'No threshold could be chosen.');
  const { fp, fn, tn } = best.decisions;
  const notes: string[] = [];
  if (fn + tn === 0) notes.push('Every row is said to be of the positive class.');
  if (best.decisions.tp + fp === 0) notes.push('No row is said to be of the positive class.');
  return { threshold: best.threshold, value: value(best.gain), what, notes };
}

/** What is to be as large as possible, and how its value is told. */
function aimOf(spec: Exclude<ThresholdSpec, number>): {
  what: string;
  gain: (decisions: Decisions) => number;
  value: (gain: number) => number;
} {
  if ('cost' in spec) {
    const { falsePositive, falseNegative } = spec.cost;
    return {
      what: `the lowest cost per row, with ${falsePositive} for a false positive and ${falseNegative} for a false negative`,
      gain: ({ tp, fp, fn, tn }) => -(fp * falsePositive + fn * falseNegative) / (tp + fp + fn + tn),
      value: (gain) => 0 - gain,
    };
  }
  const metric = THRESHOLD_METRICS.find((name) => name === spec.maximize);
  if (!metric)
    throw new PerennialError(
      'InputInvalid',
      `training.threshold: ${spec.maximize} does not depend on the threshold; use one of ${THRESHOLD_METRICS.join(', ')}`,
    );
  return {
    what: `the highest ${metric}`,
    gain: (decisions) => decisionMetrics(decisions)[metric],
    value: (gain) => gain,
  };
}

/**
 * The float32 in the middle between the probabilities before and at a place of the order; 0 and 1 stand at its ends.
 * `undefined` where no threshold parts the two.
 */
function between(place: number, rows: number, at: (place: number) => number): number | undefined {
  const upper = place === 0 ? 1 : at(place - 1);
  if (place === rows) return Math.fround(upper / 2);
  const lower = at(place);
  if (lower >= upper) return undefined;
  const middle = Math.fround((lower + upper) / 2);
  return middle > lower ? middle : upper;
}

const isNearer = (threshold: number, other: number): boolean =>
  Math.abs(threshold - 0.5) < Math.abs(other - 0.5);

function probabilitiesOf(answers: Float32Array | Float64Array, rows: number): Float64Array {
  if (answers.length !== rows)
    throw new PerennialError('InputInvalid', `${rows} labels need as many answers, not ${answers.length}.`);
  return Float64Array.from(answers, (answer) => {
    if (answer >= 0 && answer <= 1) return Math.fround(answer);
    throw new PerennialError(
      'StageFailed',
      'A threshold needs probabilities: an answer of the model is no number from 0 to 1.',
    );
  });
}
