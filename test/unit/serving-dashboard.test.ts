import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const NAME = /\b(?:perennial|process|nodejs)_[a-z0-9_]+/g;

/** What the sources of the server call their metrics. */
const own = new Set(
  readdirSync(join(ROOT, 'serving'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...read(join('serving', file)).matchAll(/'(perennial_[a-z_]+)'/g)])
    .map(([, name = '']) => name),
);

function processMetrics(): string[] {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const names = register.getMetricsAsArray().map(({ name }) => name);
  register.clear();
  return names;
}

/** Names in queries, without the suffixes of histograms. Recorded ones have colons. */
const named = (text: string): string[] => [
  ...new Set(
    [...text.replaceAll(/[a-z_]+:[a-z0-9_:]+/g, '').matchAll(NAME)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    ),
  ),
];

const DASHBOARDS = ['deploy/grafana/perennial-serving.json', 'deploy/grafana/perennial-monitoring.json'];

it.each(['deploy/prometheus/perennial-rules.yml', ...DASHBOARDS])(
  '%s names metrics that a server has',
  (path) => {
    const queries = [...read(path).matchAll(/"?expr"?: (\|\n(?: {10}.*\n)+|.*)/g)]
      .map(([, query = '']) => query)
      .join('\n');
    const known = new Set([...own, ...processMetrics()]);
    expect(named(queries).length).toBeGreaterThan(3);
    expect(named(queries).filter((name) => !known.has(name))).toEqual([]);
  },
);

it('every metric of the server is in a dashboard and on the page about it', () => {
  const page = read('docs/serving-observability.md');
  const shown = new Set(DASHBOARDS.flatMap((path) => named(read(path))));
  expect(own.size).toBeGreaterThan(30);
  expect([...own].filter((name) => !shown.has(name))).toEqual([]);
  // Several of a family are written `perennial_log_recorded_total`, `…_rows_total`.
  const words = (name: string): string[] => name.split('_').map((_, i, all) => `…_${all.slice(i).join('_')}`);
  const missing = [...own].filter(
    (name) => !page.includes(`\`${name}\``) && !words(name).some((word) => page.includes(`\`${word}\``)),
  );
  expect(missing).toEqual([]);
});
