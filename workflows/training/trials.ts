import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { durationMs } from '../../contracts/durations.ts';
import { resourceTaskQueue } from '../../contracts/names.ts';
import { type Candidate, presetOf } from '../../contracts/spec/candidates.ts';
import type { Parameters } from '../../contracts/spec/search.ts';
import { resourceOf } from '../../contracts/spec/training.ts';
import type {
  ChosenTrial,
  TrainingInput,
  TrialData,
  TrialInput,
  TrialProblem,
} from '../../contracts/training-activities.ts';
import { type TrialName, type TrialOutcome, trialLabel } from '../../contracts/trials.ts';
import { preparedFor } from '../../domain/prepared-features.ts';
import type { PlannedTrial, RatedTrial } from '../../domain/search/search.ts';
import { foreignActivity, judgeRemoteTrial, openRemoteTrial, trainTrial } from '../activities.ts';
import { TRIAL_GRACE_MS } from '../policies.ts';

/** What a fold may train although the time of its trial is used up: without it the others would count for nothing. */
const LEAST_FOLD_S = 0.1;
/** What a chosen trial may train on the split, at the least, after its folds. */
const LEAST_SPLIT_S = 10;

/** Trains trials by activities: on the split, or on one fold after the other. */
export class Trials {
  readonly problem: TrialProblem;
  /** Chosen trials on the split, by their labels: a trial may be chosen twice. */
  readonly #onSplit = new Map<string, Promise<TrialOutcome>>();
  /** What was trained on the split after its folds. */
  readonly again: { candidate: string; seconds: number }[] = [];

  constructor(private readonly input: TrainingInput) {
    const { split, task } = input;
    const { classNames, positiveClass, baseline, sensitive } = split;
    this.problem = { task, classNames, positiveClass, baseline, sensitive };
  }

  /** @returns what each pair of training and validation rows gave */
  async train(trial: PlannedTrial): Promise<TrialOutcome[]> {
    const { plan, parameters, rungs } = trial;
    const prepared = preparedFor(this.input.prepared, presetOf(plan));
    const most = Math.min(trial.maxSeconds ?? Number.POSITIVE_INFINITY, this.#timeoutS);
    if (!this.input.training.crossValidation)
      return [await this.#one(trial, plan, null, prepared, { parameters, rungs, maxSeconds: most })];
    const end = Date.now() + most * 1_000;
    const outcomes: TrialOutcome[] = [];
    for (const [fold, data] of prepared.folds.entries()) {
      // Those that are quick leave their time to the others.
      const share = (end - Date.now()) / 1_000 / (prepared.folds.length - fold);
      const maxSeconds = Math.max(LEAST_FOLD_S, share);
      // Folds are not comparable with each other at a rung: each would be held against other folds of other trials.
      outcomes.push(await this.#one(trial, plan, fold, data, { parameters, rungs: [], maxSeconds }));
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

  async #split(candidate: Candidate, { outcomes, ...trial }: RatedTrial): Promise<TrialOutcome> {
    const [first] = outcomes;
    const { crossValidation, budget } = this.input.training;
    if (first && !crossValidation) return first;
    const prepared = preparedFor(this.input.prepared, presetOf(candidate));
    const limited = budget.time !== undefined || budget.cost !== undefined;
    // The split has more training rows than a fold, hardly twice as many.
    const ofFolds = limited ? 2 * Math.max(...outcomes.map(({ seconds }) => seconds)) : this.#timeoutS;
    const maxSeconds = Math.min(Math.max(LEAST_SPLIT_S, ofFolds), this.#timeoutS);
    const { parameters } = trial;
    const outcome = await this.#one(trial, candidate, null, prepared, { parameters, rungs: [], maxSeconds });
    this.again.push({ candidate: candidate.name, seconds: outcome.seconds });
    return outcome;
  }

  /** The longest that one trial may train, folds and all. */
  get #timeoutS(): number {
    return durationMs(this.input.training.timeout) / 1_000;
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
    { parameters, rungs, maxSeconds }: { parameters: Parameters; rungs: number[]; maxSeconds: number },
  ): Promise<TrialOutcome> {
    const { training, metric, tracking, run, pipeline } = this.input;
    const { seed, threads, memory, classWeights } = training;
    const label = `${trialLabel({ candidate, number })}${fold === null ? '' : `, fold ${fold + 1}`}`;
    const input: TrialInput = {
      trial: { candidate, number, fold },
      candidate: { ...plan, search: false },
      parameters,
      maxSeconds,
      rungs,
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
    const timeoutMs = Math.ceil(maxSeconds * 1_000) + TRIAL_GRACE_MS;
    if (plan.trainer === 'activity') return remoteTrial(plan, label, input, timeoutMs);
    const taskQueue =
      resourceOf(training, plan.resource).taskQueue ??
      resourceTaskQueue(workflowInfo().taskQueue, plan.resource);
    return trainTrial(label, { taskQueue, timeoutMs })(input);
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
