import { PerennialError } from '../../contracts/errors.ts';
import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import type { JudgeJob } from './judge-job.ts';

const judges = new Aside(() => ownScript(import.meta.url, './judge-process.ts'), 'judges answers');

/**
 * Does a job in a process of its own.
 *
 * @param what is computed, in the plural, for messages
 * @param signal aborting kills the process
 * @throws PerennialError `StageFailed`, retryable where the process ends without a word
 */
export async function doneAside(job: JudgeJob, what: string, signal?: AbortSignal): Promise<unknown> {
  try {
    return await judges.ask(job, signal);
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    const { code, message, retryable } = error;
    throw new PerennialError(code, `The ${what} cannot be computed: ${message}`, retryable, { cause: error });
  }
}
