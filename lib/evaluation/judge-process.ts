/** The program of a judge (see `judge-aside.ts`): takes one question over IPC, answers, leaves. */
import { doJob, type JudgeAnswer, type JudgeJob } from './judge-job.ts';

const asked = async (job: JudgeJob): Promise<unknown> => doJob(job);

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', async (job: JudgeJob) => {
  const answer: JudgeAnswer = await asked(job).then(
    (judged) => ({ judged }),
    (error: unknown) => ({ failed: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(answer, () => process.disconnect?.());
});
