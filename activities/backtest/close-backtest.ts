import type { BacktestActivities } from '../../contracts/backtest-activities.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { backtestPage } from '../../lib/report/backtest-page.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<BacktestActivities['closeBacktest']>[0];

/** Metrics of a policy that MLflow shows beside each other. */
const MOST_METRICS = 900;

/** Writes what was found: into the store, and into the MLflow run, which it closes. */
export async function closeBacktest(
  deps: ActivityDependencies,
  { request, spec, tracking: { runId }, policies, advice }: Question,
): ReturnType<BacktestActivities['closeBacktest']> {
  const store = await deps.store();
  const mlflow = deps.mlflow();
  const found = {
    pipeline: spec.name,
    from: request.from,
    to: request.to,
    labelDelay: spec.monitoring.groundTruthDelay ?? null,
    metric: spec.evaluation.metric,
    policies,
    advice,
  };
  const report = await store.putJson(found);
  const page = await store.putBytes(await backtestPage(found), MEDIA_TYPES.html);
  for (const { policy, steps, quality, runs, badWindows } of policies) {
    const metrics = steps.flatMap(({ window, quality: own }) => {
      const value = own[spec.evaluation.metric];
      const timestamp = Date.parse(window.before);
      return value === undefined
        ? []
        : [{ key: `${policy}.${spec.evaluation.metric}`, value, timestamp, step: window.index }];
    });
    const at = { timestamp: Date.parse(request.to), step: 0 };
    const mean = quality[spec.evaluation.metric];
    await mlflow.runs.logBatch({
      runId,
      metrics: [
        ...metrics.slice(-MOST_METRICS),
        ...(mean === undefined
          ? []
          : [{ key: `${policy}.mean_${spec.evaluation.metric}`, value: mean, ...at }]),
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
  return { report, page };
}
