import type { FairnessResult, SliceResult, SlicesResult } from '../../contracts/evaluation-report.ts';
import type { MetricValues } from '../../contracts/reports.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import type { WorstSlicesSpec } from '../../contracts/spec/slices.ts';
import { intervalsOf, sampledMetrics } from '../statistics/bootstrap.ts';
import type { CodedColumn } from '../statistics/coded-column.ts';
import { answeredClasses } from '../statistics/details.ts';
import { type Answered, fairnessOf } from '../statistics/fairness.ts';
import { DEFAULT_THRESHOLD, type Problem, positiveIndex, scoresOf } from '../statistics/judge.ts';
import { logLossOf, membersOf } from '../statistics/scores.ts';
import { worstSlices } from '../statistics/worst-slices.ts';
import type { JudgeQuestion } from './judge-job.ts';

/** Slices that one entry of the spec makes. */
export interface DeclaredSlices {
  names: string[];
  /** The slice of each row, `[n]`; the number of names where it is in none. */
  codes: Uint16Array;
  minRows: number;
  mandatory: boolean;
  /** Slices without a name, since they are too small: in words, how many, and their rows. */
  unnamed: { name: string; groups: number; rows: number } | null;
}

/** What is asked about parts of the test rows. */
export interface PartsQuestion extends Pick<JudgeQuestion, 'problem' | 'labels' | 'answers' | 'threshold'> {
  slices: DeclaredSlices[];
  /** Of the metrics that are told of each slice. */
  metrics: MetricName[];
  fairness: { columns: CodedColumn[]; minRows: number } | null;
  /** Columns to look for bad slices in; of the rows every `step`-th from `from` on. */
  search: { columns: CodedColumn[]; options: WorstSlicesSpec; from: number; step: number } | null;
  bootstrap: { confidence: number; resamples: number; seed: number };
}

/** What is answered. */
export interface PartsAnswer {
  slices: SlicesResult;
  fairness: FairnessResult[];
}

const SEARCH_METHOD =
  'SliceFinder (Chung et al. 2019): Welch’s test of the loss, Benjamini and Hochberg (1995) for the number of slices';

/** Samples of all slices of one entry together draw so many rows at the most. */
const MOST_DRAWN = 20_000_000;
const MOST_SAMPLES = 200;
/** With fewer the ends of an interval say nothing. */
const LEAST_SAMPLES = 50;

/** Judges slices and groups. */
export async function judgeParts(question: PartsQuestion): Promise<PartsAnswer> {
  const declared: SliceResult[] = [];
  let insufficient = 0;
  for (const entry of question.slices) {
    const judged = await judgeEntry(question, entry);
    declared.push(...judged);
    insufficient +=
      judged.filter((slice) => slice.insufficient).length -
      (entry.unnamed ? 1 : 0) +
      (entry.unnamed?.groups ?? 0);
  }
  const total =
    declared.length +
    question.slices.reduce((sum, { unnamed }) => sum + (unnamed ? unnamed.groups - 1 : 0), 0);
  return {
    slices: { declared, total, insufficient, ...(await worst(question)) },
    fairness: fairness(question),
  };
}

async function judgeEntry(question: PartsQuestion, entry: DeclaredSlices): Promise<SliceResult[]> {
  const { names, codes, minRows, mandatory, unnamed } = entry;
  const rowsOf = names.map((_, code) => rowsWhere(codes, (one) => one === code));
  const judged = await judgeRows(
    question,
    rowsOf.map((rows, i) => ({ name: names[i] ?? '', rows, minRows, mandatory })),
  );
  return unnamed
    ? [
        ...judged,
        {
          name: unnamed.name,
          rows: unnamed.rows,
          share: unnamed.rows / codes.length,
          metrics: {},
          intervals: {},
          mandatory,
          insufficient: 'few_rows',
        },
      ]
    : judged;
}

function rowsWhere(codes: Uint16Array, isIn: (code: number) => boolean): Uint32Array {
  const rows = new Uint32Array(codes.length);
  let found = 0;
  for (let row = 0; row < codes.length; row++) if (isIn(codes[row] ?? 0)) rows[found++] = row;
  return rows.slice(0, found);
}

interface NamedRows {
  name: string;
  rows: Uint32Array;
  minRows: number;
  mandatory: boolean;
}

