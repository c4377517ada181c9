import { ApplicationFailure } from '@temporalio/workflow';
import { PerennialError } from '../../contracts/errors.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { retrainingSpecOf } from '../../domain/retraining/data-window.ts';

/**
 * The spec of a retraining as of a moment.
 *
 * @throws ApplicationFailure where it has no rows to choose by: an error of its own would fail the workflow task for ever
 */
export function specAsOf(whole: PipelineSpec, asOf: string): PipelineSpec {
  try {
    return retrainingSpecOf(whole, asOf, whole.monitoring?.groundTruthDelay ?? null);
  } catch (error) {
    if (error instanceof PerennialError) throw ApplicationFailure.nonRetryable(error.message, error.code);
    throw error;
  }
}
