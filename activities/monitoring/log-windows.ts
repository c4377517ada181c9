import { type MonitorSettings, type TrendWindow, windowReport } from '../../contracts/monitoring.ts';
import { measuresOf } from '../../domain/monitoring/measures.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { findOrCreateRun } from '../mlflow-runs.ts';
import { runUrl } from '../tracking.ts';

const AT_ONCE = 20;

/**
 * Brings MLflow up to date: of each window that it does not have the measures as metrics, with the window's index as
 * step, and the report. One run for each endpoint, in the experiment of its pipeline.
 */
export async function logWindows(
  deps: ActivityDependencies,
  { endpoint, pipeline }: MonitorSettings,
): Promise<void> {
  const store = await deps.store();
  const records = new MonitorRecords(store.documents);
  const state = await records.state(endpoint);
  const waiting = state?.trend.filter(({ window }) => window.index >= state.unlogged) ?? [];
  if (waiting.length === 0) return;
  const mlflow = deps.mlflow();
  const experimentId = await mlflow.experiments.getOrCreate({ name: pipeline });
  const { runId } = await findOrCreateRun(mlflow, experimentId, `monitor/${endpoint}`, {
    name: `monitor ${endpoint}`,
    tags: { 'perennial.pipeline': pipeline, 'perennial.monitors': endpoint },
  });
  const tracking = { runId, url: runUrl(deps.config.mlflowUi, experimentId, runId) };
  // After an outage there are many: what is logged is noted on the way.
  for (let from = 0; from < waiting.length; from += AT_ONCE) {
    const part = waiting.slice(from, from + AT_ONCE);
    for (const summary of part) await logWindow(mlflow, store, runId, summary);
    const unlogged = (part.at(-1)?.window.index ?? 0) + 1;
    await records.changeState(
      endpoint,
      (known) => known && { ...known, tracking, unlogged: Math.max(known.unlogged, unlogged) },
    );
  }
}

async function logWindow(
  mlflow: MlflowClient,
  store: ArtifactStore,
  runId: string,
  { window, report, page }: TrendWindow,
): Promise<void> {
  const timestamp = Date.parse(window.before);
  const measures = measuresOf(windowReport.parse(await store.json(report)));
  await mlflow.runs.logBatch({
    runId,
    metrics: Object.entries(measures).map(([key, value]) => ({ key, value, timestamp, step: window.index })),
  });
  for (const [artifact, name] of [
    [report, 'report.json'],
    [page, 'report.html'],
  ] as const)
    await mlflow.artifacts.upload({
      runId,
      path: `windows/${String(window.index).padStart(5, '0')}-${window.from.slice(0, 10)}/${name}`,
      body: await store.bytes(artifact),
      contentType: artifact.mediaType,
    });
}
