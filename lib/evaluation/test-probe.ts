import { PerennialError } from '../../contracts/errors.ts';
import type { Footprint, RobustnessResult } from '../../contracts/evaluation-report.ts';
import { nearest } from '../../contracts/issues.ts';
import type { Gate } from '../../contracts/spec/gates.ts';
import { type AskedPerturbation, askedPerturbations, asksLatency } from '../../domain/evaluation-needs.ts';
import type { Database } from '../duckdb/database.ts';
import { openTable, ROW } from '../expectations/table.ts';
import { probed } from './judge-aside.ts';
import type { ProbeQuestion } from './probe-contract.ts';

/** Rows that are scored again for each change of a feature, and answers for all changes together. */
const MOST_ROWS = 20_000;
const LEAST_ROWS = 1_000;
const MOST_ANSWERS = 3_000_000;

/** Single rows whose answer is timed. */
const TIMED_ROWS = 1_000;

/** What is probed: arrays and signature as in {@link ProbeQuestion}, of all test rows. */
export interface ProbedModel
  extends Pick<ProbeQuestion, 'labels' | 'modelPath' | 'signature' | 'problem' | 'threshold'> {
  /** The test part. */
  parquetPath: string;
  scratchDir: string;
  gates: readonly Gate[];
  seed: number;
  signal: AbortSignal;
}

/**
 * Measures robustness and latency on rows of the test part, as far as gates ask for it.
 *
 * @throws PerennialError `ColumnMissing` where a gate names a feature that the model does not have
 */
export async function probedTest(
  database: Database,
  model: ProbedModel,
): Promise<{ robustness: RobustnessResult[]; latency: Footprint['latency'] }> {
  const { gates, signature, labels, scratchDir, signal } = model;
  const perturbations = askedPerturbations(gates);
  const latencyRows = asksLatency(gates) ? TIMED_ROWS : 0;
  if (perturbations.length === 0 && latencyRows === 0) return { robustness: [], latency: null };
  requireFeatures(perturbations, model);
  const changes = perturbations.reduce(
    (sum, { features, robustness }) =>
      sum +
      (features === 'all' ? signature.inputs.length : features.length) * (robustness === 'shift' ? 2 : 1),
    1,
  );
  const limit = Math.min(MOST_ROWS, Math.max(LEAST_ROWS, Math.floor(MOST_ANSWERS / changes)));
  const step = Math.max(1, Math.ceil(labels.length / limit));
  const from = model.seed % step;
  const parquetPath = `${scratchDir}/probed.parquet`;
  const table = await openTable(database, null, { path: model.parquetPath });
  await database.copyToParquet(
    `SELECT * EXCLUDE (${ROW}) FROM ${table.numbered} WHERE ${ROW} % ${step} = ${from} ORDER BY ${ROW}`,
    parquetPath,
  );
  return probed(
    {
      parquetPath,
      labels: labels.filter((_, row) => row % step === from),
      modelPath: model.modelPath,
      signature,
      problem: model.problem,
      ...(model.threshold === undefined ? {} : { threshold: model.threshold }),
      perturbations,
      latencyRows,
    },
    signal,
  );
}

function requireFeatures(
  perturbations: readonly AskedPerturbation[],
  { gates, signature }: ProbedModel,
): void {
  const known = signature.inputs.map(({ name }) => name);
  for (const { features } of perturbations) {
    if (features === 'all') continue;
    for (const feature of features) {
      if (known.includes(feature)) continue;
      const index = gates.findIndex((gate) => 'robustness' in gate && gate.feature === feature);
      const hint = nearest(feature, known);
      throw new PerennialError(
        'ColumnMissing',
        `evaluation.gates[${index}].feature: the model has no input ${feature}${hint ? `; did you mean ${hint}?` : '.'} Its inputs are ${known.slice(0, 40).join(', ')}`,
      );
    }
  }
}
