import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import { type Finishing, type FinishQuestion, finishing, finishingOf } from './finish-job.ts';

/** Up to so many answers are looked at at once: that takes less than the start of a process. */
const MOST_AT_ONCE = 20_000;

const finishers = new Aside(
  () => ownScript(import.meta.url, './finish-process.ts'),
  'fits calibration, threshold and stack',
);

/**
 * How trained models become the one that is served: combination, calibration and threshold, fitted to answers for rows
 * that the models were not trained on. Many rows are looked at in a process of its own.
 *
 * @param signal aborting kills that process
 * @throws PerennialError `InputInvalid` for options that cannot be
 * @example const { calibration, threshold } = await finished({ problem, labels, answers: [mine], method: 'average', training });
 */
export async function finished(question: FinishQuestion, signal?: AbortSignal): Promise<Finishing> {
  const rows = question.answers.reduce((sum, { length }) => sum + length, 0);
  return rows <= MOST_AT_ONCE
    ? finishingOf(question)
    : finishing.parse(await finishers.ask(question, signal));
}
