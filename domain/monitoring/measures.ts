import type { MeasuredQuality, Verdict, WindowReport } from '../../contracts/monitoring.ts';
import { operationShares } from './behaviour-verdicts.ts';
import { byDrift } from './drifted.ts';

const MOST_MEASURES = 500;
/** MLflow takes 250 characters. */
const LONGEST_NAME = 240;

/** A name of the data as part of a metric's name: MLflow takes letters, digits, `_`, `-`, `.` and spaces. */
const safe = (name: string): string => name.replaceAll(/[^A-Za-z0-9_\-. ]/g, '_').trim();

/** Finite numbers by names that MLflow takes, each once, up to a number. */
class Measures {
  readonly #values = new Map<string, number>();

  add(name: string, value: number | null | undefined): void {
    if (value === null || value === undefined || !Number.isFinite(value)) return;
    const base = name.slice(0, LONGEST_NAME);
    let unique = base;
    for (let other = 2; this.#values.has(unique); other++) unique = `${base}_${other}`;
    if (this.#values.size < MOST_MEASURES) this.#values.set(unique, value);
  }

  quality(prefix: string, { metrics, intervals }: MeasuredQuality): void {
    for (const [name, value] of Object.entries(metrics)) {
      this.add(`${prefix}.${name}`, value);
      this.add(`${prefix}.${name}.low`, intervals[name]?.low);
      this.add(`${prefix}.${name}.high`, intervals[name]?.high);
    }
  }

  get all(): Record<string, number> {
    return Object.fromEntries(this.#values);
  }
}

/**
 * The figures of a window by name, for MLflow, OpenMetrics and trends: `rows`, `labels`, `quality.<metric>` with `.low`
 * and `.high`, `estimated.<metric>`, `drift.share`, `drift.psi.<column>`, `multivariate.error`, `multivariate.deviations`,
 * `classifier.roc_auc`, `predictions.psi` (the largest of the outputs), `predictions.psi.<output>`, `labels.psi`,
 * `skew.share`, `features.<view>.differing` and `.stale`, `concept.changes`, `operations.*`, `slice.<name>.<…>`. Finite ones, at most 500: the most drifted columns
 * and then slices come last, and are left out first.
 */
export function measuresOf(report: Omit<WindowReport, 'verdicts'>): Record<string, number> {
  const measures = new Measures();
  const { quality, estimated, columns, multivariate, classifier, predictions, labels, skew, concept } =
    report;
  measures.add('rows', report.rows);
  measures.add('labels', quality.labels);
  measures.quality('quality', quality);
  if (estimated) measures.quality('estimated', estimated);
  if (columns.length > 0)
    measures.add('drift.share', columns.filter(({ drifted }) => drifted).length / columns.length);
  if (multivariate) {
    const { error, reference, deviation } = multivariate;
    measures.add('multivariate.error', error);
    measures.add('multivariate.deviations', (error - reference) / deviation);
  }
  measures.add('classifier.roc_auc', classifier?.auc);
  const indices = predictions.flatMap(({ psi }) => psi ?? []);
  if (indices.length > 0) measures.add('predictions.psi', Math.max(...indices));
  for (const { name, psi } of predictions) measures.add(`predictions.psi.${safe(name)}`, psi);
  measures.add('labels.psi', labels?.psi);
  if (skew) measures.add('skew.share', skew.differing / skew.rows);
  for (const { view, rows, stale, differing } of report.features ?? []) {
    measures.add(`features.${safe(view)}.differing`, rows > stale ? differing / (rows - stale) : undefined);
    measures.add(`features.${safe(view)}.stale`, stale / rows);
  }
  measures.add('concept.changes', concept?.changes.length);
  addOperations(measures, report);
  for (const { name, psi } of [...columns].sort(byDrift)) measures.add(`drift.psi.${safe(name)}`, psi);
  for (const slice of report.slices) {
    const prefix = `slice.${safe(slice.name)}`;
    measures.add(`${prefix}.rows`, slice.rows);
    measures.add(`${prefix}.labels`, slice.quality.labels);
    for (const [metric, value] of Object.entries(slice.quality.metrics))
      measures.add(`${prefix}.quality.${metric}`, value);
    for (const { name, psi } of slice.predictions)
      measures.add(`${prefix}.predictions.psi.${safe(name)}`, psi);
  }
  return measures.all;
}

function addOperations(measures: Measures, { operations }: Pick<WindowReport, 'operations'>): void {
  if (!operations) return;
  const { requests, rowsPerSecond, latencyMs, fallbacks, invalidOutputs, failed, refused, uptime, cost } =
    operations;
  const { errors, invalid } = operationShares(operations);
  const named = {
    requests,
    rows_per_second: rowsPerSecond,
    latency_p50_ms: latencyMs?.p50,
    latency_p95_ms: latencyMs?.p95,
    latency_p99_ms: latencyMs?.p99,
    fallbacks,
    invalid_outputs: invalidOutputs,
    failed,
    refused,
    errors,
    invalid,
    uptime,
    cost,
  };
  for (const [name, value] of Object.entries(named)) measures.add(`operations.${name}`, value);
}

/**
 * The figure that a verdict is about, by its name in {@link measuresOf}; the trend of it is what people want to see.
 *
 * @example measureOf({ check: 'quality', of: 'roc_auc', slice: null }) // 'quality.roc_auc'
 */
export function measureOf({ check, of, slice }: Pick<Verdict, 'check' | 'of' | 'slice'>): string {
  const part = slice === null ? '' : `slice.${safe(slice)}.`;
  switch (check) {
    case 'quality':
      return `${part}quality.${of}`;
    case 'estimated-quality':
      return `${part}estimated.${of}`;
    case 'data-drift':
      return of === '' ? 'drift.share' : `drift.psi.${safe(of)}`;
    case 'multivariate-drift':
      return 'multivariate.error';
    case 'domain-classifier':
      return 'classifier.roc_auc';
    case 'prediction-drift':
      return `${part}predictions.psi${of === '' ? '' : `.${safe(of)}`}`;
    case 'label-drift':
      return 'labels.psi';
    case 'skew':
      return 'skew.share';
    case 'feature-parity':
      return `features.${safe(of)}.differing`;
    case 'concept-drift':
      return 'concept.changes';
    case 'operations':
      return `operations.${of}`;
  }
}
