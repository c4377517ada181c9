/** The program that rolls segments beside a server (see `roller.ts`): one job, one answer. */
import { constants, setPriority } from 'node:os';
import { PerennialError } from '../../contracts/errors.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { removeDeadScratch } from '../scratch.ts';
import { compactPredictions } from './compaction.ts';
import { removeExpiredPredictions } from './retention.ts';
import { rollSegments } from './roll.ts';
import type { RollAnswer, RollJob } from './roll-job.ts';

// Whoever serves goes first.
setPriority(constants.priority.PRIORITY_LOW);

const ending = new AbortController();
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => ending.abort());

async function work({ config, expire }: RollJob): Promise<RollAnswer> {
  // What a killed roll left there is not encrypted.
  await removeDeadScratch(config.dataDir);
  const rolled = await rollSegments(config, ending.signal);
  const expired = expire ? await removeExpiredPredictions(config, Date.now()) : 0;
  if (expire)
    await compactPredictions(config, { asOf: Date.now(), signal: ending.signal }).catch((error: unknown) => {
      // Tomorrow is soon enough.
      if (!(error instanceof PerennialError && error.retryable)) throw error;
    });
  return { done: true, ...rolled, expired };
}

// Whoever asked is gone: nothing is left behind for that.
process.once('disconnect', () => ending.abort());
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
    .then((answer) => {
      if (process.connected) process.send?.(answer, () => process.exit());
      else process.exit();
    });
});
