import { readFile } from 'node:fs/promises';
import type { Dependence, ExplainerFile, ExplanationReport } from '../../contracts/explanation.ts';
import { sampleSet } from '../../contracts/samples.ts';
import { explanationPlots } from '../charts/explanation-plots.ts';
import { readLabels } from '../data/labels.ts';
import { readBatches } from '../features/table-reader.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';
import { attributed } from './attributions.ts';
import { attributionRows, explanationBounds } from './bounds.ts';
import { pick } from './columns.ts';
import { partialDependence } from './dependence.ts';
import type { ExplainJob, Explanation } from './explain-job.ts';
import { Explainer } from './explainer.ts';
import { permutationImportance, sizeOf } from './importance.ts';
import { Predictor } from './predictor.ts';
import { declaredSlices, segments } from './slices.ts';
import { trainingCovers } from './training-covers.ts';

/** Rows that are shown in a picture of a dependence. */
const SHOWN_ROWS = 30;
const MOST_SLICES = 6;

/**
 * Explains a model: which columns it needs, how its answers depend on them, and what single predictions owe to them.
 * The same job gives the same answer on every machine. Holds the thread for seconds: {@link explained} runs it in a process of its own.
 */
export async function explain(job: ExplainJob): Promise<Explanation> {
  const { signature, problem, metric, seed } = job;
  const model = new Uint8Array(await readFile(job.modelPath));
  const inputs = signature.inputs;
  const seen = [...new Set(job.sources.flat())].flatMap((place) => inputs[place]?.name ?? []);
  const bounds = explanationBounds(model, seen.length, inputs.length);
  const all = await tableRows(job);
  const allLabels = await readLabels({
    parquetPath: job.testPath,
    target: job.target,
    classNames: problem.classNames,
  });
  const chosen = evenly(all.rows, bounds.rows);
  const batch = pick(all, chosen);
  const labels =
    allLabels instanceof Int32Array
      ? Int32Array.from(chosen, (row) => allLabels[row] ?? 0)
      : Float32Array.from(chosen, (row) => allLabels[row] ?? 0);

  const predictor = await Predictor.create(model, signature);
  const answers = (rows: ColumnBatch): Promise<Float64Array> => predictor.answers(rows);
  try {
    const declared = await declaredSlices(job, chosen);
    const question = {
      problem,
      metric,
      threshold: job.threshold,
      batch,
      labels,
      columns: seen,
      seed,
      answers,
    };
    const [overall] = await permutationImportance({ ...question, repeats: bounds.repeats, slices: [] });
    const importance = ranked(overall?.columns ?? []);
    const slices = [
      ...declared,
      ...segments(
        batch,
        signature,
        importance.map(({ column }) => column).filter((name) => !job.personal.includes(name)),
      ),
    ].slice(0, MOST_SLICES);
    const onSlices =
      slices.length === 0 ? [] : (await permutationImportance({ ...question, repeats: 1, slices })).slice(1);

    const dependence: Dependence[] = [];
    const few = evenly(batch.rows, bounds.dependenceRows);
    for (const { column } of importance) {
      const input = inputs.find(({ name }) => name === column);
      if (!input || input.kind === 'text' || dependence.length === bounds.curves) continue;
      const curve = await partialDependence({
        input,
        batch: pick(batch, few),
        points: bounds.points,
        outputs: predictor.outputs.length,
        slices: slices.map(({ name, rows }) => ({
          name,
          rows: Uint8Array.from(few, (row) => rows[row] ?? 0),
        })),
        personal: job.personal.includes(column),
        shownRows: job.rowsMayBeShown ? SHOWN_ROWS : 0,
        answers,
      });
      if (curve) dependence.push(curve);
    }

    const covers = await trainingCovers(model, job.matrixPath);
    const file = {
      schemaVersion: 1 as const,
      method: covers ? ('tree' as const) : ('sampled' as const),
      sources: job.sources,
      covers: Array.from(covers ?? []),
    };
    const samples = sampleSet.parse(JSON.parse(await readFile(job.samplesPath, 'utf8')));
    const { attributions, departed } = await attributionsOf(
      (known) =>
        Explainer.create(
          model,
          signature,
          { rows: samples.rows, ...known },
          { seed, confidence: job.confidence },
        ),
      file,
      batch,
      job.rowsMayBeShown,
    );

    const report: ExplanationReport = {
      schemaVersion: 1,
      metric,
      seed,
      rows: batch.rows,
      of: job.testRows,
      repeats: bounds.repeats,
      value: overall?.value ?? 0,
      importance,
      slices: onSlices.flatMap((item, index) => {
        const slice = slices[index];
        return item && slice
          ? [
              {
                slice: slice.name,
                rows: sizeOf(slice),
                value: item.value,
                importance: ranked(item.columns),
              },
            ]
          : [];
      }),
      outputs: [...predictor.outputs],
      dependence,
      attributions,
      notes: notes(job, overall !== undefined, departed),
    };
    return {
      report,
      explainer: { ...file, method: attributions.method },
      plots: await explanationPlots(report),
    };
  } finally {
    await predictor.close();
  }
}

/** The raw inputs of all rows of the job. */
async function tableRows({ testPath, signature, testRows }: ExplainJob): Promise<ColumnBatch> {
  const columns = signature.inputs.map(({ name, kind }) => ({ name, kind }));
  const batchRows = Math.max(1, testRows);
  for await (const { rows, feeds } of readBatches({
    parquetPath: testPath,
    columns,
    strict: false,
    batchRows,
  }))
    return {
      rows,
      columns: new Map(columns.map(({ name }) => [name, feeds[name]?.data as InputColumn])),
    };
  return { rows: 0, columns: new Map() };
}

const ranked = <T extends { mean: number; column: string }>(columns: readonly T[]): T[] =>
  [...columns].sort((a, b) => b.mean - a.mean || (a.column < b.column ? -1 : 1));

/** At most `limit` of `count` places, evenly chosen. */
function evenly(count: number, limit: number): Uint32Array {
  const length = Math.min(count, limit);
  return Uint32Array.from({ length }, (_, index) => Math.floor((index * count) / length));
}

/** Exact attributions where they add up to what the model says, else sampled ones. */
async function attributionsOf(
  create: (known: { file?: ExplainerFile }) => Promise<Explainer>,
  file: ExplainerFile,
  batch: ColumnBatch,
  mayShowRows: boolean,
): Promise<{ attributions: ExplanationReport['attributions']; departed: boolean }> {
  let departed = false;
  for (;;) {
    const explainer = await create(departed ? {} : { file });
    try {
      const rows = evenly(batch.rows, attributionRows(explainer.cost));
      const { attributions, hold } = await attributed(explainer, batch, rows, { mayShowRows });
      departed ||= file.method === 'tree' && explainer.method === 'sampled';
      if (hold) return { attributions, departed };
      departed = true;
    } finally {
      await explainer.close();
    }
  }
}

const notes = (job: ExplainJob, defined: boolean, departed: boolean): string[] => [
  ...(defined ? [] : [`${job.metric} is not defined on these rows, so there is no importance`]),
  ...(departed
    ? ['what the trees add up to is not what the model answers, so contributions are sampled']
    : []),
  ...(job.rowsMayBeShown ? [] : ['rows are of people: only means over many of them are shown']),
];
