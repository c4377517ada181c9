import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import { type JoinAnswer, type JoinJob, joinAnswer, joinProgress } from './join-job.ts';

const joiners = new Aside(() => ownScript(import.meta.url, './join-process.ts'), 'joins feature views');

/**
 * As `joinFeatures`, in a process of its own: the pass over the events would hold the worker's event loop.
 *
 * @param signal aborting kills the process
 * @param onRows is told of the rows that are done, those of each view counted
 * @throws PerennialError `SqlInvalid`, `ColumnMissing`, `ColumnInvalid`; `StageFailed`, retryable where the process
 *   ends without a word
 */
export async function joinedAside(
  job: JoinJob,
  signal?: AbortSignal,
  onRows?: (rows: number) => void,
): Promise<JoinAnswer> {
  const answer = await joiners.ask(job, signal, (said) => {
    const told = joinProgress.safeParse(said);
    if (told.success) onRows?.(told.data.rows);
  });
  return joinAnswer.parse(answer);
}
