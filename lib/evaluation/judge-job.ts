import type { Judgement } from '../../contracts/reports.ts';
import { bootstrapIntervals, pairedIntervals } from '../statistics/bootstrap.ts';
import { type Problem, scoresOf } from '../statistics/judge.ts';

/** What is asked of a judge. Arrays as in {@link scoresOf}. */
export interface JudgeQuestion {
  problem: Problem;
  labels: Int32Array | Float32Array;
  answers: Float64Array;
  /** Left out: no intervals. */
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
    return {
      metrics,
      intervals: await bootstrapIntervals(scores, bootstrap),
      difference: challenger
        ? await pairedIntervals(scoresOf(problem, labels, challenger), scores, bootstrap)
        : {},
    };
  },
  // The charts are loaded only where they are drawn.
  plots: async ({ problem, labels, answers }: JudgeQuestion) =>
    (await import('../charts/evaluation-plots.ts')).evaluationPlots(problem, labels, answers),
};
export type JudgeName = keyof typeof JUDGES;