async function judgeRows(question: PartsQuestion, parts: readonly NamedRows[]): Promise<SliceResult[]> {
  const { problem, labels, answers, threshold, metrics, bootstrap } = question;
  const width = problem.task === 'multiclass' ? problem.classNames.length : 1;
  const drawn = parts.reduce((sum, { rows }) => sum + rows.length, 0) * width;
  const samples = Math.min(bootstrap.resamples, MOST_SAMPLES, Math.floor(MOST_DRAWN / Math.max(1, drawn)));
  const wanted = (values: MetricValues): MetricValues =>
    Object.fromEntries(Object.entries(values).filter(([name]) => metrics.some((metric) => metric === name)));
  const judged: SliceResult[] = [];
  for (const { name, rows, minRows, mandatory } of parts) {
    const said = { name, rows: rows.length, share: rows.length / labels.length, mandatory };
    const truth =
      labels.constructor === Float32Array ? new Float32Array(rows.length) : new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) truth[i] = labels[rows[i] ?? 0] ?? 0;
    const oneClass = problem.task !== 'regression' && truth.every((label) => label === truth[0]);
    if (rows.length < minRows || oneClass) {
      const insufficient = rows.length < minRows ? ('few_rows' as const) : ('one_class' as const);
      judged.push({ ...said, metrics: {}, intervals: {}, insufficient });
      continue;
    }
    const own = new Float64Array(rows.length * width);
    for (let i = 0; i < rows.length; i++)
      for (let k = 0; k < width; k++) own[i * width + k] = answers[(rows[i] ?? 0) * width + k] ?? 0;
    const scores = scoresOf(problem, truth, own, threshold);
    const range = { seed: bootstrap.seed, from: 0, before: samples };
    judged.push({
      ...said,
      metrics: wanted(scores.metrics()),
      intervals:
        samples < LEAST_SAMPLES
          ? {}
          : Object.fromEntries(
              Object.entries(
                intervalsOf(await sampledMetrics(scores, range), bootstrap.confidence, samples),
              ).filter(([metric]) => metrics.some((one) => one === metric)),
            ),
    });
  }
  return judged;
}

/** Finds slices that do badly, and judges them like the declared ones, on all rows that were looked at. */
async function worst(question: PartsQuestion): Promise<Pick<SlicesResult, 'worst' | 'search'>> {
  const { search } = question;
  if (!search) return { worst: [], search: null };
  const { columns, options, from, step } = search;
  const all = lossesOf(question);
  const losses = step === 1 ? all : all.filter((_, row) => row % step === from);
  const { found, tried } = worstSlices(columns, losses, options);
  const parts = found.map(({ parts }) => ({
    name: parts.map(({ column, code }) => columns[column]?.labels[code] ?? '').join(' and '),
    rows: rowsWhere(
      Uint16Array.from({ length: losses.length }, (_, row) =>
        parts.every(({ column, code }) => columns[column]?.codes[row] === code) ? 1 : 0,
      ),
      (inside) => inside === 1,
    ).map((row) => from + row * step),
    minRows: options.minRows,
    mandatory: false,
  }));
  const judged = await judgeRows(question, parts);
  return {
    worst: judged.map((slice, i) => {
      const known = found[i];
      return {
        ...slice,
        share: slice.rows / losses.length,
        ...(known
          ? {
              found: {
                loss: known.loss,
                lossOutside: known.lossOutside,
                effect: known.effect,
                p: known.p,
              },
            }
          : {}),
      };
    }),
    search: { method: SEARCH_METHOD, rows: losses.length, features: columns.length, tried },
  };
}

/** Log loss of each row, or the absolute error of a regression. */
function lossesOf({
  problem,
  labels,
  answers,
}: Pick<PartsQuestion, 'problem' | 'labels' | 'answers'>): Float64Array {
  if (problem.task === 'regression') return answers.map((value, row) => Math.abs(value - (labels[row] ?? 0)));
  if (problem.task === 'multiclass') {
    const classes = problem.classNames.length;
    return Float64Array.from(labels, (label, row) => logLossOf(answers[row * classes + label] ?? 0));
  }
  const positive = positiveIndex(problem);
  return answers.map((probability, row) =>
    logLossOf(labels[row] === positive ? probability : 1 - probability),
  );
}

function fairness(question: PartsQuestion): FairnessResult[] {
  const { fairness: asked, bootstrap } = question;
  if (!asked) return [];
  const answered = answeredOf(question.problem, question);
  return asked.columns.map((column) =>
    fairnessOf(column, answered, { ...bootstrap, minRows: asked.minRows }),
  );
}

function answeredOf(
  problem: Problem,
  { labels, answers, threshold = DEFAULT_THRESHOLD }: Pick<PartsQuestion, 'labels' | 'answers' | 'threshold'>,
): Answered {
  const { task } = problem;
  if (task === 'regression')
    return { task, score: lossesOf({ problem, labels, answers }), prediction: answers };
  const said = answeredClasses(problem, answers, threshold);
  const score = Float64Array.from(said, (answer, row) => (answer === labels[row] ? 1 : 0));
  if (task === 'multiclass') return { task, score };
  const positive = positiveIndex(problem);
  return {
    task,
    score,
    positive: membersOf(positive, labels),
    said: Uint8Array.from(said, (answer) => (answer === positive ? 1 : 0)),
  };
}
