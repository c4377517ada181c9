import type { ComparedColumn } from '../../contracts/distribution-report.ts';
import type { ReferenceProfile, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import type { MetricValues } from '../../contracts/reports.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';
import type { SliceSpec } from '../../contracts/spec/slices.ts';
import type { Database } from '../duckdb/database.ts';
import { outputNames } from '../onnx/output-names.ts';
import { eachColumn, isNumber, type Rows, textSql, typesOf, valueSql } from './column-values.ts';
import { fitEstimation } from './estimation.ts';
import { knownRows, type LabelledRows, qualityOf, readLabelled } from './labelled-rows.ts';
import type { WatchedProblem } from './problem.ts';
import { type ColumnValues, fitReconstruction } from './reconstruction.ts';
import {
  askedAs,
  type ColumnToSketch,
  partOf,
  sketchCategories,
  sketchOfNumbers,
} from './sketched-columns.ts';
import { type Slice, slicedTable, valuesAt } from './window-slices.ts';

/** Probabilities of so many classes are looked at one by one. */
const MOST_PROBABILITIES = 20;

/** What a reference is made of. */
export interface ReferenceQuestion {
  /** The version whose reference it is, and what it is made of, in words: for the report. */
  version: string;
  words: string;
  features: readonly ComparedColumn[];
  /** Rows with the features: those that the model was trained on, or predictions of a time. */
  rows: Rows;
  /**
   * Rows with answers and their truth: `output_…` columns by `columnOf('probability')` and so on, `truth_label`,
   * `truth_value`; and, where slices are looked at, features by `featureOf(name)`. `null` where there are none.
   */
  answered: (Rows & { featureOf?: (name: string) => string }) | null;
  /** Parts of the rows whose answers are kept by themselves (`monitoring.slices`). */
  slices?: readonly SliceSpec[];
  problem: WatchedProblem;
}

/** The outputs that are looked at, and as what. */
export function watchedOutputs(problem: WatchedProblem): ComparedColumn[] {
  const kindOf = (name: string): FeatureKind => (name === 'label' ? 'categorical' : 'numeric');
  const names = outputNames(problem.task, problem.classNames);
  // The probability first: it says more than the label.
  return [
    ...names.filter((name) => name !== 'label').slice(0, MOST_PROBABILITIES),
    ...names.filter((name) => name === 'label'),
  ].map((name) => ({ name, kind: kindOf(name) }));
}

/**
 * What windows of predictions are held against: distributions of features, answers and truth, a principal component
 * analysis, the quality of the model, and how its probabilities are corrected. It holds values of the data (quantiles,
 * categories), but no row.
 *
 * @param database with the relations of the question
 * @throws PerennialError `ColumnInvalid` where a column cannot be read as its kind
 * @example
 * const profile = await buildReference(database, {
 *   version: '7',
 *   words: 'training rows of version 7',
 *   features: [{ name: 'age', kind: 'numeric' }],
 *   rows: { relation: "read_parquet('train.parquet')", columnOf: (name) => name },
 *   answered: { relation: 'test_answers', columnOf: (name) => `output_${name}` },
 *   problem: { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes', threshold: 0.5 },
 * });
 */
export async function buildReference(
  database: Database,
  question: ReferenceQuestion,
): Promise<ReferenceProfile> {
  const { features, rows, answered, version, words } = question;
  const types = await typesOf(database, rows.relation);
  const found = await sketchRelation(
    database,
    rows.relation,
    features.map((column) => columnToSketch(rows, column, types)),
    false,
  );
  const reconstruction = fitReconstruction(found.columns);
  const profile: ReferenceProfile = {
    schemaVersion: 1,
    version,
    words,
    rows: found.rows,
    answers: 0,
    labels: 0,
    features: found.columns.map(withoutValues),
    reconstruction,
    outputs: [],
    label: null,
    quality: {},
    slices: [],
    calibration: null,
  };
  return answered
    ? { ...profile, ...(await answersOf(database, question, answered, found.columns)) }
    : profile;
}

const columnToSketch = (
  rows: Rows,
  { name, kind }: ComparedColumn,
  types: ReadonlyMap<string, string>,
): ColumnToSketch => ({
  name,
  kind,
  sql: valueSql(rows, { name, kind }, types),
  text: textSql(rows, { name, kind }, types),
});

const withoutValues = ({ name, kind, sketch }: ColumnValues): SketchedColumn => ({ name, kind, sketch });

type Answers = Pick<
  ReferenceProfile,
  'answers' | 'labels' | 'outputs' | 'label' | 'quality' | 'calibration' | 'slices'
>;

async function answersOf(
  database: Database,
  { problem, slices = [] }: ReferenceQuestion,
  answered: NonNullable<ReferenceQuestion['answered']>,
  features: readonly SketchedColumn[],
): Promise<Answers> {
  if (slices.length === 0 || !answered.featureOf) return answersIn(database, problem, answered, []);
  const table = await slicedTable(database, answered.relation, features, answered.featureOf, slices);
  try {
    return await answersIn(database, problem, { ...answered, relation: table.relation }, table.slices);
  } finally {
    await table.drop();
  }
}

async function answersIn(
  database: Database,
  problem: WatchedProblem,
  answered: Rows,
  slices: readonly Slice[],
): Promise<Answers> {
  const types = await typesOf(database, answered.relation);
  const outputs = await sketchRelation(
    database,
    answered.relation,
    watchedOutputs(problem).map((output) => columnToSketch(answered, output, types)),
    true,
  );
  const labelled = await readLabelled(database, answered, problem);
  const known = knownRows(labelled, problem.task);
  return {
    answers: labelled.answers.length / Math.max(1, labelled.width),
    labels: known.labels.length,
    outputs: outputs.columns.map(withoutValues),
    label: labelSketch(labelled, problem),
    quality: qualityOf(problem, known),
    calibration: fitEstimation(problem, known),
    slices: slices.map(({ name, rows }) => ({
      name,
      rows: rows.length,
      quality: qualityOfPart(problem, labelled, rows),
      outputs: outputs.columns.map((column) => sketchPart(column, rows)),
    })),
  };
}

function qualityOfPart(problem: WatchedProblem, labelled: LabelledRows, rows: Uint32Array): MetricValues {
  const own = new Set(rows);
  return qualityOf(
    problem,
    knownRows(labelled, problem.task, (place) => own.has(place)),
  );
}

/** The distribution of a column in some of its rows; categories are told by the same names. */
function sketchPart({ name, kind, sketch, values }: ColumnValues, rows: Uint32Array): SketchedColumn {
  const own = valuesAt(values, rows);
  return {
    name,
    kind,
    sketch: sketch.of === 'numbers' ? sketchOfNumbers(own) : partOf(sketch, own),
  };
}

/** The distribution of the truth; `null` where none is known. */
function labelSketch({ truth }: LabelledRows, { task, classNames }: WatchedProblem): SketchedColumn | null {
  const known = truth.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return null;
  if (task === 'regression') return { name: 'truth', kind: 'numeric', sketch: sketchOfNumbers(known) };
  const counts = classNames.map(() => 0);
  for (const index of known) counts[index] = (counts[index] ?? 0) + 1;
  return {
    name: 'truth',
    kind: 'categorical',
    sketch: {
      of: 'categories',
      rows: known.length,
      missing: 0,
      names: [...classNames],
      counts,
      rest: { names: 0, rows: 0 },
    },
  };
}

async function sketchRelation(
  database: Database,
  relation: string,
  columns: readonly ColumnToSketch[],
  areAnswers: boolean,
): Promise<{ rows: number; columns: ColumnValues[] }> {
  const { n } = await database.row(`SELECT count(*) AS n FROM ${relation}`, 'ColumnInvalid', 'the reference');
  const rows = Number(n);
  const categories = await sketchCategories(database, relation, columns, rows);
  const read = eachColumn(
    database,
    relation,
    columns.map(({ name, kind, sql, text }) => ({
      sql,
      as: askedAs(kind, categories.get(name), areAnswers, text),
    })),
    rows,
  );
  const sketched: ColumnValues[] = [];
  for await (const { index, values } of read) {
    const { name, kind } = columns[index] ?? {};
    if (name === undefined || kind === undefined) continue;
    const sketch = isNumber(kind) ? sketchOfNumbers(values) : categories.get(name);
    if (sketch) sketched.push({ name, kind, sketch, values });
  }
  return { rows, columns: sketched };
}
