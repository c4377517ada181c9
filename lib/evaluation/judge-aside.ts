import { availableParallelism } from 'node:os';
import { z } from 'zod';
import {
  type EvaluationDetails,
  evaluationDetails,
  fairnessResult,
  slicesResult,
} from '../../contracts/evaluation-report.ts';
import { type Judgement, metricValues } from '../../contracts/reports.ts';
import type { SampledValues } from '../statistics/bootstrap.ts';
import { doneAside } from './aside.ts';
import { JUDGES, type JudgeQuestion, judgementOf, samplesOf } from './judge-job.ts';
import { judgeParts, type PartsAnswer, type PartsQuestion } from './parts.ts';
import { type ProbeAnswer, type ProbeQuestion, probeAnswer } from './probe-contract.ts';

/** Up to so many answers are judged at once, those of all bootstrap samples together: that takes less than the start of a process. */
const MOST_AT_ONCE = 50_000;
const MOST_SAMPLED_AT_ONCE = 2_000_000;
/** Answers that slices and groups look at at once, all together. */
const MOST_LOOKED_AT = 10_000;
/** Samples are drawn by so many processes at the most: each gets all answers. */
const MOST_PROCESSES = 4;

const plots = z.array(z.strictObject({ name: z.string(), title: z.string(), svg: z.string() }));
const sampledValues = z.record(z.string(), z.instanceof(Float64Array));
const sampled = z.strictObject({ metrics: metricValues, values: sampledValues, shares: sampledValues });
const parts = z.strictObject({ slices: slicesResult, fairness: z.array(fairnessResult) });

const isSmall = (question: JudgeQuestion): boolean =>
  question.answers.length <= MOST_AT_ONCE &&
  question.answers.length * samplesOf(question) <= MOST_SAMPLED_AT_ONCE;

/**
 * Metrics of answers, with intervals where they are asked for, without holding the event loop: many of them are judged
 * in processes of their own, as sorting millions takes longer than a heartbeat may be late. The samples are shared among
 * the cores; each has a seed of its own, so that the result does not depend on how many there are.
 *
 * @param signal aborting kills the processes
 * @throws PerennialError `StageFailed` where the answers cannot be judged; retryable where a process ends without a word
 * @example const { metrics } = await judged({ problem, labels, answers }, frame.signal);
 */
export async function judged(question: JudgeQuestion, signal?: AbortSignal): Promise<Judgement> {
  if (isSmall(question)) return JUDGES.metrics(question);
  const samples = samplesOf(question);
  const workers = Math.max(1, Math.min(availableParallelism(), MOST_PROCESSES, samples));
  const bounds = Array.from({ length: workers + 1 }, (_, i) => Math.round((samples * i) / workers));
  // One that fails ends the others.
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const drawn = bounds.slice(0, -1).map(async (from, i) => {
    const range = { from, before: bounds[i + 1] ?? samples };
    return sampled.parse(
      await doneAside({ name: 'sampled', question: { ...question, range } }, 'metrics', either),
    );
  });
  const all = await Promise.all(drawn).catch(async (error: unknown) => {
    failed.abort(error);
    await Promise.allSettled(drawn);
    throw error;
  });
  return judgementOf(question, {
    metrics: all[0]?.metrics ?? {},
    values: joined(all.map(({ values }) => values)),
    shares: joined(all.map(({ shares }) => shares)),
  });
}

function joined(shares: readonly SampledValues[]): SampledValues {
  const names = new Set(shares.flatMap((share) => Object.keys(share)));
  return Object.fromEntries(
    [...names].map((name) => {
      const values = shares.map((share) => share[name] ?? new Float64Array());
      const whole = new Float64Array(values.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const value of values) {
        whole.set(value, at);
        at += value.length;
      }
      return [name, whole];
    }),
  );
}

/** {@link judged} for the plots that fit the task, as SVG. */
export async function judgedPlots(
  question: JudgeQuestion,
  signal?: AbortSignal,
): Promise<z.infer<typeof plots>> {
  return isSmall(question)
    ? JUDGES.plots(question)
    : plots.parse(await doneAside({ name: 'plots', question }, 'plots', signal));
}

/** {@link judged} for what stands behind the metrics. */
export async function judgedDetails(
  question: JudgeQuestion,
  signal?: AbortSignal,
): Promise<EvaluationDetails> {
  return isSmall(question)
    ? JUDGES.details(question)
    : evaluationDetails.parse(await doneAside({ name: 'details', question }, 'details', signal));
}

/** {@link judged} for slices and groups. */
export async function judgedParts(question: PartsQuestion, signal?: AbortSignal): Promise<PartsAnswer> {
  const { answers, slices, fairness } = question;
  const looks = 1 + slices.length + (fairness?.columns.length ?? 0);
  if (answers.length * looks <= MOST_LOOKED_AT) return judgeParts(question);
  return parts.parse(await doneAside({ name: 'parts', question }, 'slices', signal));
}

/** Robustness and latency, always in a process of its own: ONNX Runtime holds the event loop while it runs. */
export async function probed(question: ProbeQuestion, signal?: AbortSignal): Promise<ProbeAnswer> {
  return probeAnswer.parse(await doneAside({ name: 'probe', question }, 'robustness', signal));
}
