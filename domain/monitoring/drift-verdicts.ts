import type { DriftedColumn, Verdict, WindowReport } from '../../contracts/monitoring.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { countText, figure, shareText } from '../rollout/guards/words.ts';
import { byDrift, driftReasons } from './drifted.ts';
import { clipped, NOT_COMPUTED, tooFew, verdictOf } from './verdict.ts';

type Observed = Pick<
  WindowReport,
  'rows' | 'columns' | 'multivariate' | 'classifier' | 'predictions' | 'labels' | 'quality' | 'slices'
>;

/** Features that a message names. */
const NAMED = 3;

/**
 * Data drift: over all features, which may alarm, and of each feature that has drifted, which is named and alarms
 * nobody; the features together; a classifier where one was asked for.
 */
export function dataVerdicts(settings: MonitoringSpec, report: Observed): Verdict[] {
  const { drift, minRows } = settings;
  if (drift === false) return [];
  const { rows } = report;
  const checks = [
    'data-drift' as const,
    ...(drift.multivariate ? ['multivariate-drift' as const] : []),
    ...(drift.classifier ? ['domain-classifier' as const] : []),
  ];
  if (rows < minRows)
    return checks.map((check) => verdictOf(check, 'insufficient', rows, tooFew('rows', rows, minRows)));
  return [
    ...featureVerdicts(drift, report),
    ...(drift.multivariate ? [multivariateVerdict(drift.multivariate.deviations, report)] : []),
    ...(drift.classifier ? [classifierVerdict(drift.classifier.maxAuc, report)] : []),
  ];
}

function featureVerdicts(
  drift: Exclude<MonitoringSpec['drift'], false>,
  { columns, rows }: Observed,
): Verdict[] {
  if (columns.length === 0)
    return [verdictOf('data-drift', 'insufficient', rows, 'no feature was held against the reference')];
  const drifted = columns.filter((column) => column.drifted).sort(byDrift);
  const share = drifted.length / columns.length;
  const named = drifted
    .slice(0, NAMED)
    .map(({ name, psi }) => `${clipped(name, 80)}${psi === null ? '' : ` (PSI ${figure(psi)})`}`);
  const rest = drifted.length - named.length;
  const list = named.length > 0 ? `: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}` : '';
  return [
    verdictOf(
      'data-drift',
      share >= drift.share ? 'breached' : 'ok',
      rows,
      `${drifted.length} of ${columns.length} features (${shareText(share)}) drifted, too many from ${shareText(drift.share)} on${list}`,
      { observed: share, limit: drift.share },
    ),
    ...drifted.map((column) =>
      verdictOf(
        'data-drift',
        'unlimited',
        column.values.current,
        driftReasons(drift, column).join('; ') || 'drifted',
        { of: column.name, observed: column.psi },
      ),
    ),
  ];
}

function multivariateVerdict(deviations: number, { multivariate, rows }: Observed): Verdict {
  if (multivariate === null)
    return verdictOf('multivariate-drift', 'insufficient', rows, `the reconstruction error ${NOT_COMPUTED}`);
  const { error, reference, deviation } = multivariate;
  const off = Math.abs(error - reference);
  const limit = deviations * deviation;
  const times = deviation > 0 ? ` (${figure(off / deviation)} deviations)` : '';
  return verdictOf(
    'multivariate-drift',
    off > limit ? 'breached' : 'ok',
    multivariate.rows,
    `reconstruction error ${figure(error)} against ${figure(reference)} of the reference${times}, at most ${figure(deviations)} deviations apart`,
    { observed: error, limit: error < reference ? reference - limit : reference + limit },
  );
}

function classifierVerdict(maxAuc: number, { classifier, rows }: Observed): Verdict {
  if (classifier === null)
    return verdictOf('domain-classifier', 'insufficient', rows, `the classifier ${NOT_COMPUTED}`);
  const { auc, top } = classifier;
  const by =
    top.length > 0
      ? `, most by ${top
          .slice(0, NAMED)
          .map((name) => clipped(name, 80))
          .join(', ')}`
      : '';
  return verdictOf(
    'domain-classifier',
    auc >= maxAuc ? 'breached' : 'ok',
    classifier.rows,
    `the window can be told from the reference with ROC AUC ${figure(auc)}, too well from ${figure(maxAuc)} on${by}`,
    { observed: auc, limit: maxAuc },
  );
}

/** Drift of the answers, of each output by itself, and of slices. */
export function predictionVerdicts(settings: MonitoringSpec, report: Observed): Verdict[] {
  const { predictions, minRows } = settings;
  if (predictions === false) return [];
  const judged = (
    columns: readonly DriftedColumn[],
    rows: number,
    needed: number,
    slice: string | null,
  ): Verdict[] => {
    if (columns.length === 0)
      return [
        verdictOf(
          'prediction-drift',
          'insufficient',
          rows,
          rows < needed ? tooFew('rows', rows, needed) : 'no answer was held against the reference',
          { slice },
        ),
      ];
    return columns.map((column) =>
      stability('prediction-drift', column, predictions.psi, rows, needed, slice),
    );
  };
  return [
    ...judged(report.predictions, report.rows, minRows, null),
    ...report.slices.flatMap(({ name, rows, predictions: columns }) =>
      judged(columns, rows, sliceRows(settings, name), name),
    ),
  ];
}

/** Drift of the truth. */
export function labelVerdicts({ labels, minLabels }: MonitoringSpec, report: Observed): Verdict[] {
  if (labels === false) return [];
  const known = report.quality.labels;
  if (known < minLabels)
    return [verdictOf('label-drift', 'insufficient', known, tooFew('labels', known, minLabels))];
  if (report.labels === null)
    return [verdictOf('label-drift', 'insufficient', known, `the drift of the truth ${NOT_COMPUTED}`)];
  const verdict = stability('label-drift', report.labels, labels.psi, known, minLabels, null);
  return [{ ...verdict, of: '' }];
}

function stability(
  check: 'prediction-drift' | 'label-drift',
  { name, psi }: DriftedColumn,
  limit: number,
  rows: number,
  needed: number,
  slice: string | null,
): Verdict {
  const about = { of: name, slice, limit };
  if (rows < needed) return verdictOf(check, 'insufficient', rows, tooFew('rows', rows, needed), about);
  if (psi === null)
    return verdictOf(check, 'insufficient', rows, 'PSI: one side has no values to compare', about);
  const state = psi > limit ? 'breached' : 'ok';
  const what = check === 'label-drift' ? 'labels' : 'rows';
  const words = `PSI ${figure(psi)} over ${countText(rows)} ${what}, at most ${figure(limit)}`;
  return verdictOf(check, state, rows, words, { ...about, observed: psi });
}

/** Rows that a slice must have: its own, or the most that any combination of columns asks for. */
export function sliceRows({ slices }: Pick<MonitoringSpec, 'slices'>, name: string): number {
  const own = slices.find((spec) => 'name' in spec && spec.name === name);
  return own ? own.minRows : Math.max(1, ...slices.map(({ minRows }) => minRows));
}
