import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
} from '@temporalio/workflow';
import { z } from 'zod';
import { candidate } from '../../contracts/spec/candidates.ts';
import { metricName } from '../../contracts/spec/evaluation.ts';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { task } from '../../contracts/spec/task.ts';
import { trainingSpec } from '../../contracts/spec/training.ts';
import {
  type PrepareOutput,
  prepareOutput,
  splitOutput,
  type TrainedCandidate,
  type TrainOutput,
} from '../../contracts/stages.ts';
import type { ChosenTrial, TrainingInput } from '../../contracts/training-activities.ts';
import { searchProgress } from '../../contracts/trials.ts';
import type { RatedTrial } from '../../domain/search/search.ts';
import { finishCandidate } from '../activities.ts';
import { words } from '../failure-words.ts';
import { inLanes } from '../lanes.ts';
import { parseInput } from '../parse.ts';
import { SearchRun } from './search-run.ts';
import { Trials } from './trials.ts';

/** Longest error of one candidate that is carried along; the whole of it stands in the history of its activity. */
const MAX_ERROR = 1_000;
/** The name of the model that is made of several. */
const ENSEMBLE = 'ensemble';

const trainingInput = z.strictObject({
  candidates: z.array(candidate).min(1),
  task,
  target: z.string(),
  pipeline: z.strictObject({ name: z.string(), privacy: privacySpec }),
  metric: metricName,
  training: trainingSpec,
  split: splitOutput,
  prepared: prepareOutput,
  tracking: z.strictObject({ experimentId: z.string(), runId: z.string(), url: z.string() }),
  run: z.strictObject({ workflowId: z.string(), runId: z.string() }),
  continueAfter: z.number().int().min(1).default(500),
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
  name: string;
  model?: TrainedCandidate;
  error?: string;
}

/** The models of the best trials, and why others have none. */
async function conclude(input: TrainingInput, run: SearchRun, trials: Trials): Promise<TrainOutput> {
  const { search } = run;
  const { ensemble } = input.training;
  const best = ensemble ? search.best(ensemble.size) : [];
  const wanted = [
    ...search.winners.map(({ candidate: { name }, trial }) => ({ name, members: [trial] })),
    ...(best.length > 1 ? [{ name: ENSEMBLE, members: best }] : []),
  ];
  const finished = await inLanes(
    wanted,
    Math.min(run.atOnce, search.parallelism),
    async (one): Promise<Finished> => {
      try {
        return { name: one.name, model: await finish(input, trials, one.name, one.members) };
      } catch (error) {
        if (isCancellation(error)) throw error;
        return { name: one.name, error: words(error) };
      }
    },
  );
  for (const { candidate: name, seconds } of trials.again) search.trainedAgain(name, seconds);
  const trained = finished.flatMap(({ model }) => (model ? [model] : []));
  const names = [...input.candidates, ...(ensemble ? [{ name: ENSEMBLE, trainer: ENSEMBLE }] : [])];
  const failed = names.flatMap(({ name, trainer }) => {
    if (trained.some((model) => model.name === name)) return [];
    const error =
      finished.find((one) => one.name === name)?.error ??
      search.errorOf(name) ??
      (name === ENSEMBLE
        ? 'there were fewer than two trained trials'
        : 'it was not trained before the search ended');
    return [{ name, trainer, error: error.slice(0, MAX_ERROR) }];
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
  name: string,
  rated: readonly RatedTrial[],
): Promise<TrainedCandidate> {
  const { training: settings, split, target, tracking, run, prepared } = input;
  const { calibration, threshold, threads, ensemble } = settings;
  // One after the other: they may have to be trained on the split first.
  const members: ChosenTrial[] = [];
  for (const trial of rated) members.push(await trials.chosen(trial));
  return finishCandidate(name)({
    name,
    members,
    method: ensemble?.method ?? 'average',
    problem: trials.problem,
    target,
    training: { calibration, threshold, threads },
    split: { validation: split.validation },
    prepared: withoutFolds(prepared),
    tracking,
    run,
  });
}

/** Folds have given what they had to give. */
const withoutFolds = ({ variants }: PrepareOutput): PrepareOutput => ({
  variants: Object.fromEntries(
    Object.entries(variants).map(([preset, features]) => [preset, { ...features, folds: [], notes: [] }]),
  ),
});
