import { expect, it } from 'vitest';
import { FROM } from '../../serving/features/row-sources.ts';
import { metricsPage } from '../../serving/http/metrics.ts';
import { FeatureMetrics } from '../../serving/telemetry/feature-metrics.ts';

const served = [{ endpoint: 'shop', view: 'spending' }];

it('shows views in force from the beginning, and nothing of a freshness that nobody knows', async () => {
  const { text } = await metricsPage([new FeatureMetrics(() => served).collect()]);
  expect(text).toContain(
    'perennial_feature_rows_total{endpoint="shop",view="spending",outcome="looked_up"} 0',
  );
  expect(text).not.toContain('perennial_feature_freshness_seconds');
});

it('adds processes up; the store that is furthest behind tells the freshness', async () => {
  const processes = [3, 120].map((freshness) => {
    const metrics = new FeatureMetrics(() => served);
    const series = metrics.of('shop', 'spending');
    series.add(Uint8Array.of(FROM.looked_up, FROM.looked_up, FROM.given));
    series.lookedUp(0.00002, freshness);
    return metrics.collect();
  });
  const { text } = await metricsPage(processes);
  const labels = 'endpoint="shop",view="spending"';
  for (const line of [
    `perennial_feature_rows_total{${labels},outcome="looked_up"} 4`,
    `perennial_feature_rows_total{${labels},outcome="given"} 2`,
    `perennial_feature_lookup_seconds_bucket{${labels},le="0.00001"} 0`,
    `perennial_feature_lookup_seconds_bucket{${labels},le="0.000025"} 2`,
    `perennial_feature_lookup_seconds_count{${labels}} 2`,
    `perennial_feature_freshness_seconds{${labels}} 120`,
  ])
    expect(text).toContain(line);
});

it('forgets the freshness of what is not in force any more, and keeps its counts', async () => {
  const metrics = new FeatureMetrics(() => []);
  metrics.of('shop', 'spending').lookedUp(0.001, 5);
  metrics.of('shop', 'spending').add(Uint8Array.of(FROM.default));
  const { text } = await metricsPage([metrics.collect()]);
  expect(text).toContain('outcome="default"} 1');
  expect(text).not.toContain('perennial_feature_freshness_seconds');
});

it('holds no more views than a bounded number', () => {
  const metrics = new FeatureMetrics(() => []);
  for (let view = 0; view < 2_000; view++) metrics.of('shop', `view${view}`);
  const [rows] = metrics.collect();
  expect(new Set(rows?.values.map(({ labels }) => labels.view)).size).toBe(1_000);
});
