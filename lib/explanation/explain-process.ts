/** The program of an explaining process (see `explain-aside.ts`): takes one job over IPC, answers, leaves. */
import { PerennialError } from '../../contracts/errors.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { explain } from './explain.ts';
import { type ExplainAnswer, explainJob } from './explain-job.ts';

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', async (message) => {
  const answer: ExplainAnswer = await Promise.resolve(message)
    .then((job) => explain(explainJob.parse(job)))
    .then(
      (explained) => ({ explained }),
      (error: unknown) => ({
        failed:
          error instanceof PerennialError
            ? error.message
            : withoutValues(error instanceof Error ? error.message : String(error)).slice(0, 300),
        code: error instanceof PerennialError ? error.code : 'StageFailed',
        retryable: error instanceof PerennialError && error.retryable,
      }),
    );
  process.send?.(answer, () => process.disconnect?.());
});
