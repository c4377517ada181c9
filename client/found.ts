import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';

/** The answer of a workflow; where there is none of that name, words that help. */
export async function found<T>(answer: Promise<T>, id: string, what = 'run'): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError && what === 'run' && /already completed/.test(error.message))
      throw new PerennialError(
        'InputInvalid',
        `run ${id} has ended already; look at it with \`perennial status ${id}\``,
        false,
        { cause: error },
      );
    if (error instanceof WorkflowNotFoundError)
      throw new PerennialError(
        'InputInvalid',
        what === 'event log'
          ? `there is no event log ${id}; push rows to it with \`perennial ingest ${id} --file ROWS\``
          : `there is no ${what} ${id}; list them with \`perennial ${what === 'run' ? 'runs' : 'models'}\``,
        false,
        { cause: error },
      );
    throw error;
  }
}

/**
 * The answer of a workflow that may be over: its own refusal, or what `missing` says.
 *
 * @param missing words for a workflow that has ended, or that there never was
 */
export async function answerOf<T>(
  answer: Promise<T>,
  missing: (ended: boolean, cause: WorkflowNotFoundError) => PerennialError,
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause) throw error.cause;
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw missing(/already completed/.test(error.message), error);
  }
}
