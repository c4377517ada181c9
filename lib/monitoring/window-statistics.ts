import { PerennialError } from '../../contracts/errors.ts';
import type { DriftedColumn, MeasuredQuality, WindowReport } from '../../contracts/monitoring.ts';
import type { ReferenceProfile, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import type { Database } from '../duckdb/database.ts';
import { eachColumn, type Rows, textSql, typesOf, valueSql } from './column-values.ts';
import { domainClassifier, type ReferenceRows } from './domain-classifier.ts';
import { compareColumn, freshCategories, hasUnknown, judged, type WindowColumn } from './drifted-columns.ts';
import { estimatedQuality } from './estimation.ts';
import { knownRows, type LabelledRows, readLabelled } from './labelled-rows.ts';
import { measuredQuality } from './measured-quality.ts';
import type { WatchedProblem } from './problem.ts';
import { reconstructionError } from './reconstruction.ts';
import { askedAs } from './sketched-columns.ts';
import { referenceSlice, type SlicedTable, slicedTable, valuesAt } from './window-slices.ts';

/** What of a {@link WindowReport} is computed from rows. */
export type WindowStatistics = Pick<
  WindowReport,
  | 'reference'
  | 'rows'
  | 'columns'
  | 'multivariate'
  | 'classifier'
  | 'predictions'
  | 'labels'
  | 'quality'
  | 'referenceQuality'
  | 'estimateReference'
  | 'estimated'
  | 'slices'
  | 'warnings'
>;

/** The model that a truth speaks of. */
export interface TruthOf {
  /** Of its own training and test rows. */
  reference: ReferenceProfile;
  /** Its classes and its threshold. */
  problem: WatchedProblem;
}

/** What is asked of a window. */
export interface WindowQuestion {
  reference: ReferenceProfile;
  /**
   * The rows of the window: features by `features.columnOf(name)`, answers by `outputs.columnOf(name)`; in the log and
   * in back-tests {@link LOG_COLUMNS_OF} is right.
   */
  current: string;
  /** The rows whose truth may be known by now, with `truth_label` and `truth_value`; `null` where there are none yet. */
  labelled: string | null;
  /**
   * The model that answered most of the labelled rows: truth that comes late is about that one, and quality, label drift
   * and change of the error are judged by its reference and its threshold. Default: the model of the window itself.
   */
  truth?: TruthOf;
  columns?: { featureOf: (name: string) => string; outputOf: (name: string) => string };
  monitoring: MonitoringSpec;
  problem: WatchedProblem;
  /** Rows of the reference, for the domain classifier: without them there is none. */
  referenceRows?: ReferenceRows;
  /** Of everything that is drawn by chance. Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

/** Names of the log’s columns. Of features whose names differ in case alone the log numbers the later ones. */
export const LOG_COLUMNS_OF = {
  featureOf: (name: string): string => `input_${name}`,
  outputOf: (name: string): string => `output_${name}`,
} as const;

/**
 * The statistics of a window of predictions against its reference. It says how many rows and labels each thing rests on,
 * and judges nothing but whether a column has drifted.
 *
 * @param database with the relations of the question; conditions of slices are people’s SQL, so that it must be able to
 *   read nothing else
 * @throws PerennialError `ColumnInvalid` where a column cannot be read as the kind that the reference has it in
 */
export async function windowStatistics(
  database: Database,
  question: WindowQuestion,
): Promise<WindowStatistics> {
  const warnings: string[] = [];
  const tables = await withSlices(database, question, warnings);
  try {
    return await statisticsOf(database, question, tables, warnings);
  } finally {
    for (const table of [tables.current, tables.labelled]) await table?.drop?.();
  }
}

/** A relation, and the slices of it. */
type Sliced = Pick<SlicedTable, 'relation' | 'slices'> & Partial<Pick<SlicedTable, 'drop'>>;

/** The rows of the window in tables of their own, where slices are looked at; else as they are. */
async function withSlices(
  database: Database,
  { reference, truth, current, labelled, monitoring, columns = LOG_COLUMNS_OF }: WindowQuestion,
  warnings: string[],
): Promise<{ current: Sliced; labelled: Sliced | null }> {
  const plain = (relation: string): Sliced => ({ relation, slices: [] });
  const specs = monitoring.slices;
  const none = { current: plain(current), labelled: labelled === null ? null : plain(labelled) };
  if (specs.length === 0) return none;
  const sliced = (relation: string, { features }: ReferenceProfile): Promise<SlicedTable> =>
    slicedTable(database, relation, features, columns.featureOf, specs);
  try {
    const own = await sliced(current, reference);
    try {
      const known = labelled === null ? null : await sliced(labelled, truth?.reference ?? reference);
      return { ...none, current: own, labelled: known };
    } catch (error) {
      await own.drop();
      throw error;
    }
  } catch (error) {
    // What people wrote about slices must not blind the watch over all the rest.
    if (!(error instanceof PerennialError) || error.retryable) throw error;
    warnings.push(`slices are not looked at: ${error.message}`);
    return none;
  }
}

async function statisticsOf(
  database: Database,
  question: WindowQuestion,
  tables: { current: Sliced; labelled: Sliced | null },
  warnings: string[],
): Promise<WindowStatistics> {
  const { reference, monitoring, problem, seed = 0, columns: named = LOG_COLUMNS_OF } = question;
  const about = question.truth ?? { reference, problem };
  const { relation } = tables.current;
  const features: Rows = { relation, columnOf: named.featureOf };
  const outputs: Rows = { relation, columnOf: named.outputOf };
  const { drift } = monitoring;
  const watched = drift === false ? [] : watchedFeatures(reference, drift.columns, warnings);
  const read = await readWindow(database, features, outputs, watched, reference.outputs);
  question.signal?.throwIfAborted();
  const multivariate =
    drift !== false && drift.multivariate !== false && reference.reconstruction
      ? reconstructionError(reference.reconstruction, read.features)
      : null;
  const limit = monitoring.predictions === false ? null : monitoring.predictions.psi;
  const truth = tables.labelled
    ? await readLabelled(database, { ...outputs, relation: tables.labelled.relation }, about.problem)
    : null;
  const known = truth && knownRows(truth, problem.task);
  if (truth && truth.invalid > 0)
    warnings.push(`${truth.invalid} of ${truth.rows} rows have an answer that is none: they are not judged`);
  question.signal?.throwIfAborted();
  return {
    reference: {
      words: reference.words,
      rows: reference.rows,
      labels: reference.labels,
      version: reference.version,
    },
    rows: read.rows,
    columns: judged(read.columns, drift === false ? null : drift),
    multivariate,
    classifier: await classifierOf(database, question, read.features, warnings),
    predictions: byPsi(read.predictions, limit),
    labels:
      truth && about.reference.label ? labelDrift(about.reference.label, truth.truth, monitoring) : null,
    quality: await measuredQuality(about.problem, truth?.rows ?? 0, known, seed),
    referenceQuality: about.reference.quality,
    ...(question.truth ? { estimateReference: reference.quality } : {}),
    estimated: await estimateOf(database, question, outputs),
    slices: await sliceReports(question, tables, read.answers, truth, limit),
    warnings,
  };
}

async function classifierOf(
  database: Database,
  { monitoring: { drift }, referenceRows, seed = 0 }: WindowQuestion,
  columns: readonly WindowColumn[],
  warnings: string[],
): Promise<WindowStatistics['classifier']> {
  if (drift === false || drift.classifier === false) return null;
  const found = referenceRows ? await domainClassifier(database, referenceRows, columns, seed) : null;
  if (!found)
    warnings.push(
      referenceRows
        ? 'drift.classifier: too few rows, or no feature but moments and texts, to tell the window from the reference'
        : 'drift.classifier: the rows of the reference are not at hand here, only what is known of them',
    );
  return found;
}

/**
 * Slices of the window: their answers against the reference’s in the same slice, and their quality against that of the
 * model that the truth is about. Where the two models cut a feature at other places there are slices of either.
 */
async function sliceReports(
  { reference, problem, truth: about = { reference, problem }, seed = 0 }: WindowQuestion,
  { current, labelled }: { current: Sliced; labelled: Sliced | null },
  answers: readonly WindowColumn[],
  truth: LabelledRows | null,
  limit: number | null,
): Promise<WindowStatistics['slices']> {
  const reports: WindowStatistics['slices'] = [];
  for (const name of new Set([...current.slices, ...(labelled?.slices ?? [])].map((slice) => slice.name))) {
    const rows = rowsOf(current, name);
    const columns = (referenceSlice(reference, name)?.outputs ?? []).flatMap((output) => {
      const values = answers.find((answer) => answer.name === output.name)?.values;
      // Codes are those of the names of all answers.
      return values ? [compareColumn({ ...output, values: valuesAt(values, rows) })] : [];
    });
    const own = new Set(labelled ? rowsOf(labelled, name) : []);
    const known = truth && knownRows(truth, about.problem.task, (place) => own.has(place));
    const before = referenceSlice(about.reference, name);
    reports.push({
      name,
      rows: rows.length,
      quality: await measuredQuality(about.problem, own.size, known, seed),
      ...(before ? { referenceQuality: before.quality } : {}),
      predictions: byPsi(columns, limit),
    });
  }
  return reports;
}

const rowsOf = ({ slices }: Sliced, name: string): Uint32Array =>
  slices.find((slice) => slice.name === name)?.rows ?? new Uint32Array();

function watchedFeatures(
  { features }: ReferenceProfile,
  names: readonly string[] | undefined,
  warnings: string[],
): SketchedColumn[] {
  if (!names) return features;
  const known = new Set(features.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    warnings.push(`monitoring.drift.columns: the model has no feature ${unknown.join(', ')}`);
  return features.filter(({ name }) => names.includes(name));
}

interface ReadWindow {
  rows: number;
  features: WindowColumn[];
  answers: WindowColumn[];
  columns: DriftedColumn[];
  predictions: DriftedColumn[];
}

/** Columns of the window beside their sketches, and held against them. */
async function readWindow(
  database: Database,
  features: Rows,
  outputs: Rows,
  watched: readonly SketchedColumn[],
  answers: readonly SketchedColumn[],
): Promise<ReadWindow> {
  const { relation } = features;
  const types = await typesOf(database, relation);
  const { n } = await database.row(
    `SELECT count(*) AS n FROM ${relation}`,
    'ColumnInvalid',
    'the rows of a window',
  );
  const asked = [
    ...watched.map((column) => ({ column, isAnswer: false, rows: features })),
    ...answers.map((column) => ({ column, isAnswer: true, rows: outputs })),
  ];
  const read = eachColumn(
    database,
    relation,
    asked.map(({ column, isAnswer, rows }) => ({
      sql: valueSql(rows, column, types),
      as: askedAs(column.kind, column.sketch, isAnswer, textSql(rows, column, types)),
    })),
    Number(n),
  );
  const own: WindowColumn[] = [];
  const said: WindowColumn[] = [];
  const compared: DriftedColumn[] = [];
  for await (const { index, values } of read) {
    const { column, rows, isAnswer } = asked[index] ?? {};
    if (!column || !rows) continue;
    const ofWindow = { ...column, values };
    (isAnswer ? said : own).push(ofWindow);
    const { sketch } = column;
    const fresh =
      sketch.of === 'categories' && sketch.rest.names === 0 && hasUnknown(ofWindow)
        ? await freshCategories(database, relation, valueSql(rows, column, types), sketch)
        : undefined;
    compared.push(compareColumn(ofWindow, fresh));
  }
  return {
    rows: Number(n),
    features: own,
    answers: said,
    columns: compared.slice(0, watched.length),
    predictions: compared.slice(watched.length),
  };
}

/** Answers are held to one limit; their tests are told as they are. */
const byPsi = (columns: readonly DriftedColumn[], limit: number | null): DriftedColumn[] =>
  columns.map((column) => ({ ...column, drifted: limit !== null && (column.psi ?? 0) > limit }));

function labelDrift(
  label: SketchedColumn,
  truth: Float64Array,
  { labels }: Pick<MonitoringSpec, 'labels'>,
): DriftedColumn | null {
  const known = truth.filter((value) => !Number.isNaN(value));
  const values = label.sketch.of === 'numbers' ? known : Uint16Array.from(known);
  return byPsi([compareColumn({ ...label, values })], labels === false ? null : labels.psi)[0] ?? null;
}

/** CBPE of the rows of the window; it rests on the labels of the reference. */
async function estimateOf(
  database: Database,
  { reference, monitoring, problem }: WindowQuestion,
  outputs: Rows,
): Promise<MeasuredQuality | null> {
  if (monitoring.estimate === false || reference.calibration === null) return null;
  const { answers, width, rows } = await readLabelled(database, outputs, problem);
  if (answers.length === 0) return { rows, labels: reference.labels, metrics: {}, intervals: {} };
  const { metrics, intervals } = estimatedQuality(problem, answers, reference.calibration);
  return { rows: answers.length / width, labels: reference.labels, metrics, intervals };
}
