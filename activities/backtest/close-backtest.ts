import {
  type BacktestReport,
  type PolicyOutcome,
  type PolicySummary,
  policyOutcome,
} from '../../contracts/backtest.ts';
import type { BacktestActivities } from '../../contracts/backtest-activities.ts';
import { backtestSettings } from '../../contracts/backtest-artifacts.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { ranked } from '../../domain/backtest/outcome.ts';
import { backtestPage } from '../../lib/report/backtest-page.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<BacktestActivities['closeBacktest']>[0];

/** Metrics of a policy that MLflow shows beside each other. */
const MOST_METRICS = 900;

/** Writes what was found: into the store, and into the MLflow run, which it closes. */
export async function closeBacktest(
  deps: ActivityDependencies,
  { settings, from, to, firstModelFailed, tracking: { runId }, outcomes }: Question,
): ReturnType<BacktestActivities['closeBacktest']> {
  const store = await deps.store();
  const mlflow = deps.mlflow();
  const { spec } = backtestSettings.parse(await store.json(settings));
  const { metric } = spec.evaluation;
  const came: PolicyOutcome[] = [];
  for (const outcome of outcomes) came.push(policyOutcome.parse(await store.json(outcome)));
  const { policies, advice } = ranked(came, metric);
  const found: BacktestReport = {
    pipeline: spec.name,
    from,
    to,
    labelDelay: spec.monitoring.groundTruthDelay ?? null,
    metric,
    firstModelFailed,
    policies,
    advice,
  };
  const report = await store.putJson(found);
  const page = await store.putBytes(await backtestPage(found), MEDIA_TYPES.html);
  for (const { policy, steps, quality, runs, badWindows } of policies) {
    const metrics = steps.flatMap(({ window, quality: own }) => {
      const value = own[metric];
      const timestamp = Date.parse(window.before);
      return value === undefined
        ? []
        : [{ key: `${policy}.${metric}`, value, timestamp, step: window.index }];
    });
    const at = { timestamp: Date.parse(to), step: 0 };
    const mean = quality[metric];
    await mlflow.runs.logBatch({
      runId,
      metrics: [
        ...metrics.slice(-MOST_METRICS),
        ...(mean === undefined ? [] : [{ key: `${policy}.mean_${metric}`, value: mean, ...at }]),
        { key: `${policy}.retrainings`, value: runs.length, ...at },
        { key: `${policy}.bad_windows`, value: badWindows, ...at },
      ],
    });
  }
  for (const [artifact, path] of [
    [report, 'backtest.json'],
    [page, 'backtest.html'],
  ] as const)
    await mlflow.artifacts.upload({
      runId,
      path,
      body: await store.bytes(artifact),
      contentType: artifact.mediaType,
    });
  await mlflow.runs.logBatch({ runId, tags: { 'perennial.advice': advice.slice(0, 4_000) } });
  await mlflow.runs.finish({ runId, status: 'FINISHED' });
  return { policies: policies.map(summaryOf), advice, report, page };
}

const summaryOf = ({ steps, runs, ...rest }: PolicyOutcome): PolicySummary => ({
  ...rest,
  windows: steps.length,
  retrainings: runs.length,
});
