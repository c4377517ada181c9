import { fork } from 'node:child_process';
import { PerennialError } from '../../contracts/errors.ts';
import { ownScript } from '../processes/own-script.ts';
import type { JudgeAnswer, JudgeJob } from './judge-job.ts';

/**
 * Does a job in a process of its own.
 *
 * @param what is computed, in the plural, for messages
 * @param signal aborting kills the process
 * @throws PerennialError `StageFailed`, retryable where the process ends without a word
 */
export async function doneAside(job: JudgeJob, what: string, signal?: AbortSignal): Promise<unknown> {
  signal?.throwIfAborted();
  const { path, execArgv } = ownScript(import.meta.url, './judge-process.ts');
  const { PATH, HOME, TMPDIR } = process.env;
  return new Promise((resolve, reject) => {
    const child = fork(path, [], {
      execArgv,
      env: { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) },
      // Arrays go as memory, not as text.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const kill = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    child.once('message', (answer: JudgeAnswer) => {
      if ('judged' in answer) resolve(answer.judged);
      else reject(new PerennialError('StageFailed', `The ${what} cannot be computed: ${answer.failed}`));
    });
    const settle = (problem: string): void => {
      signal?.removeEventListener('abort', kill);
      // After an answer this changes nothing.
      reject(
        signal?.aborted
          ? signal.reason
          : new PerennialError('StageFailed', `The process that computes the ${what} ${problem}.`, true),
      );
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code} and no answer`),
    );
    child.send(job, (error) => {
      if (error) settle('could not be asked');
      if (error) kill();
    });
  });
}
