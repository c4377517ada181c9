import { join } from 'node:path';
import type {
  BacktestActivities,
  BacktestModel,
  JudgedWindow,
  WatchedSpec,
} from '../../contracts/backtest-activities.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { referenceProfile } from '../../contracts/monitoring-reference.ts';
import { qualityVerdicts } from '../../domain/monitoring/quality-verdicts.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { knownRows, qualityOf, readLabelled } from '../../lib/monitoring/labelled-rows.ts';
import { windowReportOf } from '../../lib/monitoring/window-report.ts';
import { LOG_COLUMNS_OF } from '../../lib/monitoring/window-statistics.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { problemOf } from '../monitoring/watched-version.ts';

type Observe = Parameters<BacktestActivities['observeBacktest']>[0];
type Judge = Parameters<BacktestActivities['judgeBacktest']>[0];

const moment = (at: string): string => `TIMESTAMP ${quoteLiteral(at.replace('Z', ''))}`;
const within = (path: string, from: string, before: string): string =>
  `(SELECT * FROM read_parquet(${quoteLiteral(path)}) WHERE time >= ${moment(from)} AND time < ${moment(before)})`;

/** What a monitor would have said at the end of a window, by what was known then. */
export async function observeBacktest(
  deps: ActivityDependencies,
  { spec, model, window, labelled }: Observe,
  frame: ActivityFrame,
): ReturnType<BacktestActivities['observeBacktest']> {
  const store = (await deps.store()).within(await frame.scratch());
  const path = await store.path(model.scored);
  const truth = labelled && (await store.path(labelled.model.scored));
  const reference = referenceProfile.parse(await store.json(model.reference));
  return overFiles(frame, truth === null ? [path] : [path, truth], async (database) => {
    const report = await windowReportOf(database, {
      endpoint: spec.deployment.endpoint,
      window,
      labelledWindow: labelled?.window ?? null,
      versions: {},
      labelledVersion: labelled?.model.name ?? null,
      current: within(path, window.from, window.before),
      labelled:
        labelled && truth !== null ? within(truth, labelled.window.from, labelled.window.before) : null,
      // The detector has seen all errors of its model; those of the window say whether there is a change in it.
      errors: labelled && truth !== null ? within(truth, labelled.model.name, labelled.window.before) : null,
      reference,
      monitoring: spec.monitoring,
      problem: problemOf(model.model, spec),
      operations: null,
      skew: null,
      detector: null,
      counters: {},
      seed: spec.training.seed,
      signal: frame.signal,
    });
    // Recorded rows say nothing of servers.
    return { verdicts: report.verdicts.filter(({ check }) => check !== 'skew' && check !== 'operations') };
  });
}

/** How a model did in each of some windows, by all the truth. */
export async function judgeBacktest(
  deps: ActivityDependencies,
  { spec, model, windows }: Judge,
  frame: ActivityFrame,
): Promise<{ windows: JudgedWindow[] }> {
  const store = (await deps.store()).within(await frame.scratch());
  const path = await store.path(model.scored);
  const { quality } = referenceProfile.parse(await store.json(model.reference));
  return overFiles(frame, [path], async (database) => {
    const judged: JudgedWindow[] = [];
    for (const window of windows)
      judged.push(await judgedWindow(database, path, { spec, model, window, quality }));
    return { windows: judged };
  });
}

async function judgedWindow(
  database: Database,
  path: string,
  {
    spec,
    model,
    window,
    quality: referenceQuality,
  }: { spec: WatchedSpec; model: BacktestModel; window: ObservedWindow; quality: JudgedWindow['quality'] },
): Promise<JudgedWindow> {
  const problem = problemOf(model.model, spec);
  const rows = await readLabelled(
    database,
    { relation: within(path, window.from, window.before), columnOf: LOG_COLUMNS_OF.outputOf },
    problem,
  );
  const known = knownRows(rows, problem.task);
  const metrics = qualityOf(problem, known);
  const labels = known.labels.length;
  const verdicts = qualityVerdicts(spec.monitoring, {
    quality: { rows: rows.rows, labels, metrics, intervals: {} },
    referenceQuality,
    slices: [],
  });
  return { rows: rows.rows, labels, quality: metrics, bad: badOf(verdicts) };
}

/** `null` where nothing could be judged. */
function badOf(verdicts: ReturnType<typeof qualityVerdicts>): boolean | null {
  if (verdicts.some(({ state }) => state === 'breached')) return true;
  return verdicts.some(({ state }) => state === 'ok') ? false : null;
}

/** A database that can read these files alone: conditions of slices are people's SQL. */
async function overFiles<T>(
  frame: ActivityFrame,
  paths: readonly string[],
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const spill = join(await frame.scratch(), 'spill');
  const database = await Database.create({
    tempDir: spill,
    memoryLimit: frame.duckdbMemory,
    onlyPaths: [...paths, spill],
  });
  const stop = (): void => database.interrupt();
  frame.signal.addEventListener('abort', stop);
  try {
    return await work(database);
  } finally {
    frame.signal.removeEventListener('abort', stop);
    database.close();
  }
}
