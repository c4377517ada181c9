import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { RouteTableInput } from '../../contracts/serving.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { type ServingSupervisor, startServing } from '../../serving/process/supervisor.ts';
import { watchedState } from '../support/monitoring-samples.ts';
import { PATIENT } from '../support/patience.ts';
import { PrometheusServer, prometheusPrograms } from '../support/prometheus.ts';
import { viewModel } from '../support/view-model.ts';
import { churnServed } from './serving-models.ts';

const deploy = (path: string): string => fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url));
const RULES = deploy('prometheus/perennial-rules.yml');
const ROW = { age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 };

const programs = await prometheusPrograms();
if ('missing' in programs && process.env.CI) throw new Error(`there is no Prometheus: ${programs.missing}`);
if ('missing' in programs) console.warn(`Tests with a real Prometheus are SKIPPED: ${programs.missing}`);
const { prometheus, promtool } = 'missing' in programs ? { prometheus: '', promtool: '' } : programs;

/** What promtool says, where it is not content. */
function complaint(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(promtool, args, (error, stdout, stderr) =>
      resolve(error ? `${stdout}${stderr}` : ''),
    );
    child.stdin?.end(input);
  });
}

const target = z.object({ expr: z.string() });
const dashboard = z.object({
  title: z.string(),
  schemaVersion: z.number(),
  templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string() })) }),
  annotations: z.object({ list: z.array(z.object({ name: z.string(), expr: z.string().optional() })) }),
  panels: z.array(
    z.object({
      id: z.number(),
      title: z.string(),
      type: z.string(),
      gridPos: z.object({ h: z.number(), w: z.number(), x: z.number(), y: z.number() }),
      datasource: z.object({ uid: z.literal('${datasource}') }).optional(),
      targets: z.array(target).optional(),
    }),
  ),
});

let folder: string;
let server: ServingSupervisor;
let prometheusServer: PrometheusServer | undefined;
let url: string;
let table: RouteTableInput;

