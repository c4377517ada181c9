import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { durationMs } from '../contracts/durations.ts';
import { resourceTaskQueue } from '../contracts/names.ts';
import { type Candidate, presetOf } from '../contracts/spec/candidates.ts';
import type { Parameters } from '../contracts/spec/search.ts';
import { resourceOf } from '../contracts/spec/training.ts';
import type {
  ChosenTrial,
  TrainingInput,
  TrialData,
  TrialInput,
  TrialProblem,
} from '../contracts/training-activities.ts';
import { type TrialName, type TrialOutcome, trialLabel } from '../contracts/trials.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import type { PlannedTrial, RatedTrial } from '../domain/search/search.ts';
import { foreignActivity, judgeRemoteTrial, openRemoteTrial, trainTrial } from './activities.ts';
import { TRIAL_GRACE_MS } from './policies.ts';

/** Trains trials by activities: on the split, or on one fold after the other. */
export class Trials {
  readonly problem: TrialProblem;
  /** Chosen trials on the split, by their labels: a trial may be chosen twice. */
  readonly #onSplit = new Map<string, Promise<TrialOutcome>>();

  constructor(private readonly input: TrainingInput) {
    const { split, task } = input;
    const { classNames, positiveClass, baseline, sensitive } = split;
    this.problem = { task, classNames, positiveClass, baseline, sensitive };
  }

  /** @returns what each pair of training and validation rows gave; the last one may have been stopped at a rung */
  async train(trial: PlannedTrial): Promise<TrialOutcome[]> {
    const prepared = preparedFor(this.input.prepared, presetOf(trial.plan));
    if (!this.input.training.crossValidation)
      return [await this.#one(trial, trial.plan, null, prepared, trial)];
    const outcomes: TrialOutcome[] = [];
    for (const [fold, data] of prepared.folds.entries()) {
      const outcome = await this.#one(trial, trial.plan, fold, data, trial);
      outcomes.push(outcome);
      if (outcome.state === 'stopped') break;
    }
    return outcomes;
  }

  /** A trial that was chosen; with cross-validation it is trained on the split now, once. */
  async chosen(trial: RatedTrial): Promise<ChosenTrial> {
    const candidate = this.#candidateOf(trial);
    const features = presetOf(candidate);
    const { folds } = preparedFor(this.input.prepared, features);
    const label = trialLabel(trial);
    const outcome = this.#onSplit.get(label) ?? this.#split(candidate, trial);
    this.#onSplit.set(label, outcome);
    return {
      candidate: trial.candidate,
      number: trial.number,
      trainer: candidate.trainer,
      features,
      outcome: await outcome,
      folds: folds.flatMap(({ validation: { labels } }, fold) => {
        const answers = trial.outcomes[fold]?.answers;
        return answers ? [{ labels, answers }] : [];
      }),
    };
  }

  async #split(candidate: Candidate, { outcomes: [first], ...trial }: RatedTrial): Promise<TrialOutcome> {
    if (first && !this.input.training.crossValidation) return first;
    const prepared = preparedFor(this.input.prepared, presetOf(candidate));
    return this.#one(trial, candidate, null, prepared, { parameters: trial.parameters, rungs: [] });
  }

  #candidateOf({ candidate: name }: TrialName): Candidate {
    const found = this.input.candidates.find((one) => one.name === name);
    if (found) return found;
    throw ApplicationFailure.nonRetryable(`there is no candidate ${name}`, 'StageFailed');
  }

  async #one(
    { candidate, number }: TrialName,
    plan: Candidate,
    fold: number | null,
    { featureNames, train, validation }: TrialData,
    {
      parameters,
      rungs,
      maxSeconds,
    }: { parameters: Parameters; rungs: number[]; maxSeconds?: number | undefined },
  ): Promise<TrialOutcome> {
    const { training, metric, tracking, run, pipeline } = this.input;
    const { seed, threads, memory, classWeights } = training;
    const timeoutMs = durationMs(training.timeout);
    const label = `${trialLabel({ candidate, number })}${fold === null ? '' : `, fold ${fold + 1}`}`;
    const input: TrialInput = {
      trial: { candidate, number, fold },
      candidate: { ...plan, search: false },
      parameters,
      maxSeconds: Math.min(maxSeconds ?? Number.POSITIVE_INFINITY, timeoutMs / 1_000),
      // Folds are not comparable with each other: each would be held against other folds of other trials.
      rungs: fold === null ? rungs : [],
      metric,
      problem: this.problem,
      pipeline,
      training: {
        seed,
        threads,
        ...(memory === undefined ? {} : { memory }),
        ...(classWeights === undefined ? {} : { classWeights }),
      },
      data: { featureNames, train, validation },
      tracking,
      run,
    };
    if (plan.trainer === 'activity') return remoteTrial(plan, label, input, timeoutMs);
    const taskQueue =
      resourceOf(training, plan.resource).taskQueue ??
      resourceTaskQueue(workflowInfo().taskQueue, plan.resource);
    return trainTrial(label, { taskQueue, timeoutMs: timeoutMs + TRIAL_GRACE_MS })(input);
  }
}

/** A trial whose trainer is an activity of somebody's own worker, on the queue that the candidate names. */
async function remoteTrial(
  { activity, taskQueue }: Extract<Candidate, { trainer: 'activity' }>,
  label: string,
  trial: TrialInput,
  timeoutMs: number,
): Promise<TrialOutcome> {
  const { request } = await openRemoteTrial(trial);
  const begin = Date.now();
  const answer = await foreignActivity(activity, label, { taskQueue, timeoutMs })(request);
  return judgeRemoteTrial({ trial, answer, seconds: (Date.now() - begin) / 1_000 });
}
