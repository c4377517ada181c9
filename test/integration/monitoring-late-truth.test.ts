import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WindowReport } from '../../contracts/monitoring.ts';
import type { ReferenceProfile } from '../../contracts/monitoring-reference.ts';
import { monitoringSpec } from '../../contracts/spec/monitoring.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import { windowReportOf } from '../../lib/monitoring/window-report.ts';
import type { TruthOf } from '../../lib/monitoring/window-statistics.ts';
import { DataFixture } from '../support/integration-data.ts';
import { dayWindow } from '../support/window-reports.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** 1,000 rows of a day; of their truth `positives` percent are yes, and the answers are `off` from it. */
const rowsOf = (day: number, positives: number, off: number): string =>
  `(SELECT TIMESTAMP '${dayWindow(day).from.slice(0, 10)}' + to_seconds(i * 60) AS time, i AS row,
      i % 40 + ${day > 1 ? 20 : 0} AS input_x, (i % 100 < ${positives})::INT AS yes,
      abs((i % 100 < ${positives})::INT - ${off}) AS output_probability,
      CASE WHEN abs((i % 100 < ${positives})::INT - ${off}) >= 0.5 THEN 'yes' ELSE 'no' END AS output_label,
      CASE WHEN i % 100 < ${positives} THEN 'yes' ELSE 'no' END AS truth_label, NULL::DOUBLE AS truth_value
    FROM range(1000) r(i))`;

const problem = (threshold: number): WatchedProblem => ({
  task: 'binary',
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
  threshold,
});
const SLICES = monitoringSpec.parse({ slices: [{ columns: ['x'], bins: 2 }] }).slices;

const referenceOf = (version: string, relation: string, own: WatchedProblem): Promise<ReferenceProfile> =>
  buildReference(data.database, {
    version,
    words: `version ${version}`,
    features: [{ name: 'x', kind: 'numeric' }],
    rows: { relation, columnOf: (name) => `input_${name}` },
    answered: {
      relation,
      columnOf: (name) => `output_${name}`,
      featureOf: (name) => `input_${name}`,
    },
    slices: SLICES,
    problem: own,
  });

const report = (reference: ReferenceProfile, own: WatchedProblem, truth?: TruthOf): Promise<WindowReport> =>
  windowReportOf(data.database, {
    endpoint: 'bank',
    window: dayWindow(3),
    labelledWindow: dayWindow(1),
    versions: {},
    labelledVersion: '1',
    current: rowsOf(3, 40, 0.1),
    labelled: rowsOf(1, 10, 0.3),
    reference,
    ...(truth ? { truth } : {}),
    monitoring: monitoringSpec.parse({
      quality: [{ metric: 'brier_score', worseBy: 0.02 }],
      slices: SLICES,
      estimate: { worseBy: 0.05 },
    }),
    problem: own,
    operations: null,
    skew: null,
    detector: null,
    counters: {},
  });

describe('truth that comes when another model serves', () => {
  it('is judged by the reference, the threshold and the slices of the model that answered', async () => {
    const [old, renewed] = [problem(0.8), problem(0.5)];
    const before = await referenceOf('1', rowsOf(0, 10, 0.3), old);
    const after = await referenceOf('2', rowsOf(2, 40, 0.1), renewed);
    const found = await report(after, renewed, { reference: before, problem: old });
    const wrong = await report(after, renewed);
    const quality = ({ verdicts }: WindowReport, slice: string | null) =>
      verdicts.find((one) => one.check === 'quality' && one.slice === slice);
    // The old model is as good as it was: 0.09; the new one is better, and nobody asks that of the old one.
    expect(found.referenceQuality.brier_score).toBeCloseTo(0.09, 6);
    expect(quality(found, null)).toMatchObject({ state: 'ok', observed: expect.closeTo(0.09, 6) });
    expect(quality(wrong, null)).toMatchObject({ state: 'breached' });
    // At 0.8 it finds no positive; at the other's 0.5 it would find all.
    expect(found.quality.metrics.recall).toBe(0);
    expect(wrong.quality.metrics.recall).toBe(1);
    expect(found.labels?.drifted).toBe(false);
    expect(wrong.labels?.drifted).toBe(true);
    const slices = found.slices.filter(({ quality: own }) => own.labels > 0);
    expect(slices).toHaveLength(2);
    for (const { referenceQuality } of slices) expect(referenceQuality?.brier_score).toBeCloseTo(0.09, 6);
    // The estimate is of the window's own model.
    expect(found.reference.version).toBe('2');
    expect(found.estimateReference?.brier_score).toBeCloseTo(0.01, 6);
    const estimate = found.verdicts.find(
      ({ check, of }) => check === 'estimated-quality' && of === 'brier_score',
    );
    expect(estimate?.words).toContain('0.01');
  });

  it('is judged by the window’s own model where nothing else is said', async () => {
    const own = problem(0.5);
    const reference = await referenceOf('2', rowsOf(2, 40, 0.1), own);
    const found = await report(reference, own);
    expect(found.estimateReference).toBeUndefined();
    expect(found.referenceQuality).toEqual(reference.quality);
  });
});
