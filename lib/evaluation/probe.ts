import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import type { RobustnessResult } from '../../contracts/evaluation-report.ts';
import type { MetricValues } from '../../contracts/reports.ts';
import { isTextInput, type ModelInput } from '../../contracts/serving.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/metrics.ts';
import { readBatches } from '../features/table-reader.ts';
import { TabularSession } from '../onnx/tabular-session.ts';
import { quantile } from '../statistics/bootstrap.ts';
import { scoresOf } from '../statistics/judge.ts';
import type { Perturbation, ProbeAnswer, ProbeQuestion } from './probe-contract.ts';

type Feeds = Record<string, Tensor>;

/** A text that no training row holds. */
const UNSEEN = 'perennial: a word that was never seen';

/** Answers before the clock runs: the engine takes memory and warms its caches. */
const WARM_UP = 50;

/** Features that a result tells of, the worst first. */
const MOST_TOLD = 50;

/** Changes features one at a time and looks what that costs; times the answers of single rows. */
export async function probe(question: ProbeQuestion): Promise<ProbeAnswer> {
  const feeds = await feedsOf(question);
  return {
    robustness: question.perturbations.length > 0 ? await robustnessOf(question, feeds) : [],
    latency: question.latencyRows > 0 ? await latencyOf(question, feeds) : null,
  };
}

/** All rows as one batch; its memory is this process's own. */
async function feedsOf({ parquetPath, signature, labels }: ProbeQuestion): Promise<Feeds> {
  const columns = signature.inputs.map(({ name, kind }) => ({ name, kind }));
  for await (const { feeds } of readBatches({
    parquetPath,
    columns,
    strict: false,
    batchRows: Math.max(1, labels.length),
  }))
    return feeds;
  throw new PerennialError('StageFailed', 'there are no test rows');
}

async function robustnessOf(question: ProbeQuestion, feeds: Feeds): Promise<RobustnessResult[]> {
  const { modelPath, signature, perturbations } = question;
  const session = await InferenceSession.create(modelPath, { logSeverityLevel: 4 });
  const outputs = signature.outputs.filter(({ kind }) => kind === 'float').map(({ name }) => name);
  const judged = async (changed: Feeds): Promise<MetricValues> => {
    const answers = await answersOf(session, changed, outputs);
    return answers.every(Number.isFinite)
      ? scoresOf(question.problem, question.labels, answers, question.threshold).metrics()
      : {};
  };
  try {
    const base = await judged(feeds);
    const results: RobustnessResult[] = [];
    for (const perturbation of perturbations)
      results.push(...(await perturbed(question, feeds, base, perturbation, judged)));
    return results;
  } finally {
    await session.release();
  }
}

async function perturbed(
  { signature, labels }: ProbeQuestion,
  feeds: Feeds,
  base: MetricValues,
  { robustness, by, metrics, features }: Perturbation,
  judged: (feeds: Feeds) => Promise<MetricValues>,
): Promise<RobustnessResult[]> {
  const inputs = signature.inputs.filter(
    ({ name, optional }) =>
      (features === 'all' || features.includes(name)) && (robustness === 'shift' || optional),
  );
  const values = new Map<string, MetricValues[]>();
  for (const input of inputs) {
    const tensor = feeds[input.name];
    if (!tensor) continue;
    const changes = robustness === 'missing' ? [missing(input, tensor)] : shifted(input, tensor, by);
    const found: MetricValues[] = [];
    for (const change of changes) found.push(await judged({ ...feeds, [input.name]: change }));
    values.set(input.name, found);
  }
  return metrics.map((metric) => {
    const told = [...values].map(([feature, found]) => worst(feature, metric, base[metric], found));
    const badness = ({ loss }: { loss: number | null }): number => loss ?? Number.POSITIVE_INFINITY;
    return {
      robustness,
      by,
      metric,
      rows: labels.length,
      base: base[metric] ?? null,
      features: told.sort((a, b) => badness(b) - badness(a)).slice(0, MOST_TOLD),
      tried: values.size,
    };
  });
}

