import { isCancellation } from '@temporalio/workflow';
import type { BacktestStep } from '../../contracts/backtest.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import type { PolicyRun, PolicyTraining } from '../../domain/backtest/policy-run.ts';
import { words } from '../failure-words.ts';
import type { BacktestModels } from './models.ts';

/** Windows that are measured at the same time, as if the model stayed. */
const AHEAD = 6;

/** Goes through all windows, in the order of time. */
export async function goThrough(
  run: PolicyRun,
  windows: readonly ObservedWindow[],
  models: BacktestModels,
): Promise<void> {
  for (let i = 0; i < windows.length; i++) {
    const [question, ...later] = run.foresee(windows.slice(i, i + AHEAD));
    if (!question) return;
    for (const one of later) models.observed(one).catch(() => undefined);
    const training = run.take(question, await models.observed(question));
    if (training) await trainAnew(run, training, models);
  }
}

/** A run whose gates pass brings its model into production; one that breaks ends as one that failed. */
async function trainAnew(run: PolicyRun, training: PolicyTraining, models: BacktestModels): Promise<void> {
  const { due, champion } = training;
  const { workflowId } = due;
  try {
    const { name, gates, failed, seconds, cost } = await models.trained(due.asOf, champion);
    const [outcome, message] = gates.passed
      ? (['deployed', `the model of ${name} serves`] as const)
      : (['gates_failed', failed.join('; ')] as const);
    run.ended({ workflowId, outcome, message, version: name, seconds, cost }, name, training);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const nothing = { workflowId, version: null, seconds: 0, cost: 0 };
    run.ended({ ...nothing, outcome: 'failed', message: words(error) }, null, training);
  }
}

/** The steps with what came out later: how the model that served did, by all the truth. */
export async function judgedSteps(run: PolicyRun, models: BacktestModels): Promise<BacktestStep[]> {
  const steps: BacktestStep[] = [];
  for (const step of run.steps) {
    const judged = (await models.judged(step.model)).get(step.window.index);
    steps.push(judged ? { ...step, rows: judged.labels, quality: judged.quality, bad: judged.bad } : step);
  }
  return steps;
}