/** A server as it is run: two processes, three versions, a prediction log, explanations, features by key. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-prometheus-'));
  const store = await openStore({ dataDir: folder });
  await new MonitorRecords(store.documents).changeState('churn', () => watchedState('churn'));
  const samples = await store.putJson({ rows: [{ ...ROW, active: 1 }], expected: {} });
  const champion = { ...(await churnServed(store, '3')), explanation: { samples } };
  server = await startServing({
    serverId: 's',
    store: { dataDir: folder },
    routesFile: join(folder, 'routes.json'),
    logger: pino({ level: 'silent' }),
    logLevel: 'silent',
    processes: 2,
    predictions: {},
    supervision: { restartMs: 50 },
    entry: fileURLToPath(new URL('../support/serving-process-with-features.ts', import.meta.url)),
  });
  table = {
    endpoint: 'churn',
    generation: 7,
    routes: [
      { model: champion, weight: 75, role: 'champion' },
      { model: await churnServed(store, '4', 2), weight: 25, role: 'challenger' },
      { model: await churnServed(store, '5', 3), weight: 10, role: 'shadow' },
    ],
    headerRoutes: [{ header: 'x-try', value: 'new', version: '4' }],
  };
  await server.applyRoutes(table);
  const model = await viewModel(store, '1');
  await server.applyRoutes({ endpoint: 'shop', generation: 1, routes: [{ model, weight: 100 }] });
  url = server.url;
}, 120_000);
afterAll(async () => {
  await prometheusServer?.close();
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Requests to `churn` that were answered. */
let answered = 0;
const ask = async (rows: unknown[], headers: Record<string, string> = {}): Promise<string | null> => {
  const answer = await fetch(`${url}/endpoints/churn/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ dataframe_records: rows }),
  });
  await answer.arrayBuffer();
  if (answer.ok) answered += 1;
  return answer.headers.get('perennial-model-version');
};

describe.skipIf('missing' in programs)('Prometheus', () => {
  it('takes the rules, and calls somebody when it should', async () => {
    expect(await complaint(['check', 'rules', RULES])).toBe('');
    expect(await complaint(['test', 'rules', deploy('prometheus/perennial-rules.test.yml')])).toBe('');
    expect(await complaint(['check', 'config', deploy('prometheus/prometheus.yml')])).toBe('');
  });

  it('has nothing to say against the names and words of the metrics', async () => {
    await ask([ROW]);
    const page = await fetch(`${url}/metrics`);
    expect(page.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await complaint(['check', 'metrics'], await page.text())).toBe('');
    const open = await fetch(`${url}/metrics`, {
      headers: { accept: 'application/openmetrics-text; version=1.0.0' },
    });
    expect(open.headers.get('content-type')).toBe(
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    const text = await open.text();
    expect(text).toMatch(/# TYPE perennial_requests counter\nperennial_requests_total\{/);
    expect(text).toMatch(/# EOF\n$/);
    expect(text).not.toContain('_total_total');
  });

  it('counts what was asked, and has data for every query of the dashboard and every rule', async () => {
    prometheusServer = await PrometheusServer.start(prometheus, new URL(url).host, RULES);
    const asked = prometheusServer;
    const sum = async (expression: string): Promise<number | undefined> =>
      (await asked.query(expression))[0]?.value;
    await expect.poll(() => sum('up{job="perennial"}'), PATIENT).toBe(1);

    const versions = new Map<string, number>();
    const count = (version: string | null): void => {
      versions.set(version ?? '', (versions.get(version ?? '') ?? 0) + 1);
    };
    for (let i = 0; i < 200; i++) count(await ask([ROW, ROW]));
    for (let i = 0; i < 10; i++) count(await ask([ROW], { 'x-try': 'new' }));
    for (let i = 0; i < 5; i++) await ask([{ age: 'old' }], { 'x-try': 'new' });
    // A scrape may come between any two requests, and one that fails leaves nothing to be found until the next.
    await vi.waitFor(
      async () => {
        expect(await sum('sum(perennial_requests_total{code=~"200|400"})')).toBe(answered + 5);
        expect(await sum('sum(perennial_requests_total{code="200"})')).toBe(answered);
        expect(
          await sum('perennial_requests_total{version="4",role="challenger",code="200"}'),
        ).toBeGreaterThanOrEqual(versions.get('4') ?? 0);
        expect(await sum('perennial_routed_total{version="4",reason="header"}')).toBe(10);
        expect(await sum('perennial_invalid_inputs_total{version="3"}')).toBe(5);
        expect(await sum('perennial_requests_total{version="3",code="400"}')).toBe(5);
        expect(await sum('sum(perennial_request_duration_seconds_count)')).toBe(answered);
        expect(await sum('perennial_request_duration_seconds_bucket{version="3",le="+Inf"}')).toBe(
          await sum('perennial_requests_total{version="3",code="200"}'),
        );
        expect(await sum('sum(perennial_rows_total)')).toBe(answered + 200);
        expect(await sum('perennial_route_weight{version="5",role="shadow"}')).toBe(10);
        expect(await sum('perennial_routes_generation{endpoint="churn"}')).toBe(7);
      },
      { ...PATIENT, interval: 500 },
    );

    // A process that ends while it serves.
    const [victim = 0] = server.pids;
    process.kill(victim, 'SIGKILL');
    await expect.poll(() => sum('sum(perennial_server_process_ends_total{reason="crash"})'), PATIENT).toBe(1);
    await expect.poll(() => sum('perennial_server_processes'), PATIENT).toBe(2);

    await server.applyRoutes({ ...table, generation: 8 });
    const { expressions, calls } = await dashboardExpressions();
    const unanswered = new Set([...expressions, ...(await ruleNames())]);
    expect(calls).toBeGreaterThan(40);
    await expect
      .poll(
        async () => {
          await Promise.all([ask([ROW]), explainOne(), tooLate(), lookUpOne()]);
          for (const expression of unanswered)
            if ((await asked.query(expression)).some(({ value }) => Number.isFinite(value)))
              unanswered.delete(expression);
          return [...unanswered];
        },
        { timeout: 60_000, interval: 500 },
      )
      .toEqual([]);
  }, 180_000);
});

/** More rows than can be computed in the time that the client gives. */
const tooLate = (): Promise<unknown> =>
  ask(
    Array.from({ length: 5_000 }, () => ROW),
    { 'perennial-timeout-ms': '1' },
  );

const lookUpOne = (): Promise<unknown> =>
  fetch(`${url}/endpoints/shop/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_records: [{ amount: 1, customer: 'ann' }] }),
  }).then((answer) => answer.arrayBuffer());

const explainOne = (): Promise<unknown> =>
  fetch(`${url}/endpoints/churn/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_records: [ROW] }),
  }).then((answer) => answer.arrayBuffer());

/** All queries of the dashboards, their variables set. */
async function dashboardExpressions(): Promise<{ expressions: string[]; calls: number }> {
  const found: string[] = [];
  let calls = 0;
  for (const file of ['grafana/perennial-serving.json', 'grafana/perennial-monitoring.json']) {
    const { panels, annotations, templating } = dashboard.parse(
      JSON.parse(await readFile(deploy(file), 'utf8')),
    );
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(templating.list.map(({ name, type }) => [name, type])).toContainEqual([
      'datasource',
      'datasource',
    ]);
    for (const { type, title, targets = [] } of panels)
      if (type !== 'row') expect(targets.length, title).toBeGreaterThan(0);
    const set = (expression: string): string =>
      expression.replaceAll('$__rate_interval', '10s').replaceAll('$endpoint', '.*').replaceAll('$job', '.*');
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => set(expr)));
    const events = annotations.list.flatMap(({ expr }) =>
      expr ? [set(expr).replaceAll('$__interval', '1m')] : [],
    );
    for (const expression of [...expressions, ...events]) expect(expression).not.toContain('$');
    calls += expressions.length;
    found.push(...expressions, ...events);
  }
  return { expressions: found, calls };
}

/** What the recording rules are to be found under. */
async function ruleNames(): Promise<string[]> {
  const text = await readFile(RULES, 'utf8');
  return [...text.matchAll(/record: (\S+)/g)].map(([, name]) => name ?? '');
}
