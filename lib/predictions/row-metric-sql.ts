import type { TruthQuestion } from '../../contracts/activities.ts';
import type { RowMetric } from '../../contracts/spec/rollout.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { probabilityNames } from '../onnx/output-names.ts';

/** Probabilities are kept so far from 0 and 1 before their logarithm is taken: one sure mistake must not be infinite. */
export const LOG_LOSS_CLIP = 1e-15;
/** Numbers beyond are no measurements; their squares would be no numbers. */
export const MOST_MAGNITUDE = 1e100;

/** What is needed to tell which class was true. */
type Classes = Pick<TruthQuestion, 'task' | 'classNames' | 'positiveClass'>;

/**
 * SQL of the metric of one row of the view `labelled`; NULL where the truth, or the answer, is not known.
 *
 * Truth is a class by its name (`label`), or by its number where classes are numbers (`value`). Of a binary task it may
 * be 1 or 0 as well, or true or false, for the positive class and the other. A label that is no class is no truth. Of a
 * regression it is the number.
 *
 * - `brier_score`: (p − y)², where p is the probability of the positive class (Brier 1950)
 * - `log_loss`: −ln p of the class that was true, p between 1e-15 and 1 − 1e-15
 * - `accuracy`: 1 where the label was the true class, else 0
 * - `mean_absolute_error`, `mean_squared_error`: |ŷ − y|, (ŷ − y)²
 *
 * @param columns that the view has; a version that never answered has none of its own
 */
export function rowMetricSql(metric: RowMetric, classes: Classes, columns: ReadonlySet<string>): string {
  const output = (name: string, type: 'DOUBLE' | 'VARCHAR'): string => {
    const column = `output_${name}`;
    return columns.has(column) ? `TRY_CAST(${quoteIdent(column)} AS ${type})` : `NULL::${type}`;
  };
  const { task } = classes;
  const error = `(${output('prediction', 'DOUBLE')} - truth_value)`;
  const positive = `(CASE WHEN ${trueClass(classes)} = ${positivePlace(classes)} THEN 1.0::DOUBLE WHEN ${trueClass(classes)} IS NOT NULL THEN 0.0::DOUBLE END)`;
  const probability = output('probability', 'DOUBLE');
  switch (metric) {
    case 'mean_absolute_error':
      return `abs(${error})`;
    case 'mean_squared_error':
      return `${error} * ${error}`;
    case 'brier_score':
      return `(${probability} - ${positive}) * (${probability} - ${positive})`;
    case 'accuracy': {
      const label = output('label', 'VARCHAR');
      return `CASE WHEN ${label} IS NULL OR ${trueClass(classes)} IS NULL THEN NULL
        WHEN ${placeOf(label, classes)} IS NOT DISTINCT FROM ${trueClass(classes)} THEN 1 ELSE 0 END`;
    }
    case 'log_loss': {
      const ofTruth =
        task === 'binary'
          ? `CASE WHEN ${positive} = 1 THEN ${probability} WHEN ${positive} = 0 THEN 1 - ${probability} END`
          : `list_value(${probabilityNames(classes.classNames)
              .map((name) => output(name, 'DOUBLE'))
              .join(', ')})[${trueClass(classes)}]`;
      // Not greatest and least, which pass over NULL.
      return `-ln(CASE WHEN (${ofTruth}) < ${LOG_LOSS_CLIP} THEN ${LOG_LOSS_CLIP}
        WHEN (${ofTruth}) > 1 - ${LOG_LOSS_CLIP} THEN 1 - ${LOG_LOSS_CLIP} ELSE (${ofTruth}) END)`;
    }
  }
}

/** The place of a text among the classes, from 1; NULL where it is none. */
const placeOf = (text: string, { classNames }: Classes): string =>
  `nullif(list_position([${classNames.map(quoteLiteral).join(', ')}]::VARCHAR[], ${text}), 0)`;

const positivePlace = ({ classNames, positiveClass }: Classes): number =>
  Math.max(1, classNames.indexOf(positiveClass ?? classNames[1] ?? '') + 1);

/** SQL of the place of the class that was true among the names of classes, from 1; NULL where it is not known. */
export function trueClass(classes: Classes): string {
  const { classNames, task } = classes;
  const numbers = classNames.map((name) => (name.trim() === '' ? Number.NaN : Number(name)));
  const byNumber = numbers.some(Number.isFinite)
    ? `nullif(list_position([${numbers.map((number) => (Number.isFinite(number) ? number : 'NULL')).join(', ')}]::DOUBLE[], truth_value), 0)`
    : 'NULL';
  const yes = yesPlace(classes);
  const truth = "lower(coalesce(truth_label, ''))";
  const byTruth =
    task === 'binary'
      ? `(CASE WHEN ${truth} = 'true' OR (truth_label IS NULL AND truth_value = 1) THEN ${yes}
          WHEN ${truth} = 'false' OR (truth_label IS NULL AND truth_value = 0) THEN ${3 - yes} END)`
      : 'NULL';
  return `(CASE WHEN truth_label IS NOT NULL THEN coalesce(${placeOf('truth_label', classes)}, ${byTruth})
    ELSE coalesce(${byNumber}, ${byTruth}) END)`;
}

/** Which class is meant by true: the one of that name, or else the positive one. */
function yesPlace(classes: Classes): number {
  const named = classes.classNames.findIndex((name) => name.toLowerCase() === 'true');
  return named >= 0 ? named + 1 : positivePlace(classes);
}
