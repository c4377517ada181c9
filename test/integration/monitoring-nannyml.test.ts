import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { ReferenceProfile } from '../../contracts/monitoring-reference.ts';
import { referenceProfile } from '../../contracts/monitoring-reference.ts';
import { monitoringSpec } from '../../contracts/spec/monitoring.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import { type WindowStatistics, windowStatistics } from '../../lib/monitoring/window-statistics.ts';
import { DataFixture } from '../support/integration-data.ts';

/** What `test/fixtures/nannyml-reference.py` wrote: tables, and NannyML's figures of them. */
const fixture = z.object({
  window: z.number(),
  columns: z.array(z.string()),
  reference: z.array(z.array(z.union([z.number(), z.string(), z.null()]))),
  analysis: z.array(z.array(z.union([z.number(), z.string(), z.null()]))),
  reconstruction: z.object({
    components: z.number(),
    errors: z.array(z.number()),
    chunkMean: z.number(),
    chunkDeviation: z.number(),
  }),
  binary: z.object({ estimated: z.array(z.record(z.string(), z.number())), corrected: z.boolean() }),
  multiclass: z.object({
    estimated: z.array(z.record(z.string(), z.number())),
    corrected: z.array(z.boolean()),
  }),
});

const FEATURES = [
  { name: 'wide', kind: 'numeric' as const },
  { name: 'tied', kind: 'numeric' as const },
  { name: 'lone', kind: 'numeric' as const },
  { name: 'letter', kind: 'categorical' as const },
  { name: 'side', kind: 'categorical' as const },
];
const BINARY: WatchedProblem = {
  task: 'binary',
  classNames: ['0', '1'],
  positiveClass: '1',
  threshold: 0.4,
};
const MULTICLASS: WatchedProblem = {
  task: 'multiclass',
  classNames: ['blue', 'green', 'red'],
  positiveClass: null,
};
/** Names under which the tables have what the log calls `output_…`. */
const outputOf = (problem: WatchedProblem) => (name: string) =>
  name === 'label' && problem.task === 'multiclass' ? 'colour' : name;

let data: DataFixture;
let nannyml: z.infer<typeof fixture>;

beforeAll(async () => {
  data = await DataFixture.create();
  const path = join(fileURLToPath(new URL('..', import.meta.url)), 'fixtures/nannyml-reference.json');
  nannyml = fixture.parse(JSON.parse(await readFile(path, 'utf8')));
  await createTable('reference', nannyml.reference);
  await createTable('analysis', nannyml.analysis);
});
afterAll(() => data.close());

async function createTable(name: string, rows: z.infer<typeof fixture>['reference']): Promise<void> {
  const sql = (value: string | number | null): string =>
    value === null ? 'NULL' : typeof value === 'number' ? `${value}::DOUBLE` : quoteLiteral(value);
  const values = rows.map((row, i) => `(${i}, ${row.map(sql).join(', ')})`).join(', ');
  const columns = ['i', ...nannyml.columns].map(quoteIdent).join(', ');
  await data.database.run(`CREATE TABLE ${name} AS SELECT * FROM (VALUES ${values}) t(${columns})`);
}

const withTruth = (problem: WatchedProblem): string =>
  problem.task === 'binary'
    ? '(SELECT *, NULL::VARCHAR AS truth_label, truth AS truth_value FROM reference)'
    : '(SELECT *, true_colour AS truth_label, NULL::DOUBLE AS truth_value FROM reference)';

const profileOf = (problem: WatchedProblem): Promise<ReferenceProfile> =>
  buildReference(data.database, {
    version: '1',
    words: 'the reference',
    features: FEATURES,
    rows: { relation: 'reference', columnOf: (name) => name },
    answered: { relation: withTruth(problem), columnOf: outputOf(problem) },
    problem,
  });

async function windows(problem: WatchedProblem): Promise<WindowStatistics[]> {
  const reference = referenceProfile.parse(JSON.parse(JSON.stringify(await profileOf(problem))));
  const found: WindowStatistics[] = [];
  for (let from = 0; from < nannyml.analysis.length; from += nannyml.window)
    found.push(
      await windowStatistics(data.database, {
        reference,
        current: `(SELECT * FROM analysis WHERE i >= ${from} AND i < ${from + nannyml.window})`,
        labelled: null,
        columns: { featureOf: (name) => name, outputOf: outputOf(problem) },
        monitoring: monitoringSpec.parse({}),
        problem,
      }),
    );
  return found;
}

it('the reconstruction error is NannyML’s', async () => {
  const found = await windows(BINARY);
  const { errors, chunkMean, chunkDeviation, components } = nannyml.reconstruction;
  expect(found).toHaveLength(errors.length);
  for (const [i, { multivariate }] of found.entries()) {
    expect(multivariate?.error).toBeCloseTo(errors[i] ?? 0, 9);
    expect(multivariate?.reference).toBeCloseTo(chunkMean, 9);
    expect(multivariate?.deviation).toBeCloseTo(chunkDeviation, 9);
    expect(multivariate).toMatchObject({ components, rows: nannyml.window });
  }
});

/** NannyML rounds its counts to five digits before it makes areas of them. */
const ROUNDED = new Set(['roc_auc', 'average_precision']);

it('the estimated quality of a binary model is NannyML’s', async () => {
  const profile = await profileOf(BINARY);
  expect(profile.calibration?.map((curve) => curve !== null)).toEqual([nannyml.binary.corrected]);
  for (const [i, { estimated }] of (await windows(BINARY)).entries()) {
    expect(estimated).toMatchObject({ rows: nannyml.window, labels: nannyml.reference.length });
    const metrics: Record<string, number | undefined> = estimated?.metrics ?? {};
    for (const [name, value] of Object.entries(nannyml.binary.estimated[i] ?? {}))
      expect(metrics[name], `${name} of window ${i}`).toBeCloseTo(value, ROUNDED.has(name) ? 5 : 9);
  }
});

it('the estimated quality of a model of several classes is NannyML’s', async () => {
  const profile = await profileOf(MULTICLASS);
  expect(profile.calibration?.map((curve) => curve !== null)).toEqual(nannyml.multiclass.corrected);
  const names = {
    roc_auc: 'roc_auc',
    accuracy: 'accuracy',
    f1: 'macro_f1',
    precision: 'macro_precision',
    recall: 'macro_recall',
  };
  for (const [i, { estimated }] of (await windows(MULTICLASS)).entries()) {
    const metrics: Record<string, number | undefined> = estimated?.metrics ?? {};
    for (const [theirs, ours] of Object.entries(names))
      expect(metrics[ours], `${ours} of window ${i}`).toBeCloseTo(
        nannyml.multiclass.estimated[i]?.[theirs] ?? Number.NaN,
        ROUNDED.has(theirs) ? 5 : 9,
      );
  }
});
