import type { z } from 'zod';
import type {
  DriftedColumn,
  MeasuredQuality,
  ObservedWindow,
  WindowReport,
} from '../../contracts/monitoring.ts';
import { type MonitoringSpec, monitoringSpec } from '../../contracts/spec/monitoring.ts';

export type Observation = Omit<WindowReport, 'verdicts'>;

export const watching = (changes: z.input<typeof monitoringSpec> = {}): MonitoringSpec =>
  monitoringSpec.parse(changes);

/** The day of a number. */
export const dayWindow = (index: number): ObservedWindow => ({
  index,
  from: new Date(Date.UTC(2009, 5, 1 + index)).toISOString(),
  before: new Date(Date.UTC(2009, 5, 2 + index)).toISOString(),
});

export const comparedColumn = (name: string, changes: Partial<DriftedColumn> = {}): DriftedColumn => ({
  name,
  kind: 'numeric',
  values: { reference: 5_000, current: 1_000 },
  missing: { reference: 0, current: 0 },
  psi: 0.01,
  jensenShannon: 0.02,
  ks: { statistic: 0.03, pValue: 0.4 },
  chiSquare: null,
  newCategories: null,
  bins: [],
  wasserstein: 0.05,
  adjustedPValue: 0.6,
  drifted: false,
  ...changes,
});

export const measuredOn = (
  labels: number,
  metrics: MeasuredQuality['metrics'] = {},
  intervals: MeasuredQuality['intervals'] = {},
): MeasuredQuality => ({ rows: 1_000, labels, metrics, intervals });

/** A window of 1,000 rows, 500 of them labelled, in which nothing is wrong. */
export const observation = (changes: Partial<Observation> = {}): Observation => ({
  schemaVersion: 1,
  endpoint: 'bank',
  window: dayWindow(0),
  labelled: dayWindow(0),
  versions: { '3': 1_000 },
  reference: { words: 'the training of version 3', rows: 5_000, labels: 1_000, version: '3' },
  rows: 1_000,
  columns: ['a', 'b', 'c', 'd'].map((name) => comparedColumn(name)),
  multivariate: { error: 1.1, reference: 1, deviation: 0.1, components: 2, rows: 1_000 },
  classifier: null,
  predictions: [comparedColumn('probability')],
  labels: comparedColumn('subscribed'),
  quality: measuredOn(500, { roc_auc: 0.8, brier_score: 0.1 }),
  referenceQuality: { roc_auc: 0.82, brier_score: 0.09 },
  estimated: measuredOn(0, { roc_auc: 0.81 }),
  skew: { rows: 500, differing: 0, largest: 0 },
  concept: { detector: 'adwin', labels: 500, changes: [] },
  operations: {
    requests: 1_000,
    rows: 1_000,
    rowsPerSecond: 1,
    latencyMs: { p50: 2, p95: 5, p99: 8 },
    fallbacks: 0,
    invalidOutputs: 0,
    counted: null,
    failed: 0,
    refused: 0,
    uptime: 1,
    cost: null,
  },
  slices: [],
  warnings: [],
  carriedOver: { detector: null, counters: {} },
  ...changes,
});
