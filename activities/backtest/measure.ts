import { join } from 'node:path';
import type { BacktestStep } from '../../contracts/backtest.ts';
import type { BacktestActivities, NamedModel, WatchedSpec } from '../../contracts/backtest-activities.ts';
import {
  type BacktestModel,
  backtestModel,
  backtestSettings,
  policyPlace,
} from '../../contracts/backtest-artifacts.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { type ReferenceProfile, referenceProfile } from '../../contracts/monitoring-reference.ts';
import { outcomeOf } from '../../domain/backtest/outcome.ts';
import { qualityVerdicts } from '../../domain/monitoring/quality-verdicts.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { knownRows, qualityOf, readLabelled } from '../../lib/monitoring/labelled-rows.ts';
import { windowReportOf } from '../../lib/monitoring/window-report.ts';
import { LOG_COLUMNS_OF } from '../../lib/monitoring/window-statistics.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { problemOf } from '../monitoring/watched-version.ts';
import { stepsOf } from './advance.ts';

type Observe = Parameters<BacktestActivities['observeBacktest']>[0];
type Judge = Parameters<BacktestActivities['judgeBacktest']>[0];

/** What measuring needs of its activity. */
type Measuring = Pick<ActivityFrame, 'scratch' | 'signal' | 'duckdbMemory'>;

/** A model with what its windows are measured by, on this machine. */
interface LocalModel extends BacktestModel {
  path: string;
  profile: ReferenceProfile;
}

const moment = (at: string): string => `TIMESTAMP ${quoteLiteral(at.replace('Z', ''))}`;
const within = (path: string, from: string, before: string): string =>
  `(SELECT * FROM read_parquet(${quoteLiteral(path)}) WHERE time >= ${moment(from)} AND time < ${moment(before)})`;
/** Models may have different features. */
const together = (relations: readonly string[]): string =>
  `(${relations.map((relation) => `SELECT * FROM ${relation}`).join(' UNION ALL BY NAME ')})`;

async function localModel(store: ArtifactStore, { model }: NamedModel): Promise<LocalModel> {
  const found = backtestModel.parse(await store.json(model));
  return {
    ...found,
    path: await store.path(found.scored),
    profile: referenceProfile.parse(await store.json(found.reference)),
  };
}

/** What a monitor would have said at the end of a window, by what was known then. */
export async function observeBacktest(
  deps: Pick<ActivityDependencies, 'store'>,
  { settings, question: { window, model: serving, labelled } }: Observe,
  frame: Measuring,
): ReturnType<BacktestActivities['observeBacktest']> {
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: true });
  const { spec } = backtestSettings.parse(await store.json(settings));
  const model = await localModel(store, serving);
  const answered: (LocalModel & { from: string; before: string; since: string })[] = [];
  for (const { model: by, ...stretch } of labelled?.parts ?? [])
    answered.push({ ...(await localModel(store, by)), ...stretch });
  const trained = wantsRows(spec) ? await store.path(model.trained) : undefined;
  const paths = new Set([
    model.path,
    ...answered.map(({ path }) => path),
    ...(trained === undefined ? [] : [trained]),
  ]);
  const { verdicts } = await overFiles(frame, [...paths], async (database) => {
    const main = await mostRows(database, answered);
    const problem = problemOf(model.model, spec);
    const rows = together(answered.map(({ path, from, before }) => within(path, from, before)));
    return windowReportOf(database, {
      endpoint: spec.deployment.endpoint,
      window,
      labelledWindow: labelled?.window ?? null,
      versions: {},
      labelledVersion: main?.name ?? null,
      current: within(model.path, window.from, window.before),
      labelled: main ? rows : null,
      ...(main ? { truth: { reference: main.profile, problem: problemOf(main.model, spec) } } : {}),
      // The detector has seen the errors of this model since it serves; those of the labelled rows say whether there is a
      // change in them.
      errors: main && labelled ? together([within(main.path, main.since, labelled.window.from), rows]) : null,
      reference: model.profile,
      monitoring: spec.monitoring,
      problem,
      operations: null,
      skew: null,
      detector: null,
      counters: {},
      seed: spec.training.seed,
      signal: frame.signal,
      ...(trained === undefined
        ? {}
        : {
            referenceRows: {
              database,
              relation: `read_parquet(${quoteLiteral(trained)})`,
              columnOf: (name: string) => name,
            },
          }),
    });
  });
  return {
    // Recorded rows say nothing of servers.
    verdicts: await store.putJson(verdicts.filter(({ check }) => check !== 'skew' && check !== 'operations')),
  };
}

