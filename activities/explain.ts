import { join } from 'node:path';
import type { EvaluationActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { PlotRef } from '../contracts/reports.ts';
import type { SliceSpec } from '../contracts/spec/slices.ts';
import type { ExplainOutput } from '../contracts/stages.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import { sampledRows } from '../lib/data/sample.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { columnSources } from '../lib/explanation/column-sources.ts';
import { explained } from '../lib/explanation/explain-aside.ts';
import { MOST_ROWS } from '../lib/explanation/explain-job.ts';
import { featurePlan } from '../lib/features/feature-plan.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { withDatabase } from './with-database.ts';

type ExplainInput = Parameters<EvaluationActivities['explain']>[0];

/** Columns that the stage's output names. */
const TOP = 10;

/**
 * Explains the winner on rows of the test split: which columns it needs, how answers depend on them, what single
 * predictions owe to them. Where rows are of people, nothing of a single one is kept.
 */
export async function explain(
  deps: ActivityDependencies,
  input: ExplainInput,
  frame: ActivityFrame,
): Promise<ExplainOutput> {
  const { spec, split, prepared, evaluate, tracking } = input;
  const { winner, signature, samples } = evaluate;
  if (split.test.rows === 0) throw new PerennialError('StageFailed', 'the test split has no rows to explain');
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const features = preparedFor(prepared, winner.features);
  const plan = featurePlan.parse(await store.json(features.plan));
  const testPath = join(scratchDir, 'explained-rows.parquet');
  const wholePath = await store.path(split.test.artifact);
  await withDatabase(frame, (database) =>
    database.copyToParquet(
      `SELECT * EXCLUDE (file_row_number) FROM read_parquet(${quoteLiteral(wholePath)}, file_row_number = true) WHERE file_row_number IN (${sampledRows(split.test.rows, MOST_ROWS).join(', ')}) ORDER BY file_row_number`,
      testPath,
    ),
  );

  const { report, explainer, plots } = await explained(
    {
      modelPath: await store.path(winner.model),
      signature,
      problem: {
        task: spec.task,
        classNames: split.classNames,
        positiveClass: split.positiveClass,
        quantile: spec.evaluation.quantile,
        baseline: split.baseline,
      },
      metric: spec.evaluation.metric,
      ...(winner.threshold === undefined ? {} : { threshold: winner.threshold }),
      target: spec.columns.target,
      seed: spec.training.seed,
      confidence: spec.evaluation.confidence,
      testPath,
      testRows: split.test.rows,
      samplesPath: await store.path(samples),
      matrixPath: await store.path(features.train.features),
      sources: columnSources(
        plan,
        signature.inputs.map(({ name }) => name),
      ),
      personal: personalColumns(input),
      rowsMayBeShown: !split.sensitive && spec.privacy.subject.length === 0,
      slices: spec.evaluation.slices.flatMap(named),
    },
    frame.signal,
  );

  const stored: PlotRef[] = [];
  for (const { name, title, svg } of plots)
    stored.push({ name, title, artifact: await store.putBytes(svg, MEDIA_TYPES.svg) });
  const mlflow = deps.mlflow();
  const { runId } = tracking;
  for (const { name, svg } of plots)
    await mlflow.artifacts.upload({
      runId,
      path: `plots/${name}.svg`,
      body: svg,
      contentType: MEDIA_TYPES.svg,
    });
  await mlflow.artifacts.upload({
    runId,
    path: 'explanation.json',
    body: JSON.stringify(report, null, 2),
    contentType: MEDIA_TYPES.json,
  });
  return {
    report: await store.putJson(report),
    explainer: await store.putJson(explainer),
    method: explainer.method,
    top: report.importance.slice(0, TOP),
    plots: stored,
    warning: null,
  };
}

/** Slices that the spec names and describes by a condition. */
const named = (slice: SliceSpec): { name: string; where: string }[] =>
  'where' in slice ? [{ name: slice.name, where: slice.where }] : [];

/** Columns that may hold personal values: their categories are not named. */
const personalColumns = ({ spec, findings }: ExplainInput): string[] => [
  ...new Set([
    ...findings.map(({ column }) => column),
    ...Object.keys(spec.privacy.columns),
    ...spec.privacy.subject,
  ]),
];
