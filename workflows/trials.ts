import { workflowInfo } from '@temporalio/workflow';
import type { TrainingInput, TrialData, TrialProblem } from '../contracts/activities.ts';
import { durationMs } from '../contracts/durations.ts';
import { resourceTaskQueue } from '../contracts/names.ts';
import { type Candidate, presetOf } from '../contracts/spec/candidates.ts';
import type { Parameters } from '../contracts/spec/search.ts';
import { resourceOf } from '../contracts/spec/training.ts';
import { type TrialName, type TrialOutcome, trialLabel } from '../contracts/trials.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import type { PlannedTrial, RatedTrial } from '../domain/search/search.ts';
import { trainTrial } from './activities.ts';
import { TRIAL_GRACE_MS } from './policies.ts';

const FOLDS: TrialData[] = [];

/** Trains trials by activities: on the split, or on one fold after the other. */
export class Trials {
  readonly problem: TrialProblem;

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
    for (const [fold, data] of FOLDS.entries()) {
      const outcome = await this.#one(trial, trial.plan, fold, data, trial);
      outcomes.push(outcome);
      if (outcome.state === 'stopped') break;
    }
    return outcomes;
  }

  /** The outcome of a trial on the split: with cross-validation it is trained now. */
  async onSplit(candidate: Candidate, trial: RatedTrial): Promise<TrialOutcome> {
    const [first] = trial.outcomes;
    if (first && !this.input.training.crossValidation) return first;
    const prepared = preparedFor(this.input.prepared, presetOf(candidate));
    return this.#one(trial, candidate, null, prepared, { parameters: trial.parameters, rungs: [] });
  }

  #one(
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
    const { training, metric, tracking, run } = this.input;
    const { seed, threads, memory, classWeights } = training;
    const timeoutMs = durationMs(training.timeout);
    const label = `${trialLabel({ candidate, number })}${fold === null ? '' : `, fold ${fold + 1}`}`;
    return trainTrial(label, {
      taskQueue:
        resourceOf(training, plan.resource).taskQueue ??
        resourceTaskQueue(workflowInfo().taskQueue, plan.resource),
      timeoutMs: timeoutMs + TRIAL_GRACE_MS,
    })({
      trial: { candidate, number, fold },
      candidate: { ...plan, search: false },
      parameters,
      maxSeconds: Math.min(maxSeconds ?? Number.POSITIVE_INFINITY, timeoutMs / 1_000),
      // Folds are not comparable with each other: each would be held against other folds of other trials.
      rungs: fold === null ? rungs : [],
      metric,
      problem: this.problem,
      training: {
        seed,
        threads,
        ...(memory === undefined ? {} : { memory }),
        ...(classWeights === undefined ? {} : { classWeights }),
      },
      data: { featureNames, train, validation },
      tracking,
      run,
    });
  }
}
