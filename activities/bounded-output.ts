import { PerennialError } from '../contracts/errors.ts';
import { type BoundedStage, inKib, jsonBytes, MAX_OUTPUT_BYTES } from '../contracts/payload-limits.ts';

/** What makes an output large, and how it becomes smaller. */
const REMEDIES: Readonly<Record<BoundedStage, string>> = {
  ingest:
    'names of columns make most of it: leave columns out of data.sql and of the sources, or shorten their names',
  validate: 'names of columns make most of it: leave columns out of data.sql, or shorten their names',
  protect:
    'names of columns and what was found in them make most of it: leave columns out of data.sql, or shorten their names',
  split:
    'names of columns and of classes make most of it: leave columns out of data.sql, or give classes short names there',
  prepare:
    'notes about columns and folds make most of it: name the columns that the model needs in columns.features, or use fewer training.crossValidation.folds',
  evaluate:
    'names of features, slices and groups make most of it: name the columns that the model needs in columns.features, or give slices and their values shorter names',
};

/**
 * The output of a stage, where it can travel through Temporal with all others; see contracts/payload-limits.ts.
 *
 * @throws PerennialError `ColumnInvalid` with size, limit and remedy
 */
export function bounded<O>(stage: BoundedStage, output: O): O {
  const bytes = jsonBytes(output);
  const most = MAX_OUTPUT_BYTES[stage];
  if (bytes <= most) return output;
  throw new PerennialError(
    'ColumnInvalid',
    `what stage ${stage} hands on takes ${inKib(bytes)}, at most ${inKib(most)} travel; ${REMEDIES[stage]}`,
  );
}
