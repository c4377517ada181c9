import { fork } from 'node:child_process';
import { PerennialError } from '../../contracts/errors.ts';
import { ownScript } from '../processes/own-script.ts';
import { type ExplainJob, type Explanation, explainAnswer } from './explain-job.ts';

/**
 * Explains a model in a child process, which leaves when this process is gone.
 *
 * @param signal aborting kills the process
 * @throws PerennialError `StageFailed` where the model cannot be explained; retryable where the process ends without a word
 * @throws the signal's reason, after an abort
 * @example const { report, plots } = await explained(job, frame.signal);
 */
export function explained(job: ExplainJob, signal?: AbortSignal): Promise<Explanation> {
  const { path, execArgv } = ownScript(import.meta.url, './explain-process.ts');
  const { PATH, HOME, TMPDIR } = process.env;
  return new Promise((resolve, reject) => {
    const child = fork(path, [], {
      execArgv,
      env: { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const kill = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted) kill();
    let answer: unknown;
    child.on('message', (message) => {
      answer = message;
    });
    const settle = (problem: string): void => {
      signal?.removeEventListener('abort', kill);
      const parsed = explainAnswer.safeParse(answer).data;
      if (signal?.aborted) reject(signal.reason);
      else if (parsed && 'explained' in parsed) resolve(parsed.explained);
      else if (parsed)
        reject(
          new PerennialError(
            'StageFailed',
            `The model cannot be explained: ${parsed.failed}`,
            parsed.retryable,
          ),
        );
      else reject(new PerennialError('StageFailed', `The process that explains the model ${problem}.`, true));
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code} and no answer`),
    );
    child.send(job, (error) => {
      if (error) kill();
    });
  });
}
