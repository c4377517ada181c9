/** The program that rolls segments beside a server (see `roller.ts`): one job, one answer. */
import { constants, setPriority } from 'node:os';
import { PerennialError } from '../../contracts/errors.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { removeExpiredPredictions } from './retention.ts';
import { rollSegments } from './roll.ts';
import type { RollAnswer, RollJob } from './roll-job.ts';

// Whoever serves goes first.
setPriority(constants.priority.PRIORITY_LOW);

async function work({ config, expire }: RollJob): Promise<RollAnswer> {
  const rolled = await rollSegments(config);
  const expired = expire ? await removeExpiredPredictions(config, Date.now()) : 0;
  return { done: true, ...rolled, expired };
}

process.once('disconnect', () => process.exit());
process.once('message', (job) => {
  // Sent by `roller.ts` alone, over the pipe between the two.
  void work(job as RollJob)
    .catch((error: unknown): RollAnswer => {
      const known = error instanceof PerennialError;
      return {
        done: false,
        message: known
          ? error.message
          : withoutValues(error instanceof Error ? error.message : String(error)),
        retryable: known && error.retryable,
      };
    })
    .then((answer) => process.send?.(answer, () => process.disconnect?.()));
});
