import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { type ReferenceProfile, referenceProfile } from '../../contracts/monitoring-reference.ts';
import { monitoringSpec } from '../../contracts/spec/monitoring.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import {
  type WindowQuestion,
  type WindowStatistics,
  windowStatistics,
} from '../../lib/monitoring/window-statistics.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const BINARY: WatchedProblem = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes' };
const FEATURES = [
  { name: 'age', kind: 'numeric' as const },
  { name: 'side', kind: 'categorical' as const },
  { name: 'member', kind: 'boolean' as const },
  { name: 'since', kind: 'datetime' as const },
];

/** A number between 0 and 1, the same on every machine. */
const uniform = (salt: string): string => `((hash(i * 31 + ${salt}) % 1000003 + 0.5) / 1000003)`;

/**
 * Rows as the log has them. The answer rises with age; the truth follows it, or, where the concept is another one, the
 * opposite of it.
 */
const logged = (rows: number, salt: number, options: { turned?: boolean; from?: number } = {}): string => {
  const { turned = false, from = 20 } = options;
  const p = `((age - 15) / 80)`;
  return `(SELECT TIMESTAMP '2026-01-01' + to_seconds(i) AS time, age::FLOAT AS input_age, side AS input_side,
      member AS input_member, since AS input_since, ${p} AS output_probability,
      CASE WHEN ${p} >= 0.5 THEN 'yes' ELSE 'no' END AS output_label,
      CASE WHEN ${uniform(`${salt} + 5`)} < ${turned ? `1 - ${p}` : p} THEN 'yes' ELSE 'no' END AS truth_label,
      NULL::DOUBLE AS truth_value, i AS place
    FROM (SELECT i, ${from} + ${uniform(`${salt}`)} * 60 AS age,
      CASE WHEN ${uniform(`${salt} + 1`)} < 0.5 THEN 'left' ELSE 'right' END AS side,
      CASE WHEN ${uniform(`${salt} + 2`)} < 0.3 THEN 1.0::FLOAT ELSE 0.0::FLOAT END AS member,
      1.7e9 + ${uniform(`${salt} + 3`)} * 1e7 AS since FROM range(${rows}) r(i)))`;
};

const LOG = { featureOf: (name: string) => `input_${name}`, outputOf: (name: string) => `output_${name}` };

async function profileOf(
  rows: string,
  monitoring: z.input<typeof monitoringSpec> = {},
  problem = BINARY,
): Promise<ReferenceProfile> {
  const profile = await buildReference(data.database, {
    version: '3',
    words: 'a thousand rows',
    features: FEATURES,
    rows: { relation: rows, columnOf: LOG.featureOf },
    answered: { relation: rows, columnOf: LOG.outputOf, featureOf: LOG.featureOf },
    slices: monitoringSpec.parse(monitoring).slices,
    problem,
  });
  return referenceProfile.parse(JSON.parse(JSON.stringify(profile)));
}

async function look(
  reference: ReferenceProfile,
  current: string,
  {
    monitoring = {},
    ...more
  }: Partial<Omit<WindowQuestion, 'monitoring'>> & { monitoring?: z.input<typeof monitoringSpec> } = {},
): Promise<WindowStatistics> {
  return windowStatistics(data.database, {
    reference,
    current,
    labelled: current,
    monitoring: monitoringSpec.parse(monitoring),
    problem: BINARY,
    ...more,
  });
}

