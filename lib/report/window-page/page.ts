import type { MonitorState, WindowReport } from '../../../contracts/monitoring.ts';
import { dataPage } from '../data-page.ts';
import { html } from '../html.ts';

/** A window as it is kept. */
export type TrendEntry = MonitorState['trend'][number];

/**
 * The report of a window: one page, light and dark, with nothing loaded from anywhere.
 *
 * @param trend the windows up to this one, the oldest first; this one may be among them
 */
export async function windowPage(report: WindowReport, trend: readonly TrendEntry[]): Promise<string> {
  return dataPage(report.endpoint, html`<h1>${report.endpoint}</h1><p>${trend.length} windows</p>`);
}
