import type { MonitorState } from '../../contracts/monitoring.ts';
import { renderChart } from './render.ts';

/**
 * One measure over the windows, as a small SVG of less than 60 kB for an alert.
 *
 * @param trend the oldest first
 * @param measure a name of `windowMeasures`, such as `quality.roc_auc`
 */
export async function alertPlot(
  trend: readonly MonitorState['trend'][number][],
  measure: string,
): Promise<string> {
  const values = trend.map(({ window, measures }) => ({
    at: window.before,
    value: measures[measure] ?? null,
  }));
  return renderChart({
    description: measure,
    spec: {
      data: { values },
      mark: 'line',
      encoding: { x: { field: 'at', type: 'temporal' }, y: { field: 'value', type: 'quantitative' } },
    },
  });
}