/** Whether the domain classifier is asked for, which needs rows of the reference. */
const wantsRows = ({ monitoring: { drift } }: WatchedSpec): boolean =>
  drift !== false && drift.classifier !== false;

/** Who answered most of the labelled rows; the earlier one where two answered as many. */
async function mostRows<T extends LocalModel & { from: string; before: string }>(
  database: Database,
  parts: readonly T[],
): Promise<T | undefined> {
  const rows = new Map<string, number>();
  for (const { name, path, from, before } of parts) {
    const { n } = await database.row(
      `SELECT count(*) AS n FROM ${within(path, from, before)}`,
      'ColumnInvalid',
      'the labelled rows of a window',
    );
    rows.set(name, (rows.get(name) ?? 0) + Number(n));
  }
  const [most] = [...rows].sort(([, a], [, b]) => b - a);
  return parts.find(({ name }) => name === most?.[0]);
}

/** How the models of a policy did in their windows, by all the truth. */
export async function judgeBacktest(
  deps: ActivityDependencies,
  { settings, policy, place }: Judge,
  frame: ActivityFrame,
): ReturnType<BacktestActivities['judgeBacktest']> {
  const store = (await deps.store()).within(await frame.scratch());
  const { spec, policies, delayWindows } = backtestSettings.parse(await store.json(settings));
  const own = policyPlace.parse(await store.json(place));
  const steps: BacktestStep[] = [];
  const told = await stepsOf(store, own);
  for (const name of new Set(told.map((step) => step.model))) {
    const ref = own.models[name];
    if (!ref) throw new RangeError(`no model of ${name} was trained`);
    const model = await localModel(store, { name, model: ref });
    await overFiles(frame, [model.path], async (database) => {
      for (const step of told.filter((one) => one.model === name))
        steps.push({ ...step, ...(await judgedWindow(database, { spec, model, window: step.window })) });
    });
  }
  steps.sort((a, b) => a.window.index - b.window.index);
  const outcome = outcomeOf(policies[policy]?.policy.name ?? '', steps, own.state.runs, delayWindows);
  return { outcome: await store.putJson(outcome) };
}

async function judgedWindow(
  database: Database,
  { spec, model, window }: { spec: WatchedSpec; model: LocalModel; window: ObservedWindow },
): Promise<Pick<BacktestStep, 'rows' | 'quality' | 'bad'>> {
  const problem = problemOf(model.model, spec);
  const rows = await readLabelled(
    database,
    { relation: within(model.path, window.from, window.before), columnOf: LOG_COLUMNS_OF.outputOf },
    problem,
  );
  const known = knownRows(rows, problem.task);
  const quality = qualityOf(problem, known);
  const labels = known.labels.length;
  const verdicts = qualityVerdicts(spec.monitoring, {
    quality: { rows: rows.rows, labels, metrics: quality, intervals: {} },
    referenceQuality: model.profile.quality,
    slices: [],
  });
  return { rows: labels, quality, bad: badOf(verdicts) };
}

/** `null` where nothing could be judged. */
function badOf(verdicts: ReturnType<typeof qualityVerdicts>): boolean | null {
  if (verdicts.some(({ state }) => state === 'breached')) return true;
  return verdicts.some(({ state }) => state === 'ok') ? false : null;
}

/** A database that can read these files alone: conditions of slices are people's SQL. */
async function overFiles<T>(
  frame: Measuring,
  paths: readonly string[],
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const spill = join(await frame.scratch(), 'spill');
  const database = await Database.create({
    tempDir: spill,
    memoryLimit: frame.duckdbMemory,
    onlyPaths: [...paths, spill],
    signal: frame.signal,
  });
  try {
    return await work(database);
  } finally {
    database.close();
  }
}