/** Of the ways in which a feature was changed the one that costs most; one that cannot be judged costs most of all. */
function worst(
  feature: string,
  metric: MetricName,
  base: number | undefined,
  found: readonly MetricValues[],
): RobustnessResult['features'][number] {
  const losses = found.map((values) => {
    const value = values[metric];
    if (value === undefined || base === undefined) return { feature, value: value ?? null, loss: null };
    return { feature, value, loss: lowerIsBetter(metric) ? value - base : base - value };
  });
  const unknown = losses.find(({ loss }) => loss === null);
  const none = { feature, value: null, loss: null };
  return unknown ?? losses.reduce((a, b) => ((b.loss ?? 0) > (a.loss ?? 0) ? b : a), losses[0] ?? none);
}

async function answersOf(
  session: InferenceSession,
  feeds: Feeds,
  outputs: readonly string[],
): Promise<Float64Array> {
  const results = await session.run(feeds, [...outputs]);
  const columns = outputs.map((name) => results[name]?.data);
  const rows = columns[0]?.length ?? 0;
  const answers = new Float64Array(rows * columns.length);
  for (const [k, column] of columns.entries())
    for (let row = 0; row < rows; row++)
      answers[row * columns.length + k] = Number(column?.[row] ?? Number.NaN);
  return answers;
}

function missing({ kind }: ModelInput, tensor: Tensor): Tensor {
  const rows = tensor.dims[0] ?? 0;
  if (isTextInput(kind)) return new Tensor('string', new Array<string>(rows).fill(''), [rows]);
  return tensor.data instanceof Float64Array
    ? new Tensor('float64', new Float64Array(rows).fill(Number.NaN), [rows])
    : new Tensor('float32', new Float32Array(rows).fill(Number.NaN), [rows]);
}

/** Up and down by so many standard deviations of the values that are there; true for false; a word that is new. */
function shifted({ kind }: ModelInput, tensor: Tensor, by: number): Tensor[] {
  const { data } = tensor;
  const rows = tensor.dims[0] ?? 0;
  if (isTextInput(kind)) return [new Tensor('string', new Array<string>(rows).fill(UNSEEN), [rows])];
  if (data instanceof Float64Array)
    return offsets(data, by).map(
      (offset) =>
        new Tensor(
          'float64',
          data.map((value) => value + offset),
          [rows],
        ),
    );
  if (!(data instanceof Float32Array)) return [tensor];
  return kind === 'boolean'
    ? [
        new Tensor(
          'float32',
          data.map((value) => 1 - value),
          [rows],
        ),
      ]
    : offsets(data, by).map(
        (offset) =>
          new Tensor(
            'float32',
            data.map((value) => value + offset),
            [rows],
          ),
      );
}

function offsets(values: Float32Array | Float64Array, by: number): number[] {
  let [count, mean, squares] = [0, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    count++;
    const distance = value - mean;
    mean += distance / count;
    squares += distance * (value - mean);
  }
  const offset = count === 0 ? 0 : by * Math.sqrt(squares / count);
  return [offset, -offset];
}

/** Milliseconds for single rows, with the settings of the model server. */
async function latencyOf(
  { modelPath, signature, labels, latencyRows }: ProbeQuestion,
  feeds: Feeds,
): Promise<ProbeAnswer['latency']> {
  const session = await TabularSession.create(modelPath, signature);
  try {
    const rowOf = (index: number) => {
      const row = index % labels.length;
      const columns = signature.inputs.map(({ name }) => {
        const data = feeds[name]?.data;
        return [
          name,
          data instanceof Float32Array || data instanceof Float64Array
            ? data.slice(row, row + 1)
            : [String(Array.isArray(data) ? (data[row] ?? '') : '')],
        ] as const;
      });
      return { rows: 1, columns: new Map(columns) };
    };
    for (let i = 0; i < WARM_UP; i++) await session.run(rowOf(i));
    const times = new Float64Array(latencyRows);
    for (let i = 0; i < latencyRows; i++) {
      const row = rowOf(i);
      const start = performance.now();
      await session.run(row);
      times[i] = performance.now() - start;
    }
    times.sort();
    return {
      rows: latencyRows,
      p50_ms: quantile(times, 0.5),
      p95_ms: quantile(times, 0.95),
      p99_ms: quantile(times, 0.99),
    };
  } finally {
    await session.close();
  }
}
