import { fork } from 'node:child_process';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { type Judgement, judgement } from '../../contracts/reports.ts';
import { ownScript } from '../processes/own-script.ts';
import { JUDGES, type JudgeAnswer, type JudgeName, type JudgeQuestion } from './judge-job.ts';

/** Up to so many answers are judged at once, those of all bootstrap samples together: that takes less than the start of a process. */
const MOST_AT_ONCE = 50_000;
const MOST_SAMPLED_AT_ONCE = 2_000_000;

const plots = z.array(z.strictObject({ name: z.string(), title: z.string(), svg: z.string() }));

const isSmall = ({ answers, bootstrap }: JudgeQuestion): boolean =>
  answers.length <= MOST_AT_ONCE && answers.length * (bootstrap?.resamples ?? 0) <= MOST_SAMPLED_AT_ONCE;

/**
 * Metrics of answers, with intervals where they are asked for, without holding the event loop: many of them are judged in a process of their own, as sorting
 * millions takes longer than a heartbeat may be late.
 *
 * @param signal aborting kills the process
 * @throws PerennialError `StageFailed` where the answers cannot be judged; retryable where the process ends without a word
 * @example const { metrics } = await judged({ problem, labels, answers }, frame.signal);
 */
export async function judged(question: JudgeQuestion, signal?: AbortSignal): Promise<Judgement> {
  return isSmall(question)
    ? JUDGES.metrics(question)
    : judgement.parse(await inProcess('metrics', question, signal));
}

/** {@link judged} for the plots that fit the task, as SVG. */
export async function judgedPlots(
  question: JudgeQuestion,
  signal?: AbortSignal,
): Promise<z.infer<typeof plots>> {
  return isSmall(question) ? JUDGES.plots(question) : plots.parse(await inProcess('plots', question, signal));
}

async function inProcess(name: JudgeName, question: JudgeQuestion, signal?: AbortSignal): Promise<unknown> {
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
      else reject(new PerennialError('StageFailed', `The ${name} cannot be computed: ${answer.failed}`));
    });
    const settle = (problem: string): void => {
      signal?.removeEventListener('abort', kill);
      // After an answer this changes nothing.
      reject(
        signal?.aborted
          ? signal.reason
          : new PerennialError('StageFailed', `The process that computes the ${name} ${problem}.`, true),
      );
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code} and no answer`),
    );
    child.send({ name, question }, (error) => {
      if (error) settle('could not be asked');
      if (error) kill();
    });
  });
}
