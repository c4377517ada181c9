import type { Judgement } from '../../contracts/reports.ts';
import {
  boundsOf,
  intervalsOf,
  resamplesOf,
  type SampledValues,
  sampledDifferences,
  sampledMetrics,
} from '../statistics/bootstrap.ts';
import { detailsOf } from '../statistics/details.ts';
import { type Problem, scoresOf } from '../statistics/judge.ts';
import type { Scores } from '../statistics/scores.ts';
import { judgeParts, type PartsQuestion } from './parts.ts';
import type { ProbeQuestion } from './probe-contract.ts';

/** What is asked of a judge. Arrays as in {@link scoresOf}. */
export interface JudgeQuestion {
  problem: Problem;
  labels: Int32Array | Float32Array;
  answers: Float64Array;
  /** Binary: from which probability on the answer is the positive class; default 0.5. */
  threshold?: number;
  /**
   * Left out: no intervals; with a challenger those of the difference. `bounds`: confidences of one-sided bounds;
   * `shares`: the same of the difference as a share of these answers' metrics, with a challenger.
   */
  bootstrap?: {
    confidence: number;
    resamples: number;
    seed: number;
    bounds?: readonly number[];
    shares?: readonly number[];
  };
  /** Another model's answers for the same rows, that are held against these ones, and its threshold. */
  challenger?: { answers: Float64Array; threshold?: number };
}

/** Samples of a question that this process draws. */
export interface SampledQuestion extends JudgeQuestion {
  range: { from: number; before: number };
}

/** Values of samples, and the metrics of the rows as they are. */
export interface Sampled {
  metrics: Judgement['metrics'];
  values: SampledValues;
  /** Differences as shares, where they were asked for. */
  shares: SampledValues;
}

/** The samples that a question asks for. */
export const samplesOf = ({ labels, bootstrap }: JudgeQuestion): number =>
  bootstrap === undefined ? 0 : resamplesOf(labels.length, bootstrap.resamples, bootstrap.bounds);

/** A judgement from the values of all samples. */
export function judgementOf(question: JudgeQuestion, { metrics, values, shares }: Sampled): Judgement {
  const { bootstrap, challenger } = question;
  if (!bootstrap) return { metrics, intervals: {}, difference: {}, bounds: [] };
  const drawn = samplesOf(question);
  const intervals = intervalsOf(values, bootstrap.confidence, drawn);
  const boundsIn = (samples: SampledValues, confidences: readonly number[] = []) =>
    confidences.flatMap((confidence) =>
      Object.entries(boundsOf(samples, confidence, drawn)).map(([metric, { low, high }]) => ({
        metric: metric as keyof typeof metrics,
        confidence,
        low,
        high,
      })),
    );
  const bounds = [
    ...boundsIn(values, bootstrap.bounds),
    ...boundsIn(shares, bootstrap.shares).map((bound) => ({ ...bound, share: true as const })),
  ];
  return {
    metrics,
    bounds,
    ...(challenger ? { intervals: {}, difference: intervals } : { intervals, difference: {} }),
  };
}

async function sampled({ range, ...question }: SampledQuestion): Promise<Sampled> {
  const { problem, labels, answers, threshold, challenger, bootstrap } = question;
  const scores: Scores = scoresOf(problem, labels, answers, threshold);
  const metrics = scores.metrics();
  if (!bootstrap) return { metrics, values: {}, shares: {} };
  const drawn = { ...range, seed: bootstrap.seed };
  if (!challenger) return { metrics, values: await sampledMetrics(scores, drawn), shares: {} };
  const other = scoresOf(problem, labels, challenger.answers, challenger.threshold);
  const { shares = [] } = bootstrap;
  return {
    metrics,
    values: await sampledDifferences(other, scores, drawn),
    shares: shares.length > 0 ? await sampledDifferences(other, scores, drawn, 'share') : {},
  };
}

/** What judges do, in the process of whoever calls. */
export const JUDGES = {
  metrics: async (question: JudgeQuestion): Promise<Judgement> =>
    judgementOf(question, await sampled({ ...question, range: { from: 0, before: samplesOf(question) } })),
  sampled,
  details: async ({ problem, labels, answers, threshold, bootstrap }: JudgeQuestion) =>
    detailsOf(problem, labels, answers, threshold, bootstrap),
  parts: judgeParts,
  // The charts and ONNX Runtime are loaded only where they are needed.
  plots: async ({ problem, labels, answers, threshold }: JudgeQuestion) =>
    (await import('../charts/evaluation-plots.ts')).evaluationPlots(problem, labels, answers, threshold),
  probe: async (question: ProbeQuestion) => (await import('./probe.ts')).probe(question),
};

/** What a judge in a process of its own is asked. */
export type JudgeJob =
  | { name: 'metrics' | 'details' | 'plots'; question: JudgeQuestion }
  | { name: 'sampled'; question: SampledQuestion }
  | { name: 'parts'; question: PartsQuestion }
  | { name: 'probe'; question: ProbeQuestion };

/** Does what a job asks. */
export function doJob(job: JudgeJob): Promise<unknown> {
  switch (job.name) {
    case 'sampled':
      return JUDGES.sampled(job.question);
    case 'parts':
      return JUDGES.parts(job.question);
    case 'probe':
      return JUDGES.probe(job.question);
    default:
      return JUDGES[job.name](job.question);
  }
}

/** What a judge in a process of its own says: the answer, or why there is none. */
