import { join } from 'node:path';
import type { BacktestActivities, NamedModel } from '../../contracts/backtest-activities.ts';
import { type BacktestModel, backtestModel, backtestSettings } from '../../contracts/backtest-artifacts.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import { LOG_COLUMNS_OF } from '../../lib/monitoring/window-statistics.ts';
import { scoreLabelled } from '../../lib/scoring/scored-table.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { problemOf, servedOf } from '../monitoring/watched-version.ts';
import { withDatabase } from '../with-database.ts';

type Question = Parameters<BacktestActivities['openBacktestModel']>[0];

/** Makes a model of the past ready to be measured: its answers from its time on, and what they are held against. */
export async function openBacktestModel(
  deps: ActivityDependencies,
  { settings, name, table, split, evaluate: { winner, signature }, to }: Question,
  frame: ActivityFrame,
): Promise<NamedModel> {
  const { spec } = backtestSettings.parse(await (await deps.store()).json(settings));
  const { timestamp = '', target } = spec.columns;
  const model = {
    version: name,
    onnx: winner.model,
    signature,
    task: spec.task,
    classNames: split.classNames,
    positiveClass: split.positiveClass,
    ...(winner.threshold === undefined ? {} : { threshold: winner.threshold }),
  };
  const problem = problemOf(model, spec);
  return withDatabase(frame, async (database, scratchDir) => {
    const store = (await deps.store()).within(scratchDir, { encrypt: split.sensitive });
    const later = join(scratchDir, 'later.parquet');
    const read = (path: string): string => `read_parquet(${quoteLiteral(path)})`;
    const moment = `CAST(${quoteIdent(timestamp)} AS TIMESTAMPTZ)`;
    await database.copyToParquet(
      `SELECT * FROM ${read(await store.path(table.artifact))}
       WHERE ${moment} >= CAST(${quoteLiteral(name)} AS TIMESTAMPTZ) AND ${moment} < CAST(${quoteLiteral(to)} AS TIMESTAMPTZ)`,
      later,
      'ColumnInvalid',
      `columns.timestamp ${timestamp}`,
    );
    const scored = async (parquetPath: string, outName: string): Promise<string> => {
      const outPath = join(scratchDir, outName);
      await scoreLabelled({
        parquetPath,
        model: servedOf(model),
        modelPath: await store.path(model.onnx),
        task: spec.task,
        target,
        timestamp,
        outPath,
        scratchDir,
        memoryLimit: frame.duckdbMemory,
        signal: frame.signal,
      });
      return outPath;
    };
    const answered = await scored(await store.path(split.test.artifact), 'test-scored.parquet');
    const trained = await store.path(split.train.artifact);
    // Conditions of slices are people's SQL: they see these files and no other.
    const reference = await withDatabase(
      frame,
      (locked) =>
        buildReference(locked, {
          version: name,
          words: `the model as of ${name}: its ${split.train.rows.toLocaleString('en')} training rows, answers and truth of its ${split.test.rows.toLocaleString('en')} test rows`,
          features: signature.inputs.map((input) => ({ name: input.name, kind: input.kind })),
          rows: { relation: read(trained), columnOf: (column) => column },
          answered: {
            relation: read(answered),
            columnOf: LOG_COLUMNS_OF.outputOf,
            featureOf: LOG_COLUMNS_OF.featureOf,
          },
          slices: spec.monitoring.slices,
          problem,
        }),
      [trained, answered],
    );
    const opened: BacktestModel = {
      name,
      model,
      scored: await store.putFile(await scored(later, 'later-scored.parquet'), MEDIA_TYPES.parquet),
      reference: await store.putJson(reference, { encrypt: true }),
      trained: split.train.artifact,
    };
    return { name, model: await store.putJson(opened) };
  });
}

/** A model as others are judged against it. */
export async function loadBacktestModel(
  deps: ActivityDependencies,
  { model }: NamedModel,
): ReturnType<BacktestActivities['loadBacktestModel']> {
  return { model: backtestModel.parse(await (await deps.store()).json(model)).model };
}
