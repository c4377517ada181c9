import type { WindowReport } from '../../contracts/monitoring.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { assessWindow } from '../../domain/monitoring/assess.ts';

/** A window without a model that it could be held against. */
export const unwatchable = (
  monitoring: MonitoringSpec,
  known: Pick<WindowReport, 'endpoint' | 'window' | 'labelled' | 'versions' | 'operations' | 'carriedOver'>,
  why: string,
): WindowReport => {
  const report = {
    schemaVersion: 1 as const,
    ...known,
    reference: { words: `none: ${why}`, rows: 0, labels: 0, version: '' },
    rows: known.operations?.rows ?? 0,
    columns: [],
    multivariate: null,
    classifier: null,
    predictions: [],
    labels: null,
    quality: { rows: 0, labels: 0, metrics: {}, intervals: {} },
    referenceQuality: {},
    estimated: null,
    skew: null,
    concept: null,
    slices: [],
    warnings: [`nothing to hold the window against: ${why}`],
  };
  return { ...report, verdicts: assessWindow(monitoring, report) };
};
