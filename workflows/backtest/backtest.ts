import { continueAsNew, defineQuery, setHandler, workflowInfo } from '@temporalio/workflow';
import { type BacktestRequest, type BacktestResult, backtestInput } from '../../contracts/backtest.ts';
import type { BacktestPlan } from '../../contracts/backtest-activities.ts';
import { QUERIES } from '../../contracts/names.ts';
import * as activities from '../activities.ts';
import { parseInput } from '../parse.ts';
import { BacktestModels, type CarriedModels } from './models.ts';
import { PolicyTrack } from './policy.ts';
import { ReplayProgress } from './progress.ts';

/** What one run of the workflow hands to the next. */
interface CarriedOver {
  /** When the first of them began, ISO 8601; each run's own start is another. */
  began: string;
  models: CarriedModels;
  tracks: PolicyTrack['carriedOver'][];
}

/**
 * Replays recorded data in time order under several policies of retraining, by the rules of the live workflows, and says
 * what each of them would have brought. Policies share models and measurements; windows and trainings go to the workers
 * in parallel. Nothing is registered, deployed or told. What is measured and decided goes from activity to activity
 * through the store; where the history becomes long, it continues as new.
 *
 * @param argument see `backtestInput` in contracts/backtest.ts
 * @param carriedOver of the run before; never given by a person
 * @throws ApplicationFailure with a code of contracts/errors.ts
 */
export async function backtest(argument: unknown, carriedOver?: CarriedOver): Promise<BacktestResult> {
  const request = parseInput(backtestInput, argument, 'the argument of workflow backtest');
  const { workflowId, runId, firstExecutionRunId, runStartTime } = workflowInfo();
  const began = carriedOver?.began ?? runStartTime.toISOString();
  const progress = new ReplayProgress(
    request.policies.map(({ name }) => name),
    began,
  );
  setHandler(defineQuery(QUERIES.progress), () => progress.shown);
  const plan = await activities.planBacktest({ request, run: { workflowId, runId: firstExecutionRunId } });
  progress.windows = plan.windows;
  const models = new BacktestModels(plan, request, { workflowId, runId }, carriedOver?.models);
  await models.data();
  progress.stage = 'training the first model';
  const first = await models.first();
  progress.stage = 'replaying';
  const tracks = request.policies.map(
    ({ name }, index) =>
      new PolicyTrack(
        { name, index, settings: plan.settings, first: first.model },
        models,
        progress.of(index),
        carriedOver?.tracks[index],
      ),
  );
  const isFull = (): boolean => workflowInfo().continueAsNewSuggested;
  await Promise.all(tracks.map((track) => track.goOn(isFull)));
  if (tracks.some((track) => !track.isThrough)) {
    const slowest = Math.min(...tracks.map(({ through }) => Date.parse(through)));
    return continueAsNew<typeof backtest>(argument, {
      began,
      models: await models.carriedOver(slowest),
      tracks: tracks.map((track) => track.carriedOver),
    });
  }
  progress.stage = 'writing the report';
  return resultOf(request, plan, first.failed, await Promise.all(tracks.map((track) => track.judged())));
}

async function resultOf(
  { from, to }: BacktestRequest,
  { spec, settings, tracking }: BacktestPlan,
  firstModelFailed: string[],
  outcomes: Awaited<ReturnType<PolicyTrack['judged']>>[],
): Promise<BacktestResult> {
  const found = await activities.closeBacktest({ settings, from, to, firstModelFailed, tracking, outcomes });
  return {
    pipeline: spec.name,
    from,
    to,
    labelDelay: spec.monitoring.groundTruthDelay ?? null,
    metric: spec.evaluation.metric,
    firstModelFailed,
    ...found,
    runId: tracking.runId,
    url: tracking.url,
  };
}
