import { Cron } from 'croner';
import type { BacktestPolicy } from '../../contracts/backtest.ts';
import type { BacktestActivities, BacktestPlan, WatchedSpec } from '../../contracts/backtest-activities.ts';
import type { BacktestSettings } from '../../contracts/backtest-artifacts.ts';
import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { describeIssues } from '../../contracts/issues.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { endedWindows } from '../../domain/monitoring/windows.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { findOrCreateRun } from '../mlflow-runs.ts';
import { runUrl } from '../tracking.ts';

type Question = Parameters<BacktestActivities['planBacktest']>[0];

/** Each is measured under each policy. */
const MOST_WINDOWS = 1_000;

/**
 * The windows and schedules of a back-test, and its MLflow run.
 *
 * @throws PerennialError `SpecInvalid` where the spec lacks what a back-test goes by; `InputInvalid`
 */
export async function planBacktest(
  deps: ActivityDependencies,
  { request, run }: Question,
): Promise<BacktestPlan> {
  const told = request.spec ?? (request.specRef && (await (await deps.store()).json(request.specRef)));
  const spec = watchedSpec(parsedSpec(told));
  const windows = windowsOf(spec, request.from, request.to);
  const settings: BacktestSettings = {
    spec,
    windows,
    policies: request.policies.map((policy) => ({
      policy,
      scheduled: scheduledWindows(policy, request, windows),
    })),
    delayWindows: delayOf(spec, windows),
  };
  const mlflow = deps.mlflow();
  const experimentId = await mlflow.experiments.getOrCreate({ name: spec.name });
  const { runId } = await findOrCreateRun(mlflow, experimentId, `${run.workflowId}/${run.runId}`, {
    name: run.workflowId,
    tags: {
      'perennial.pipeline': spec.name,
      'perennial.backtest': request.policies.map(({ name }) => name).join(','),
      'perennial.workflow_id': run.workflowId,
      'perennial.workflow_run_id': run.runId,
      ...(request.startedBy ? { 'perennial.started_by': request.startedBy } : {}),
    },
  });
  const tracking = { experimentId, runId, url: runUrl(deps.config.mlflowUi, experimentId, runId) };
  const stored = await (await deps.store()).putJson(settings);
  return { spec, settings: stored, windows: windows.length, tracking };
}

function parsedSpec(told: unknown): PipelineSpec {
  const parsed = pipelineSpec.safeParse(told);
  if (parsed.success) return parsed.data;
  throw new PerennialError('SpecInvalid', `the pipeline spec: ${describeIssues(parsed.error, told)}`);
}

function watchedSpec(spec: PipelineSpec): WatchedSpec {
  const { monitoring } = spec;
  if (!monitoring)
    throw new PerennialError(
      'SpecInvalid',
      'monitoring: a back-test measures windows as the spec says, and it has no monitoring; write monitoring: {} for the defaults',
    );
  if (spec.columns.timestamp === undefined)
    throw new PerennialError('SpecInvalid', 'columns.timestamp: a back-test goes by the time of the rows');
  if (monitoring.quality.length === 0)
    throw new PerennialError(
      'SpecInvalid',
      'monitoring.quality: a back-test has to know which quality is too bad; write a limit such as { metric: roc_auc, worseBy: 0.05 }',
    );
  return { ...spec, monitoring };
}

function windowsOf({ monitoring: { window } }: WatchedSpec, from: string, to: string): ObservedWindow[] {
  if (typeof window !== 'string')
    throw new PerennialError(
      'SpecInvalid',
      'monitoring.window: a back-test goes by windows of time, such as 7d or month',
    );
  const windows = endedWindows(window, { next: from, index: 0 }, to, MOST_WINDOWS + 1);
  if (windows.length === 0)
    throw new PerennialError('InputInvalid', `from ${from} to ${to} no window of ${window} begins and ends`);
  if (windows.length > MOST_WINDOWS)
    throw new PerennialError(
      'InputInvalid',
      `from ${from} to ${to} are more than ${MOST_WINDOWS} windows of ${window}; take longer windows, or less time`,
    );
  return windows;
}

/** The windows in which, or at whose end, a policy's schedule starts a run: several within one are one. */
function scheduledWindows(
  { name, retraining }: BacktestPolicy,
  { from, to }: Pick<Question['request'], 'from' | 'to'>,
  windows: readonly ObservedWindow[],
): number[] {
  const expression = retraining?.on.schedule;
  if (expression === undefined) return [];
  let cron: Cron;
  try {
    cron = new Cron(expression, { timezone: 'UTC', paused: true });
  } catch (error) {
    throw new PerennialError(
      'SpecInvalid',
      `policy ${name}: retraining.on.schedule ${expression} is no cron expression (${error instanceof Error ? error.message : 'error'})`,
    );
  }
  const found: number[] = [];
  let done = Date.parse(from);
  for (const { index, before } of windows) {
    const next = cron.nextRun(new Date(done));
    // A run at the very end would bring nothing.
    if (!next || next.getTime() >= Date.parse(to)) break;
    if (next.getTime() > Date.parse(before)) continue;
    found.push(index);
    done = Date.parse(before);
  }
  return found;
}

/** How many windows later the truth about one is known. */
function delayOf(
  { monitoring: { groundTruthDelay } }: WatchedSpec,
  windows: readonly ObservedWindow[],
): number {
  const [first] = windows;
  if (groundTruthDelay === undefined || !first) return 0;
  const known = Date.parse(first.before) + durationMs(groundTruthDelay);
  const index = windows.findIndex(({ before }) => Date.parse(before) >= known);
  return index < 0 ? windows.length : index;
}
