/** The program of a judge (see `judge-aside.ts`): takes one question over IPC, answers, leaves. */
import { JUDGES, type JudgeAnswer, type JudgeName, type JudgeQuestion } from './judge-job.ts';

const asked = async (name: JudgeName, question: JudgeQuestion): Promise<unknown> => JUDGES[name](question);

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', async ({ name, question }: { name: JudgeName; question: JudgeQuestion }) => {
  const answer: JudgeAnswer = await asked(name, question).then(
    (judged) => ({ judged }),
    (error: unknown) => ({ failed: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(answer, () => process.disconnect?.());
});
