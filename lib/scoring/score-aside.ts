import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import { type ScoreAnswer, type ScoreJob, scoreAnswer, scoreProgress } from './score-job.ts';

/** Enough that the cost of a batch does not count, few enough that what the model computes stays in the cache. */
const BATCH_ROWS = 4_096;

const scorers = new Aside(() => ownScript(import.meta.url, './score-process.ts'), 'scores rows');

/**
 * Scores rows in a process of its own, which keeps the model for the next chunk.
 *
 * @param signal aborting kills the process
 * @param onRows is told of the rows that have an answer
 * @throws PerennialError `ColumnInvalid`, `ModelInvalid`, `SourceUnreadable`; `StageFailed`, retryable where the
 *   process ends without a word
 */
export async function scoredAside(
  job: Omit<ScoreJob, 'batchRows' | 'threads'> & Partial<Pick<ScoreJob, 'batchRows' | 'threads'>>,
  signal?: AbortSignal,
  onRows?: (rows: number) => void,
): Promise<ScoreAnswer> {
  const question: ScoreJob = { batchRows: BATCH_ROWS, threads: 1, ...job };
  const answer = await scorers.ask(question, signal, (said) => {
    const told = scoreProgress.safeParse(said);
    if (told.success) onRows?.(told.data.rows);
  });
  return scoreAnswer.parse(answer);
}
