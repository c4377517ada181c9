import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { Hindsight, HindsightWindow } from '../../contracts/hindsight.ts';
import type { MeasuredQuality, ObservedWindow } from '../../contracts/monitoring.ts';
import { requestSignature, type ServedModel } from '../../contracts/serving.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import { redefinedColumns, servedColumns } from '../../domain/view-definitions.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { openPredictions } from '../predictions/prediction-log.ts';
import type { PredictionConfig } from '../predictions/settings.ts';
import { scoredAside } from '../scoring/score-aside.ts';
import { knownRows, readLabelled } from './labelled-rows.ts';
import { loggedInput } from './logged-inputs.ts';
import { measuredQuality } from './measured-quality.ts';
import { ANSWERED } from './prediction-windows.ts';
import { answerNames, type WatchedProblem } from './problem.ts';

/** Rows of a window that are asked again, evenly drawn from those whose truth is known. */
const MOST_ROWS = 200_000;

/** What is asked of a version that answered. */
export interface Answering extends Pick<ServedModel, 'views'> {
  problem: WatchedProblem;
}

/** What is asked again. */
export interface HindsightOptions {
  endpoint: string;
  model: ServedModel;
  modelPath: string;
  /** What the model predicts. */
  problem: WatchedProblem;
  /** A version that answered: its threshold and its feature views may be others. */
  other(version: string): Promise<Answering>;
  metric: MetricName;
  /** The earliest first. */
  windows: readonly ObservedWindow[];
  /** An existing folder. */
  scratchDir: string;
  memoryLimit?: string | undefined;
  /** Of the intervals. */
  seed: number;
  signal?: AbortSignal | undefined;
}

/**
 * Asks a version, by its file, all that an endpoint was asked and of which the truth is known, window by window, and
 * holds its answers against the truth beside those that were given. Both are measured on the same rows: of a window in
 * which only some versions took the feature views that this one reads, as it defines them, on the rows that those
 * answered. One window is held in memory at a time, at most 200,000 of its rows.
 *
 * @param config where the prediction log lies
 * @throws PerennialError `InputInvalid` where the log lacks a feature that the version reads, or has it by other
 *   definitions only; `ModelInvalid`,
 *   `KeyringInvalid`, `StoreUnavailable`
 */
