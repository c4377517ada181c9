import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';

/** Metrics of the evaluation that trainers report while they train. */
const LIVE: Partial<Record<MetricName, string>> = {
  roc_auc: 'validation_auc',
  log_loss: 'validation_log_loss',
  root_mean_squared_error: 'validation_rmse',
};
/** What trainers report in any case, by the task. */
const LOSSES = ['validation_log_loss', 'validation_rmse'] as const;

/**
 * How bad a model is by what its trainer reports while it trains: by the metric that chooses where it reports that one,
 * else by its loss. Lower is better.
 *
 * @returns `undefined` where it reports neither
 */
export function liveLoss(metrics: Readonly<Record<string, number>>, metric: MetricName): number | undefined {
  const value = metrics[LIVE[metric] ?? ''];
  if (value !== undefined) return lowerIsBetter(metric) ? value : -value;
  return LOSSES.map((name) => metrics[name]).find((loss) => loss !== undefined);
}
