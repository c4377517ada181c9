import type { Judgement } from '../../contracts/reports.ts';
import { bootstrapIntervals, pairedIntervals } from '../statistics/bootstrap.ts';
import { type Problem, scoresOf } from '../statistics/judge.ts';

/** What is asked of a judge. Arrays as in {@link scoresOf}. */
export interface JudgeQuestion {
  problem: Problem;
  labels: Int32Array | Float32Array;
  answers: Float64Array;
  /** Left out: no intervals; with a challenger those of the difference. */
  bootstrap?: { confidence: number; resamples: number; seed: number };
  /** Answers of another model for the same rows, that is held against this one. */
  challenger?: Float64Array;
}

/** What judges do, in the process of whoever calls. */
export const JUDGES = {
  metrics: async ({ problem, labels, answers, bootstrap, challenger }: JudgeQuestion): Promise<Judgement> => {
    const scores = scoresOf(problem, labels, answers);
    const metrics = scores.metrics();
    if (!bootstrap) return { metrics, intervals: {}, difference: {} };
    if (!challenger)
      return { metrics, intervals: await bootstrapIntervals(scores, bootstrap), difference: {} };
    const difference = await pairedIntervals(scoresOf(problem, labels, challenger), scores, bootstrap);
    return { metrics, intervals: {}, difference };
  },
  // The charts are loaded only where they are drawn.
  plots: async ({ problem, labels, answers }: JudgeQuestion) =>
    (await import('../charts/evaluation-plots.ts')).evaluationPlots(problem, labels, answers),
};
export type JudgeName = keyof typeof JUDGES;

/** What a judge in a process of its own says: the answer, or why there is none. */
export type JudgeAnswer = { judged: unknown } | { failed: string };
