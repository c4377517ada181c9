import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Calibration } from '../../contracts/finishing.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import { featuresSpec } from '../../contracts/spec/features.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { writeNpy } from '../../lib/npy.ts';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { composeEnsemble } from '../../lib/onnx/ensemble.ts';
import { runReference } from './finishing.ts';
import { linearCongruential } from './integration-random.ts';

const ROWS = 1_200;
const NUMBERS: RawColumn[] = [
  { name: 'delay', kind: 'numeric' },
  { name: 'member', kind: 'boolean' },
  { name: 'größe "n"', kind: 'numeric' },
  { name: 'flat', kind: 'numeric' },
  { name: 'wave', kind: 'numeric' },
  { name: 'tide', kind: 'numeric' },
  { name: 'moon', kind: 'numeric' },
  { name: 'weekend', kind: 'boolean' },
];
const OTHERS: RawColumn[] = [
  { name: 'job', kind: 'categorical' },
  { name: 'at', kind: 'datetime' },
  { name: 'note', kind: 'text' },
];
const CLASSES: Record<Task, string[]> = {
  binary: ['no', 'yes'],
  multiclass: ['low', 'mid/range', 'höch'],
  regression: [],
};

/** A composed model of columns of all kinds. */
export interface TrainedModel {
  readonly name: string;
  readonly onnx: Uint8Array;
  readonly signature: ModelSignature;
}

/**
 * Models that LightGBM and scikit-learn trained, composed in all the ways there are: trees and linear models of numbers,
 * and of categories, dates, texts and derived columns; ensembles, whose members read the columns in different orders;
 * calibrated ones.
 */
export async function trainedModels(): Promise<TrainedModel[]> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-models-'));
  try {
    const all = await composed(folder, [...NUMBERS, ...OTHERS], 'mixed');
    const numbers = await composed(folder, NUMBERS, 'numbers');
    return [...all, ...numbers];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function composed(folder: string, columns: RawColumn[], prefix: string): Promise<TrainedModel[]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const parquetPath = join(folder, 'rows.parquet');
  await connection.run(`COPY (SELECT
      CASE WHEN i % 11 = 0 THEN NULL ELSE sin(i) * 30 END AS delay,
      i % 3 = 0 AS member,
      (i * 37) % 101 AS "größe ""n""",
      7 AS flat,
      cos(i) * 1e6 AS wave,
      sin(i / 7.0) AS tide,
      CASE WHEN i % 5 = 0 THEN NULL ELSE (i % 29) - 14 END AS moon,
      i % 7 > 4 AS weekend,
      ['admin', 'blue-collar', NULL, 'None'][1 + i % 4] AS job,
      ['late again', 'on time', NULL, 'again and again'][1 + i % 4] AS note,
      TIMESTAMP '2013-01-03 05:00:00' + INTERVAL (i * 31) HOUR AS at
    FROM range(${ROWS}) AS rows(i)) TO '${parquetPath}' (FORMAT parquet)`);
  const preprocess = new Map<string, Uint8Array>();
  const mixed = columns.length > NUMBERS.length;
  for (const preset of ['tree', 'linear'] as const) {
    const linear = preset === 'linear';
    const spec = featuresSpec.parse({
      ...(linear && mixed ? {} : { text: { maxFeatures: 1, minDocuments: ROWS } }),
      derived: linear ? [{ ratio: ['delay', 'größe "n"'] }] : [],
      columns: linear ? { tide: { log: true } } : {},
    });
    // The graph of the linear models reads the columns from the last to the first.
    const read = linear ? columns.toReversed() : columns;
    const { plan } = await fitFeatures(connection, `'${parquetPath}'`, read, spec, { preset });
    preprocess.set(preset, preprocessGraph(plan));
    const preprocessPath = join(folder, `${preset}-preprocess.onnx`);
    await writeFile(preprocessPath, preprocessGraph(plan));
    await transformTable({ parquetPath, plan, preprocessPath, outPath: join(folder, `${preset}.npy`) });
  }
  connection.closeSync();
  const noise = linearCongruential(ROWS, 3);
  const signal = noise.map((own, i) => Math.sin(i) + Number(i % 4 === 1) + own);
  const labels = {
    binary: Int32Array.from(signal, (value) => Number(value > 0.8)),
    multiclass: Int32Array.from(signal, (value) => Number(value > 0.4) + Number(value > 1.2)),
    regression: Float32Array.from(signal),
  };
  for (const [task, own] of Object.entries(labels)) await writeNpy(join(folder, `${task}.npy`), own, [ROWS]);
  await runReference('train', folder);

  const models: TrainedModel[] = [];
  for (const task of ['binary', 'multiclass', 'regression'] as const) {
    const options: ComposeOptions = {
      task,
      classNames: CLASSES[task],
      ...(task === 'binary' ? { positiveClass: 'no', threshold: 0.4 } : {}),
    };
    const member = async (name: string, preset: string) => ({
      name,
      preprocess: preprocess.get(preset) ?? new Uint8Array(),
      model: await readFile(join(folder, `${name}-${task}.onnx`)),
    });
    const members = [
      await member('boosted', 'tree'),
      await member('forest', 'linear'),
      await member('linear', 'linear'),
    ];
    const add = (name: string, made: { onnx: Uint8Array; signature: ModelSignature }): void => {
      models.push({ name: `${prefix} ${name} ${task}`, ...made });
    };
    for (const own of members) {
      const calibrations = task === 'regression' ? [undefined] : [undefined, ...calibrationsOf(task)];
      for (const calibration of calibrations)
        add(
          `${own.name}${calibration ? ` ${calibration.method}` : ''}`,
          composeModel(own.preprocess, own.model, { ...options, ...(calibration ? { calibration } : {}) }),
        );
    }
    add('average', composeEnsemble(members, { method: 'average', weights: [5, 1, 2] }, options));
    const intercepts = CLASSES[task].length > 2 ? [0.1, 0.2, -0.3] : [0.1];
    add('stack', composeEnsemble(members, { method: 'stack', weights: [1, 0.5, 0.2], intercepts }, options));
  }
  return models;
}

function calibrationsOf(task: Task): Calibration[] {
  const curves = task === 'multiclass' ? 3 : 1;
  const times = <T>(curve: T): T[] => new Array<T>(curves).fill(curve);
  return [
    { method: 'platt', curves: times({ a: 1.3, b: -0.2 }), notes: [] },
    { method: 'isotonic', curves: times({ x: [0.125, 0.5, 0.75], y: [0, 0.375, 1] }), notes: [] },
  ];
}