export async function hindsightOf(config: PredictionConfig, options: HindsightOptions): Promise<Hindsight> {
  const { endpoint, model, metric } = options;
  const windows: HindsightWindow[] = [];
  const changes: Hindsight['changes'] = [];
  for (const window of options.windows) {
    const found = await ofWindow(config, window, options);
    for (const [version, at] of found.since)
      if (!changes.some((one) => one.version === version)) changes.push({ version, at });
    if (found.window) windows.push(found.window);
  }
  const mean = (of: (window: HindsightWindow) => MeasuredQuality): number | null => {
    const values = windows.flatMap((window) => of(window).metrics[metric] ?? []);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return {
    endpoint,
    version: model.version,
    metric,
    windows,
    changes,
    means: { answered: mean(({ answered }) => answered), asked: mean(({ asked }) => asked) },
  };
}

interface Found {
  /** When each version answered first. */
  since: [version: string, at: string][];
  /** `null` where no truth is known. */
  window: HindsightWindow | null;
}

async function ofWindow(
  config: PredictionConfig,
  window: ObservedWindow,
  options: HindsightOptions,
): Promise<Found> {
  const folder = join(options.scratchDir, `window-${window.index}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [asked, answered] = [join(folder, 'asked.parquet'), join(folder, 'answered.parquet')];
  const log = await openPredictions(config, options.endpoint, {
    since: new Date(window.from),
    until: new Date(window.before),
    scratchDir: folder,
    memoryLimit: options.memoryLimit,
    alsoPaths: [asked, answered],
    signal: options.signal,
  });
  try {
    const counted = await log.database.rows(
      `SELECT version, count(*) AS n, min(time) AS since FROM predictions WHERE ${ANSWERED}
       GROUP BY version ORDER BY n DESC, version LIMIT 20`,
    );
    const since = counted
      .flatMap(({ version, since: at }): [string, string][] =>
        at instanceof Date ? [[String(version), at.toISOString()]] : [],
      )
      .sort(([, a], [, b]) => (a < b ? -1 : 1));
    const versions = Object.fromEntries(counted.map(({ version, n }) => [String(version), Number(n)]));
    const [main] = Object.keys(versions).sort((a, b) => (versions[b] ?? 0) - (versions[a] ?? 0));
    if (main === undefined) return { since, window: null };
    const alike = await definedAlike(Object.keys(versions), options);
    if ((await askAgain(log.database, options, { folder, asked, answered, alike })) === 0)
      return { since, window: null };
    const relation = `read_parquet(${quoteLiteral(answered)})`;
    const quality = async (problem: WatchedProblem, columnOf: (name: string) => string) => {
      const rows = await readLabelled(log.database, { relation, columnOf }, problem);
      return measuredQuality(problem, rows.rows, knownRows(rows, problem.task), options.seed);
    };
    const given = await quality((await options.other(main)).problem, (name) => `served_${name}`);
    if (given.labels === 0) return { since, window: null };
    const would = await quality(options.problem, (name) => `output_${name}`);
    return { since, window: { window, versions, answered: given, asked: would } };
  } finally {
    await log.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Rows that a version without these views answered have nothing of them: they are no missing values. */
const knowsViews = ({ views = [] }: ServedModel, logged: ReadonlySet<string>): string[] =>
  views
    .map(({ name }) => `feature_source_${name}`)
    .filter((column) => logged.has(column))
    .map((column) => `${quoteIdent(column)} IS NOT NULL`);

/**
 * The versions whose looked-up values are those that this one would have looked up; `null`: all are.
 *
 * @throws PerennialError `InputInvalid` where none is
 */
async function definedAlike(
  versions: readonly string[],
  { model, other }: Pick<HindsightOptions, 'model' | 'other'>,
): Promise<string[] | null> {
  const own = servedColumns(model);
  if (own.length === 0) return null;
  const alike: string[] = [];
  const redefined = new Set<string>();
  for (const version of versions) {
    const found = redefinedColumns(own, servedColumns(await other(version)));
    if (found.length === 0) alike.push(version);
    for (const name of found) redefined.add(name);
  }
  if (redefined.size === 0) return null;
  if (alike.length > 0) return alike;
  throw new PerennialError(
    'InputInvalid',
    `version ${model.version} defines ${[...redefined].join(', ')} otherwise than the versions that answered in this time, so that their values say nothing of it; ask about other windows`,
  );
}

/** @returns how many rows were asked */
async function askAgain(
  database: Database,
  { model, modelPath, problem, memoryLimit, signal }: HindsightOptions,
  {
    folder,
    asked,
    answered,
    alike,
  }: { folder: string; asked: string; answered: string; alike: readonly string[] | null },
): Promise<number> {
  const logged = new Set((await database.columns('labelled')).map(({ name }) => name));
  const missing = model.signature.inputs.filter(({ name }) => !logged.has(`input_${name}`));
  if (missing.length > 0)
    throw new PerennialError(
      'InputInvalid',
      `version ${model.version} reads ${missing.map(({ name }) => name).join(', ')}, of which the prediction log knows nothing in this time; it records features where deployment.serving.log.features is true, and those of a feature view where a version that takes them answered; ask about later windows`,
    );
  const given = answerNames(problem).filter((name) => logged.has(`output_${name}`));
  const passed = [...given.map((name) => `served_${name}`), 'truth_label', 'truth_value'];
  const select = [
    ...model.signature.inputs.map((input) => `${loggedInput(input)} AS ${quoteIdent(input.name)}`),
    ...given.map((name) => `${quoteIdent(`output_${name}`)} AS ${quoteIdent(`__served_${name}`)}`),
    'truth_label AS __truth_label',
    'truth_value AS __truth_value',
  ];
  const taken = [
    ANSWERED,
    ...knowsViews(model, logged),
    ...(alike ? [`version IN (${alike.map(quoteLiteral).join(', ')})`] : []),
    'truth_by IS NOT NULL',
    '(truth_label IS NOT NULL OR truth_value IS NOT NULL)',
  ];
  const rows = await database.copyToParquet(
    `SELECT ${select.join(', ')} FROM labelled
     WHERE ${taken.join(' AND ')}
     ORDER BY hash(request_id, time, row) LIMIT ${MOST_ROWS}`,
    asked,
  );
  if (rows === 0) return 0;
  await scoredAside(
    {
      plan: {
        schemaVersion: 1,
        columns: await database.columns(`read_parquet(${quoteLiteral(asked)})`),
        model: { ...model, signature: requestSignature(model) },
        passThrough: passed.map((name) => ({ column: `__${name}`, as: name })),
        entity: null,
        features: false,
        invalid: 'quarantine',
      },
      parquetPath: asked,
      rows: { from: 0, before: rows },
      offset: 0,
      modelPath,
      outPath: answered,
      spillDir: join(folder, 'spill'),
      memoryLimit,
    },
    signal,
  );
  return rows;
}
