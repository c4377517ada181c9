import type { ViewParity, WindowReport } from '../../../contracts/monitoring.ts';
import type { TrendEntry } from '../../charts/alert-plot.ts';
import { count, facts, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { trendChart, trendLine } from './parts.ts';

const milliseconds = (value: number): string => `${figure(value)} ms`;
const orUnknown = (value: number | null, text: (value: number) => string): string =>
  value === null ? 'unknown' : text(value);

/** How the servers did. */
export function operationsSection({ operations }: WindowReport, trend: readonly TrendEntry[]): Markup {
  if (!operations) return html`<p>Nothing is known of the servers in this window.</p>`;
  const { latencyMs } = operations;
  return html`${facts([
    ['requests', count(operations.requests)],
    ['rows a second', figure(operations.rowsPerSecond)],
    ['latency p50', latencyMs ? milliseconds(latencyMs.p50) : 'unknown'],
    ['p95', latencyMs ? milliseconds(latencyMs.p95) : 'unknown'],
    ['p99', latencyMs ? milliseconds(latencyMs.p99) : 'unknown'],
    ['failed', orUnknown(operations.failed, count)],
    ['refused', orUnknown(operations.refused, count)],
    ['another version stood in', count(operations.fallbacks)],
    ['invalid answers', count(operations.invalidOutputs)],
    ['uptime', orUnknown(operations.uptime, percent)],
    ['cost', orUnknown(operations.cost, figure)],
  ])}<div class="charts">${trendChart({
    title: 'Latency in milliseconds',
    lines: [
      trendLine(trend, 'operations.latency_p50_ms', { name: 'p50', tone: 'first' }),
      trendLine(trend, 'operations.latency_p99_ms', { name: 'p99', tone: 'second' }),
    ],
  })}${trendChart({
    title: 'Requests in a window',
    lines: [trendLine(trend, 'operations.requests', { name: 'requests', tone: 'first' })],
    format: count,
  })}</div>`;
}

/** Whether the model’s file answers as the servers did, and looked-up features are those of the sources. */
export function skewSection({ skew, features = [] }: WindowReport): Markup {
  return html`${modelWords(skew)}${features.map(featureWords)}`;
}

function modelWords(skew: WindowReport['skew']): Markup {
  if (!skew) return html`<p>Rows were not asked again.</p>`;
  return skew.differing === 0
    ? html`<p>The model’s file answers ${count(skew.rows)} rows of the log as the servers did.</p>`
    : html`<p>The model’s file answers <b>${count(skew.differing)} of ${count(skew.rows)}</b> rows of the log otherwise than the servers did, by up to ${figure(skew.largest)}.</p>`;
}

function featureWords({ view, rows, stale, differing, largest }: ViewParity): Markup {
  const compared = html`<p>View <b>${view}</b>: ${count(differing)} of ${count(rows - stale)} rows had other features than the sources say${differing > 0 ? html`, by up to ${figure(largest)}` : ''}.`;
  return html`${compared}${stale > 0 ? html` ${count(stale)} more were looked up before the latest events were in the store.` : ''}</p>`;
}
