import type { TrackingActivities } from '../contracts/activities.ts';
import type { Tracking } from '../contracts/run.ts';
import { RowCatalogue } from '../lib/erasure/row-catalogue.ts';
import { RunManifests } from '../lib/store/run-manifests.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { findOrCreateRun } from './mlflow-runs.ts';

/** Longest parameter that MLflow keeps. */
const PARAM_LIMIT = 6_000;
/** Characters of a dataset's schema, somewhat below what MLflow keeps. */
const SCHEMA_LIMIT = 60_000;

/** Page of a run in the MLflow UI. */
export const runUrl = (ui: string, experimentId: string, runId: string): string =>
  `${ui}/#/experiments/${experimentId}/runs/${runId}`;

/** A spec's settings as flat MLflow parameters; lists and long texts are left to the artifact `spec.json`. */
function flatParams(spec: Record<string, unknown>): Record<string, string> {
  const params: Record<string, string> = {};
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value) || value === null || value === undefined) return;
    if (typeof value === 'object')
      for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path}.${key}` : key);
    else if (String(value).length <= PARAM_LIMIT && path.length <= 250 && String(value) !== '')
      params[path] = String(value);
  };
  walk(spec, '');
  return params;
}

/** Activities that open, fill and close the MLflow run of a lifecycle run. */
export function runTracking(
  deps: ActivityDependencies,
): Pick<TrackingActivities, 'openTracking' | 'recordData' | 'recordArtifacts' | 'closeTracking'> {
  return {
    openTracking: framed(deps.config, async ({ spec, code, startedBy, run }): Promise<Tracking> => {
      const mlflow = deps.mlflow();
      const experimentId = await mlflow.experiments.getOrCreate({ name: spec.name });
      const { runId } = await findOrCreateRun(mlflow, experimentId, `${run.workflowId}/${run.runId}`, {
        name: run.workflowId,
        tags: {
          'perennial.pipeline': spec.name,
          'perennial.workflow_id': run.workflowId,
          'perennial.workflow_run_id': run.runId,
          ...(startedBy ? { 'perennial.started_by': startedBy } : {}),
          ...(code.commit
            ? { 'mlflow.source.git.commit': code.commit, 'perennial.git.dirty': String(code.dirty) }
            : {}),
          ...(spec.description ? { 'mlflow.note.content': spec.description.slice(0, 4_000) } : {}),
        },
      });
      const { task, split, features, training } = spec;
      await mlflow.runs.logBatch({
        runId,
        params: flatParams({
          task,
          target: spec.columns.target,
          split,
          features: { ...features, columns: {} },
          training,
        }),
      });
      await mlflow.artifacts.upload({
        runId,
        path: 'spec.json',
        body: JSON.stringify(spec, null, 2),
        contentType: 'application/json',
      });
      await mlflow.artifacts.upload({
        runId,
        path: 'environment.json',
        body: JSON.stringify(environment(), null, 2),
        contentType: 'application/json',
      });
      return { experimentId, runId, url: runUrl(deps.config.mlflowUi, experimentId, runId) };
    }),

    recordData: framed(deps.config, async ({ tracking, spec, ingest, protect, split }) => {
      const { runId } = tracking;
      const digest = (sha256: string): string => sha256.slice(0, 32);
      const sources = ingest.sources.map((source) => ({
        dataset: {
          name: source.name,
          digest: digest(source.snapshot.artifact.sha256),
          sourceType: source.kind,
          source: JSON.stringify({
            uri: source.origin,
            sha256: source.sourceSha256,
            snapshot: source.snapshot.artifact.uri,
          }),
          schema: datasetSchema(source.snapshot.columns),
          profile: JSON.stringify({ num_rows: source.snapshot.rows }),
        },
        tags: { 'mlflow.data.context': 'source' },
      }));
      const parts = (['train', 'validation', 'test'] as const).map((part) => ({
        dataset: {
          name: `${spec.name}-${part}`,
          digest: digest(split[part].artifact.sha256),
          sourceType: 'perennial',
          source: JSON.stringify({ uri: split[part].artifact.uri, data: ingest.digest }),
          schema: datasetSchema(split.columns),
          profile: JSON.stringify({ num_rows: split[part].rows }),
        },
        tags: { 'mlflow.data.context': part },
      }));
      const mlflow = deps.mlflow();
      await mlflow.runs.logInputs({ runId, datasets: [...sources, ...parts] });
      const { findings, actions, anonymity, warnings } = protect;
      await mlflow.artifacts.upload({
        runId,
        path: 'privacy/report.json',
        body: JSON.stringify({ findings, actions, anonymity, warnings }, null, 2),
        contentType: 'application/json',
      });
    }),

    recordArtifacts: framed(deps.config, async ({ tracking, artifacts }) => {
      const store = await deps.store();
      const catalogue = new RowCatalogue(store.documents);
      for (const { path, artifact } of artifacts) {
        // First: a copy that an erasure does not know of would keep the rows of people that it shows.
        await catalogue.recordCopy(artifact, { runId: tracking.runId, path });
        await deps.mlflow().artifacts.upload({
          runId: tracking.runId,
          path,
          body: await store.bytes(artifact),
          contentType: artifact.mediaType,
        });
      }
    }),

    closeTracking: framed(deps.config, async ({ tracking, run, status, outcome, message, artifacts }) => {
      // First: without it the garbage collector would take what this run refers to for nobody's, whatever MLflow says.
      const { documents } = await deps.store();
      await new RunManifests(documents).write({
        ...run,
        outcome,
        endedAt: new Date().toISOString(),
        artifacts,
      });
      const mlflow = deps.mlflow();
      const { runId } = tracking;
      await mlflow.runs.logBatch({
        runId,
        tags: { 'perennial.outcome': outcome, 'perennial.message': message.slice(0, 4_000) },
      });
      await mlflow.runs.finish({ runId, status });
      if (status === 'FINISHED') return;
      // Candidates that were being trained when the run ended do not stay "running" for ever.
      for await (const child of mlflow.runs.search({
        experimentIds: [tracking.experimentId],
        filter: `tags.\`mlflow.parentRunId\` = '${runId}' AND attributes.status = 'RUNNING'`,
      }))
        await mlflow.runs.finish({ runId: child.info.runId, status });
    }),
  };
}

/** MLflow's schema of a table. What does not fit into its limit is left out, column by column. */
export function datasetSchema(columns: readonly { name: string; type: string }[]): string {
  const fields: string[] = [];
  let length = 0;
  for (const { name, type } of columns) {
    const field = JSON.stringify({ name, type: mlflowType(type), required: false });
    length += field.length + 1;
    if (length > SCHEMA_LIMIT) break;
    fields.push(field);
  }
  return `{"mlflow_colspec":[${fields.join(',')}]}`;
}

function mlflowType(sqlType: string): string {
  if (/^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/.test(sqlType)) return 'double';
  if (sqlType === 'BOOLEAN') return 'boolean';
  return /^(DATE|TIMESTAMP)/.test(sqlType) ? 'datetime' : 'string';
}

/** What the run ran on; no host names, no variables, no user. */
const environment = (): Record<string, string> => ({
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
});
