import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import { z } from 'zod';
import type { TrainingInput } from '../contracts/activities.ts';
import { type Candidate, candidate, presetOf } from '../contracts/spec/candidates.ts';
import { metricName } from '../contracts/spec/evaluation.ts';
import { task } from '../contracts/spec/task.ts';
import { trainingSpec } from '../contracts/spec/training.ts';
import { prepareOutput, splitOutput, type TrainedCandidate, type TrainOutput } from '../contracts/stages.ts';
import { searchProgress } from '../contracts/trials.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import type { RatedTrial } from '../domain/search/search.ts';
import { finishCandidate } from './activities.ts';
import { words } from './failure-words.ts';
import { inLanes } from './lanes.ts';
import { parseInput } from './parse.ts';
import { SearchRun } from './search-run.ts';
import { Trials } from './trials.ts';

/** Longest error of one candidate that is carried along; the whole of it stands in the history of its activity. */
const MAX_ERROR = 1_000;

const trainingInput = z.strictObject({
  candidates: z.array(candidate).min(1),
  task,
  target: z.string(),
  metric: metricName,
  training: trainingSpec,
  split: splitOutput,
  prepared: prepareOutput,
  tracking: z.strictObject({ experimentId: z.string(), runId: z.string(), url: z.string() }),
  run: z.strictObject({ workflowId: z.string(), runId: z.string() }),
  progress: searchProgress.optional(),
}) satisfies z.ZodType<TrainingInput>;

/**
 * Searches for the best model: trials of all candidates side by side, within the budget, then the models of the best
 * ones. A trial or a candidate that fails does not fail the others. Started by `lifecycle` only; goes on as new where
 * its history grows long.
 *
 * @throws ApplicationFailure `AllCandidatesFailed`, `InputInvalid`
 */
export async function training(argument: TrainingInput): Promise<TrainOutput> {
  const input = parseInput(trainingInput, argument, 'the argument of workflow training');
  const trials = new Trials(input);
  const run = new SearchRun(input, trials);
  const ended = await run.live();
  await condition(allHandlersFinished);
  if (!ended) await continueAsNew<typeof training>({ ...input, progress: run.search.progress });
  return conclude(input, run, trials);
}

/** A candidate's model, or why it has none. */
interface Finished {
  one: Candidate;
  model?: TrainedCandidate;
  error?: string;
}

/** The models of the best trials, and why others have none. */
async function conclude(input: TrainingInput, run: SearchRun, trials: Trials): Promise<TrainOutput> {
  const { search } = run;
  const finished = await inLanes(
    search.winners,
    Math.min(run.atOnce, input.training.parallelism),
    async ({ candidate: one, trial }): Promise<Finished> => {
      try {
        return { one, model: await finish(input, trials, one, trial) };
      } catch (error) {
        if (isCancellation(error)) throw error;
        return { one, error: words(error) };
      }
    },
  );
  const trained = finished.flatMap(({ model }) => (model ? [model] : []));
  const failed = input.candidates.flatMap(({ name, trainer }) => {
    if (trained.some((model) => model.name === name)) return [];
    const error = finished.find(({ one }) => one.name === name)?.error ?? search.errorOf(name);
    return [
      { name, trainer, error: (error ?? 'it was not trained before the search ended').slice(0, MAX_ERROR) },
    ];
  });
  if (trained.length === 0)
    throw ApplicationFailure.nonRetryable(
      `no candidate could be trained: ${failed.map(({ name, error }) => `${name}: ${error}`).join('; ')}`,
      'AllCandidatesFailed',
    );
  return { trained, failed, search: run.report };
}

async function finish(
  input: TrainingInput,
  trials: Trials,
  one: Candidate,
  trial: RatedTrial,
): Promise<TrainedCandidate> {
  const { training: settings, split, target, tracking } = input;
  return finishCandidate(one.name)({
    trial: { candidate: trial.candidate, number: trial.number },
    candidate: one,
    outcome: await trials.onSplit(one, trial),
    problem: trials.problem,
    target,
    training: { calibration: settings.calibration, threshold: settings.threshold },
    split: { validation: split.validation },
    prepared: preparedFor(input.prepared, presetOf(one)),
    tracking,
  });
}