describe('quality', () => {
  it('of labelled rows has intervals that hold it, the same with the same seed', async () => {
    const reference = await profileOf(logged(2_000, 1));
    const found = await look(reference, logged(1_500, 100), { seed: 7 });
    expect(found.quality).toMatchObject({ rows: 1_500, labels: 1_500 });
    for (const metric of ['roc_auc', 'brier_score', 'accuracy'] as const) {
      const value = found.quality.metrics[metric] ?? Number.NaN;
      const { low = 0, high = 0 } = found.quality.intervals[metric] ?? {};
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
      expect(high - low).toBeLessThan(0.1);
      // The same concept: the reference’s value is within reach.
      expect(Math.abs(value - (reference.quality[metric] ?? 0))).toBeLessThan(0.05);
    }
    expect(await look(reference, logged(1_500, 100), { seed: 7 })).toEqual(found);
    const other = await look(reference, logged(1_500, 100), { seed: 8 });
    expect(other.quality.metrics).toEqual(found.quality.metrics);
    expect(other.quality.intervals).not.toEqual(found.quality.intervals);
  });

  it('is estimated where no truth is known, near what it turns out to be', async () => {
    const reference = await profileOf(logged(4_000, 1));
    const current = logged(3_000, 200);
    const { estimated } = await look(reference, current, { labelled: null });
    const { quality } = await look(reference, current);
    expect(estimated).toMatchObject({ rows: 3_000, labels: 4_000 });
    for (const metric of ['roc_auc', 'brier_score', 'accuracy', 'f1', 'log_loss'] as const) {
      const real = quality.metrics[metric] ?? Number.NaN;
      expect(Math.abs((estimated?.metrics[metric] ?? 0) - real), metric).toBeLessThan(0.03);
      const { low = 1, high = 0 } = estimated?.intervals[metric] ?? {};
      expect(low - 0.02, metric).toBeLessThan(real);
      expect(high + 0.02, metric).toBeGreaterThan(real);
    }
  });

  it('the estimate does not see a concept that turned round; real labels do', async () => {
    const found = await look(await profileOf(logged(3_000, 1)), logged(2_000, 300, { turned: true }));
    expect(found.estimated?.metrics.roc_auc).toBeGreaterThan(0.65);
    expect(found.quality.metrics.roc_auc).toBeLessThan(0.35);
    expect(found.columns.filter(({ drifted }) => drifted)).toEqual([]);
  });

  it('says how many labels it rests on; without any there is no figure', async () => {
    const reference = await profileOf(logged(1_000, 1));
    const some = `(SELECT * REPLACE (CASE WHEN place < 40 THEN truth_label END AS truth_label) FROM ${logged(500, 400)})`;
    expect((await look(reference, some)).quality).toMatchObject({ rows: 500, labels: 40 });
    const none = `(SELECT * REPLACE (NULL AS truth_label) FROM ${logged(500, 400)})`;
    expect((await look(reference, none)).quality).toEqual({
      rows: 500,
      labels: 0,
      metrics: {},
      intervals: {},
    });
    expect((await look(reference, none)).labels).toMatchObject({ psi: null, drifted: false });
  });

  it('answers that are none are left out, and told', async () => {
    const odd = `(SELECT * REPLACE (CASE WHEN place < 3 THEN 1.5 WHEN place < 5 THEN NULL ELSE output_probability END AS output_probability) FROM ${logged(300, 500)})`;
    const found = await look(await profileOf(logged(1_000, 1)), odd);
    expect(found.quality).toMatchObject({ rows: 300, labels: 295 });
    expect(found.warnings).toEqual(['5 of 300 rows have an answer that is none: they are not judged']);
  });

  it('of a regression is real alone: nothing is estimated', async () => {
    const problem: WatchedProblem = { task: 'regression', classNames: [], positiveClass: null };
    const rows = (salt: number, shift: number): string =>
      `(SELECT *, input_age + ${shift} AS output_prediction, input_age * 1.0 AS truth_value FROM (SELECT * EXCLUDE (truth_value, output_probability, output_label) FROM ${logged(800, salt)}))`;
    const reference = await profileOf(rows(1, 0), {}, problem);
    expect(reference).toMatchObject({ calibration: null, labels: 800 });
    const found = await look(reference, rows(600, 40), { problem });
    expect(found.estimated).toBeNull();
    expect(found.quality.metrics.mean_absolute_error).toBeCloseTo(40, 4);
    expect(found.predictions[0]).toMatchObject({ name: 'prediction', kind: 'numeric', drifted: true });
    expect(found.labels).toMatchObject({ name: 'truth', kind: 'numeric', drifted: false });
  });
});

describe('drift of answers and truth', () => {
  it('is seen where the answers move, by their own limit', async () => {
    const reference = await profileOf(logged(2_000, 1));
    const found = await look(reference, logged(1_000, 700, { from: 34 }));
    const [probability, label] = found.predictions;
    expect(probability).toMatchObject({ name: 'probability', drifted: true });
    expect(label).toMatchObject({ name: 'label', kind: 'categorical' });
    expect(found.labels).toMatchObject({ name: 'truth', values: { reference: 2_000, current: 1_000 } });
    const off = await look(reference, logged(1_000, 700, { from: 34 }), {
      monitoring: { predictions: false, drift: false, estimate: false },
    });
    expect(off).toMatchObject({ columns: [], multivariate: null, estimated: null });
    expect(off.predictions[0]?.drifted).toBe(false);
  });
});

