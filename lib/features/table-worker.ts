import { fork } from 'node:child_process';
import { PerennialError } from '../../contracts/errors.ts';
import { ownScript } from '../processes/own-script.ts';
import { type TableAnswer, type TableJob, tableAnswer } from './table-job.ts';

/**
 * Runs one job in a child process, which leaves when this process is gone.
 *
 * @throws PerennialError `StageFailed`, retryable, where the process ends without an answer
 * @throws the signal's reason, after an abort, which kills the process
 */
export function runTableJob(job: TableJob, signal: AbortSignal | undefined): Promise<TableAnswer> {
  const { path, execArgv } = ownScript(import.meta.url, './table-process.ts');
  const { PATH, HOME, TMPDIR } = process.env;
  return new Promise((resolve, reject) => {
    const child = fork(path, [], {
      execArgv,
      env: { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let answer: TableAnswer | undefined;
    const kill = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted) kill();
    child.on('message', (message) => {
      answer = tableAnswer.safeParse(message).data;
    });
    const settle = (problem: string) => {
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted) reject(signal.reason);
      else if (answer) resolve(answer);
      else reject(new PerennialError('StageFailed', `The process that reads the table ${problem}.`, true));
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code}`),
    );
    child.send(job, (error) => {
      if (error) kill();
    });
  });
}
