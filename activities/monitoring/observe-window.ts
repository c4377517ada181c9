import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import {
  COULD_NOT_LOOK,
  type MonitorSettings,
  type MonitorState,
  type Verdict,
  type WindowReport,
  type WindowSummary,
} from '../../contracts/monitoring.ts';
import type { DueWindow, MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { travellingVerdicts, windowState } from '../../domain/monitoring/assess.ts';
import { measuresOf } from '../../domain/monitoring/measures.ts';
import { trendOf } from '../../domain/monitoring/trend.ts';
import { worstPlot } from '../../lib/charts/alert-plot.ts';
import type { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { parityFile } from '../../lib/feature-store/parity.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { operationsOf } from '../../lib/monitoring/operations.ts';
import { ANSWERED } from '../../lib/monitoring/prediction-windows.ts';
import { countedSince } from '../../lib/monitoring/server-counters.ts';
import { servingSkew, skewFiles } from '../../lib/monitoring/skew.ts';
import { windowReportOf } from '../../lib/monitoring/window-report.ts';
import { openPredictions } from '../../lib/predictions/prediction-log.ts';
import { windowPage } from '../../lib/report/window-page/page.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { withReferenceRows } from './reference-rows.ts';
import { serverUptime } from './server-uptime.ts';
import { unwatchable } from './unwatchable-window.ts';
import { servedOf, type WatchedVersion, watchedVersion } from './watched-version.ts';
import { windowFeatures } from './window-features.ts';

type Question = Parameters<MonitoringActivities['observeWindow']>[0];

/** Rows of the log that count. */
const answeredRows = (view: string): string => `(SELECT * FROM ${view} WHERE ${ANSWERED})`;

/**
 * Looks at one window of an endpoint's log: measures it, judges it, writes the report as JSON and as a page. Nothing is
 * put on record.
 */
export async function observeWindow(
  deps: ActivityDependencies,
  question: Question,
  frame: ActivityFrame,
): Promise<WindowSummary> {
  const { settings, due, counters } = question;
  const { documents } = await deps.store();
  const state = await new MonitorRecords(documents).state(settings.endpoint);
  try {
    return await written(deps, settings, state, await lookedAt(deps, question, state, frame), frame);
  } catch (error) {
    if (!(error instanceof PerennialError) || error.retryable || frame.signal.aborted) throw error;
    // What fails for good must not keep all later windows from being looked at: it is told, and seen again by `again`.
    const { window, labelled } = due;
    const carriedOver = { detector: state?.detector ?? null, counters: counters ?? {} };
    const report = unwatchable(
      settings.monitoring,
      { endpoint: settings.endpoint, window, labelled, versions: {}, operations: null, carriedOver },
      `it could not be looked at: ${error.message}`,
    );
    const failed = couldNotLook(error.message);
    return written(deps, settings, state, { ...report, verdicts: [failed, ...report.verdicts] }, frame);
  }
}

const couldNotLook = (why: string): Verdict => ({
  check: 'operations',
  of: COULD_NOT_LOOK,
  slice: null,
  state: 'breached',
  observed: null,
  limit: null,
  interval: null,
  rows: 0,
  words: `the window could not be looked at: ${why}`.slice(0, 300),
});

async function lookedAt(
  deps: ActivityDependencies,
  question: Question,
  state: MonitorState | undefined,
  frame: ActivityFrame,
): Promise<WindowReport> {
  const { settings, due } = question;
  const { endpoint } = settings;
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir, { encrypt: true });
  const spec = pipelineSpec.parse(await store.json(settings.specRef));
  const labelled = await labelledRows(deps, settings, due, frame);
  const files = skewFiles(scratchDir);
  const log = await openPredictions(deps.config, endpoint, {
    since: new Date(due.window.from),
    until: new Date(due.window.before),
    scratchDir,
    memoryLimit: frame.duckdbMemory,
    alsoPaths: [
      files.asked,
      files.answered,
      parityFile(scratchDir),
      ...(labelled === null ? [] : [labelled]),
    ],
    signal: frame.signal,
  });
  try {
    const view = await viewOf(log.database, due, labelled);
    const report = await reportOf(deps, { ...question, state, spec }, log.database, view, frame);
    if (log.unreadable.length > 0)
      report.warnings.push(`${log.unreadable.length} files of the log cannot be read and are left out`);
    return report;
  } finally {
    await log.close();
  }
}

/** Rows of a window that are read once into the database. */
const MOST_HELD_ROWS = 200_000;

/** What of the log is looked at. */
interface View {
  current: string;
  /** `null` where no truth is due. */
  labelled: string | null;
  /** Rows by version, in the window and among those whose truth is due. */
  versions: Record<string, number>;
  labelledVersions: Record<string, number>;
}

/** Rows whose truth is due, as a file of their own where they are not those of the window. */
async function labelledRows(
  deps: ActivityDependencies,
  { endpoint }: MonitorSettings,
  { window, labelled }: DueWindow,
  frame: ActivityFrame,
): Promise<string | null> {
  if (labelled === null || (labelled.from === window.from && labelled.before === window.before)) return null;
  const scratchDir = await frame.scratch();
  const path = join(scratchDir, 'labelled.parquet');
  const log = await openPredictions(deps.config, endpoint, {
    since: new Date(labelled.from),
    until: new Date(labelled.before),
    scratchDir,
    memoryLimit: frame.duckdbMemory,
    alsoPaths: [path],
    signal: frame.signal,
  });
  try {
    await log.database.copyToParquet(`SELECT * EXCLUDE (metrics) FROM ${answeredRows('labelled')}`, path);
    return path;
  } finally {
    await log.close();
  }
}

async function viewOf(database: Database, { labelled }: DueWindow, path: string | null): Promise<View> {
  const predictions = answeredRows('predictions');
  const versions = await rowsByVersion(database, predictions);
  const rows = Object.values(versions).reduce((sum, count) => sum + count, 0);
  const isOwn = labelled !== null && path === null;
  const relation = answeredRows(isOwn ? 'labelled' : 'predictions');
  // Finding the truth of each row takes longer than all that is computed of few rows, and is needed many times.
  if (rows <= MOST_HELD_ROWS)
    await database.run(
      `CREATE TEMP TABLE held AS SELECT ${isOwn ? '* EXCLUDE (metrics)' : '*'} FROM ${relation}`,
    );
  const own = rows <= MOST_HELD_ROWS ? '(SELECT * FROM held)' : relation;
  const truth = isOwn ? own : path === null ? null : `read_parquet(${quoteLiteral(path)})`;
  return {
    current: rows <= MOST_HELD_ROWS ? own : predictions,
    labelled: truth,
    versions,
    labelledVersions: truth === null ? {} : isOwn ? versions : await rowsByVersion(database, truth),
  };
}

async function rowsByVersion(database: Database, relation: string): Promise<Record<string, number>> {
  const rows = await database.rows(
    `SELECT version, count(*) AS n FROM ${relation} GROUP BY version ORDER BY n DESC, version LIMIT 20`,
  );
  return Object.fromEntries(rows.map(({ version, n }) => [String(version), Number(n)]));
}

/** The version with the most rows; they come in that order. */
const mainOf = (versions: Record<string, number>): string | null =>
  Object.entries(versions).sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;

async function reportOf(
  deps: ActivityDependencies,
  {
    settings,
    due: { window, labelled },
    champion,
    counters,
    again,
    state,
    spec,
  }: Question & { state: MonitorState | undefined; spec: PipelineSpec },
  database: Database,
  view: View,
  frame: ActivityFrame,
): Promise<WindowReport> {
  const { endpoint } = settings;
  // Errors that it has seen already say nothing new to a detector.
  const monitoring = again ? { ...settings.monitoring, concept: false as const } : settings.monitoring;
  const version = mainOf(view.versions) ?? champion;
  const watched =
    version === null
      ? undefined
      : await watchedVersion(deps, { endpoint, version, spec, monitoring, asOf: window.before }, frame);
  const counted = countedSince(state?.counters ?? {}, counters, window.from);
  const uptime = await serverUptime(deps.client(), deps.config.taskQueue, window);
  const operations = await operationsOf(database, {
    from: window.from,
    before: window.before,
    counted,
    uptime,
    pricePerHour: monitoring.operations.pricePerHour,
  });
  const carriedOver = { detector: state?.detector ?? null, counters: counters ?? {} };
  if (!watched)
    return unwatchable(
      monitoring,
      { endpoint, window, labelled, versions: view.versions, operations, carriedOver },
      version === null ? 'no version answered' : `version ${version} was not registered by Perennial`,
    );
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const skew =
    monitoring.skew === false
      ? null
      : await servingSkew(database, {
          model: servedOf(watched.model),
          modelPath: await store.path(watched.model.onnx),
          rows: monitoring.skew.rows,
          scratchDir,
          memoryLimit: frame.duckdbMemory,
          signal: frame.signal,
        });
  const { features, warning } = await windowFeatures(
    deps,
    { spec, monitoring, model: watched.model },
    database,
    frame,
  );
  const truth = await truthOf(
    deps,
    { endpoint, spec, monitoring, asOf: window.before },
    view,
    watched,
    frame,
  );
  const report = await withReferenceRows(
    deps,
    { endpoint, version: watched.model.version, monitoring },
    frame,
    (rows) =>
      windowReportOf(database, {
        endpoint,
        window,
        labelledWindow: labelled,
        versions: view.versions,
        labelledVersion: mainOf(view.labelledVersions),
        current: view.current,
        labelled: view.labelled,
        reference: watched.reference,
        monitoring,
        problem: watched.problem,
        operations,
        skew,
        ...(features ? { features } : {}),
        detector: carriedOver.detector,
        counters: carriedOver.counters,
        seed: spec.training.seed,
        signal: frame.signal,
        ...(rows ? { referenceRows: rows } : {}),
        ...(truth ? { truth } : {}),
      }),
  );
  return warning === undefined ? report : { ...report, warnings: [...report.warnings, warning] };
}

/** The model that answered most of the rows whose truth is due, where it is another one than that of the window. */
async function truthOf(
  deps: ActivityDependencies,
  watched: Omit<Parameters<typeof watchedVersion>[1], 'version'>,
  { labelledVersions }: View,
  { model }: WatchedVersion,
  frame: ActivityFrame,
): Promise<Pick<WatchedVersion, 'problem' | 'reference'> | undefined> {
  const version = mainOf(labelledVersions);
  if (version === null || version === model.version) return undefined;
  return watchedVersion(deps, { ...watched, version }, frame);
}

async function written(
  deps: ActivityDependencies,
  { endpoint }: MonitorSettings,
  state: MonitorState | undefined,
  report: WindowReport,
  frame: ActivityFrame,
): Promise<WindowSummary> {
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: true });
  const { window, labelled, verdicts } = report;
  const stored = await store.putJson(report);
  const summary: WindowSummary = {
    window,
    labelled,
    version: mainOf(report.versions),
    rows: report.rows,
    labels: report.quality.labels,
    state: windowState(verdicts),
    verdicts: travellingVerdicts(verdicts, new Set(state?.alerts.open.map(({ key }) => key))),
    measures: measuresOf(report),
    report: stored,
    // Until there is one.
    page: stored,
    plot: null,
  };
  const earlier = (state?.trend ?? []).filter((one) => one.window.index < window.index);
  const trend = [...earlier, trendOf(summary)];
  const svg = worstPlot(trend, summary);
  frame.report({ endpoint, window: window.index });
  return {
    ...summary,
    page: await store.putBytes(windowPage(report, trend), MEDIA_TYPES.html),
    plot: svg === null ? null : await store.putBytes(svg, MEDIA_TYPES.svg),
  };
}
