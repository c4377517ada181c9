/** The program of a judge (see `judge-aside.ts`): takes one question over IPC, answers, leaves. */
import { JUDGES, type JudgeName, type JudgeQuestion } from './judge-job.ts';

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', async ({ name, question }: { name: JudgeName; question: JudgeQuestion }) => {
  const answer = await JUDGES[name](question);
  process.send?.(answer, () => process.disconnect?.());
});