describe('slices', () => {
  const slices = [
    { columns: ['age'], bins: 2, minRows: 20 },
    { name: 'members on the left', where: "member AND side = 'left'", minRows: 20 },
    { name: 'since long', where: "since < TIMESTAMP '2024-01-01'", minRows: 10 },
  ];

  it('have quality and drift of their own, by the same bins in every window', async () => {
    const reference = await profileOf(logged(4_000, 1), { slices });
    const names = reference.slices.map(({ name }) => name);
    const [younger, older] = names.filter((name) => name.startsWith('age'));
    const found = await look(reference, logged(2_000, 800, { from: 30 }), { monitoring: { slices } });
    expect(found.slices.map(({ name }) => name).sort()).toEqual([...names].sort());
    const [low, high] = [younger, older].map((name) => found.slices.find((slice) => slice.name === name));
    expect((low?.rows ?? 0) + (high?.rows ?? 0)).toBe(2_000);
    // Everybody is ten years older: more are in the upper bin, and their answers have moved.
    expect(Math.max(low?.rows ?? 0, high?.rows ?? 0)).toBeGreaterThan(1_200);
    for (const slice of found.slices) {
      expect(slice.quality).toMatchObject({ rows: slice.rows, labels: slice.rows });
      expect(slice.referenceQuality).toEqual(
        reference.slices.find(({ name }) => name === slice.name)?.quality,
      );
      expect(slice.predictions[0]?.values.current).toBe(slice.rows);
    }
    expect(found.warnings).toEqual([]);
    // Nothing is left behind.
    const { n } = await data.database.row(
      "SELECT count(*) AS n FROM duckdb_tables() WHERE table_name LIKE 'sliced%'",
    );
    expect(Number(n)).toBe(0);
  });

  it('a condition that is none does not blind the rest', async () => {
    const reference = await profileOf(logged(1_000, 1));
    const found = await look(reference, logged(500, 900), {
      monitoring: { slices: [{ name: 'wrong', where: 'nowhere > 1' }] },
    });
    expect(found.slices).toEqual([]);
    expect(found.quality.labels).toBe(500);
    expect(found.warnings[0]).toContain('slices are not looked at: monitoring.slices[0].where');
  });
});

describe('the domain classifier', () => {
  const rowsOf = (sql: string) => ({ relation: sql, columnOf: LOG.featureOf });
  const drift = { classifier: { maxAuc: 0.7 } };

  it('cannot tell rows of the same kind, and can tell those that moved', async () => {
    const reference = await profileOf(logged(4_000, 1));
    const referenceRows = rowsOf(logged(4_000, 1));
    const same = await look(reference, logged(2_000, 1_000), { monitoring: { drift }, referenceRows });
    expect(Math.abs((same.classifier?.auc ?? 0) - 0.5)).toBeLessThan(0.04);
    expect(same.classifier?.rows).toBe(4_000);
    const moved = await look(reference, logged(2_000, 1_000, { from: 40 }), {
      monitoring: { drift },
      referenceRows,
    });
    expect(moved.classifier?.auc).toBeGreaterThan(0.65);
    expect(moved.classifier?.top[0]).toBe('age');
  });

  it('sees what no single feature shows: two that went together no longer do', async () => {
    // In the reference the elder are on the left; in the window they are on the right. Each by itself is as it was.
    const tied = (salt: number, first: string, second: string): string =>
      `(SELECT * REPLACE (CASE WHEN input_age > 50 THEN '${first}' ELSE '${second}' END AS input_side) FROM ${logged(2_000, salt)})`;
    const reference = await profileOf(tied(1, 'left', 'right'));
    const found = await look(reference, tied(2_000, 'right', 'left'), {
      monitoring: { drift },
      referenceRows: rowsOf(tied(1, 'left', 'right')),
    });
    expect(found.columns.some(({ drifted }) => drifted)).toBe(false);
    expect(found.classifier?.auc).toBeGreaterThan(0.95);
    expect(found.classifier?.top.slice(0, 2).sort()).toEqual(['age', 'side']);
  });

  it('says why there is none', async () => {
    const reference = await profileOf(logged(1_000, 1));
    const without = await look(reference, logged(500, 1_100), { monitoring: { drift } });
    expect(without.classifier).toBeNull();
    expect(without.warnings).toEqual([
      'drift.classifier: the rows of the reference are not at hand here, only what is known of them',
    ]);
    const few = await look(reference, logged(20, 1_100), {
      monitoring: { drift },
      referenceRows: rowsOf(logged(1_000, 1)),
    });
    expect(few.classifier).toBeNull();
    expect(few.warnings[0]).toContain('too few rows');
  });
});

it('training rows and the log are read alike: float32, booleans, moments, words for missing values', async () => {
  const training = `(SELECT 0.1 + i AS age, CASE WHEN i % 10 = 0 THEN 'None' ELSE 'left' END AS side,
    i % 3 = 0 AS member, make_timestamp((1700000000 + i) * 1000000) AS since FROM range(1000) r(i))`;
  const log = `(SELECT (0.1 + i)::FLOAT AS input_age, CASE WHEN i % 10 <> 0 THEN 'left' END AS input_side,
    (i % 3 = 0)::FLOAT AS input_member, 1700000000.0::DOUBLE + i AS input_since FROM range(1000) r(i))`;
  const reference = await buildReference(data.database, {
    version: '1',
    words: 'training',
    features: FEATURES,
    rows: { relation: training, columnOf: (name) => name },
    answered: null,
    problem: BINARY,
  });
  const found = await look(reference, log, { labelled: null });
  for (const column of found.columns) {
    expect(column.psi, column.name).toBe(0);
    expect(column.ks?.statistic ?? column.chiSquare?.statistic, column.name).toBe(0);
    expect(column.missing.reference, column.name).toBe(column.missing.current);
    expect(column.drifted, column.name).toBe(false);
  }
  expect(found.multivariate?.error).toBeCloseTo(reference.reconstruction?.error ?? 0, 12);
});
