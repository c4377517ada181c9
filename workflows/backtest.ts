import { workflowInfo } from '@temporalio/workflow';
import { type BacktestResult, backtestInput } from '../contracts/backtest.ts';
import { outcomeOf, ranked } from '../domain/backtest/outcome.ts';
import { PolicyRun } from '../domain/backtest/policy-run.ts';
import * as activities from './activities.ts';
import { BacktestModels } from './backtest/models.ts';
import { goThrough, judgedSteps } from './backtest/policy.ts';
import { parseInput } from './parse.ts';

/**
 * Replays recorded data in time order under several policies of retraining, by the rules of the live workflows, and says
 * what each of them would have brought. Policies share models and measurements; windows and trainings go to the workers
 * in parallel. Nothing is registered, deployed or told.
 *
 * @param argument see `backtestInput` in contracts/backtest.ts
 * @throws ApplicationFailure with a code of contracts/errors.ts
 */
export async function backtest(argument: unknown): Promise<BacktestResult> {
  const request = parseInput(backtestInput, argument, 'the argument of workflow backtest');
  const { workflowId, runId } = workflowInfo();
  const plan = await activities.planBacktest({ request, run: { workflowId, runId } });
  const { spec, windows, tracking } = plan;
  const models = new BacktestModels(plan, { from: request.from, to: request.to }, { workflowId, runId });
  const first = await models.trained(request.from, null);
  const policies = await Promise.all(
    request.policies.map(async (policy, i) => {
      const run = new PolicyRun(policy, spec.monitoring, first.name, plan.scheduled[i] ?? []);
      await goThrough(run, windows, models);
      return outcomeOf(policy.name, await judgedSteps(run, models), run.runs, plan.delayWindows);
    }),
  );
  const found = ranked(policies, spec.evaluation.metric);
  const { report, page } = await activities.closeBacktest({ request, spec, tracking, ...found });
  return {
    pipeline: spec.name,
    from: request.from,
    to: request.to,
    labelDelay: spec.monitoring.groundTruthDelay ?? null,
    metric: spec.evaluation.metric,
    ...found,
    report,
    page,
    runId: tracking.runId,
    url: tracking.url,
  };
}
