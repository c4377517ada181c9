import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataPlane } from '../../serving/data-plane.ts';
import { metricsPage, ServingMetrics } from '../../serving/http/metrics.ts';
import type { MetricFamily } from '../../serving/telemetry/metric-source.ts';
import { AppFixture } from './serving-fixture.ts';
import { churnServed, plusModel } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 };

let fixture: AppFixture;
beforeEach(async () => {
  fixture = await AppFixture.create();
});
afterEach(() => fixture.close());

const lines = async (name: string): Promise<string[]> =>
  (await fixture.get('/metrics')).text.split('\n').filter((line) => line.startsWith(`${name}{`));

describe('/metrics', () => {
  it('tells each version, its role and why it was asked apart', async () => {
    await fixture.host.applyRoutes({
      endpoint: 'churn',
      generation: 1,
      routes: [
        { model: await churnServed(fixture.store, '3'), weight: 100, role: 'champion' },
        { model: await churnServed(fixture.store, '4', 2), weight: 0, role: 'challenger' },
      ],
      headerRoutes: [{ header: 'x-try', value: 'new', version: '4' }],
    });
    const ask = (headers: Record<string, string> = {}) =>
      fixture.post('/invocations', { dataframe_records: [ROW] }, headers);
    await ask();
    await ask({ 'x-try': 'new' });
    await fixture.post('/invocations', { dataframe_records: [{ age: 'x' }] }, { 'x-try': 'new' });
    expect(await lines('perennial_requests_total')).toEqual([
      'perennial_requests_total{endpoint="churn",version="3",role="champion",code="200"} 1',
      // The champion refused it as well.
      'perennial_requests_total{endpoint="churn",version="3",role="",code="400"} 1',
      'perennial_requests_total{endpoint="churn",version="4",role="challenger",code="200"} 1',
    ]);
    expect(await lines('perennial_routed_total')).toEqual([
      'perennial_routed_total{endpoint="churn",version="3",reason="sole"} 1',
      'perennial_routed_total{endpoint="churn",version="4",reason="header"} 1',
    ]);
    expect(await lines('perennial_invalid_inputs_total')).toEqual([
      'perennial_invalid_inputs_total{endpoint="churn",version="3"} 1',
      'perennial_invalid_inputs_total{endpoint="churn",version="4"} 0',
    ]);
    expect(await lines('perennial_route_weight')).toEqual([
      'perennial_route_weight{endpoint="churn",version="3",role="champion"} 100',
      'perennial_route_weight{endpoint="churn",version="4",role="challenger"} 0',
    ]);
    // What has not happened yet is 0, so that the first time is an increase.
    expect(await lines('perennial_incidents_total')).toContain(
      'perennial_incidents_total{endpoint="churn",version="4",role="challenger",kind="crash"} 0',
    );
    for (const stage of ['read', 'run', 'write'])
      expect(await lines('perennial_stage_duration_seconds_count')).toContain(
        `perennial_stage_duration_seconds_count{endpoint="churn",version="3",stage="${stage}"} 1`,
      );
  });

  it('counts rows whose answer is no finite number', async () => {
    const model = await plusModel(fixture.store, '1', 3e38);
    await fixture.host.applyRoutes({ endpoint: 'plus', generation: 1, routes: [{ model, weight: 100 }] });
    expect((await fixture.post('/invocations', { instances: [3e38, 1, 2e38] })).body).toEqual({
      predictions: [{ prediction: null }, { prediction: expect.any(Number) }, { prediction: null }],
    });
    expect(await lines('perennial_invalid_outputs_total')).toEqual([
      'perennial_invalid_outputs_total{endpoint="plus",version="1"} 2',
    ]);
  });

  it('forgets versions that are long gone, however many there were', async () => {
    for (let generation = 1; generation <= 50; generation++) {
      const model = await plusModel(fixture.store, `v${generation}`, 1);
      await fixture.host.applyRoutes({ endpoint: 'plus', generation, routes: [{ model, weight: 100 }] });
      await fixture.post('/invocations', { instances: [1] });
    }
    const requests = await lines('perennial_requests_total');
    expect(requests.length).toBeLessThanOrEqual(30);
    expect(requests.join('\n')).toContain('version="v50"');
    expect(requests.join('\n')).not.toContain('version="v1"');
  });

  it('adds up processes that answer as one server', async () => {
    await fixture.serve('3', 7);
    const dataPlane = new DataPlane(fixture.host);
    const families = async (process: string): Promise<readonly MetricFamily[]> => {
      const metrics = new ServingMetrics(dataPlane, { version: '9.9.9', process });
      metrics.predictions.refused({ endpoint: 'churn' }, 400);
      // As it arrives from another process.
      return JSON.parse(JSON.stringify(await metrics.families()));
    };
    const { text } = await metricsPage([await families('1'), await families('2')]);
    const page = text.split('\n');
    expect(page).toContain('perennial_requests_total{endpoint="churn",version="",role="",code="400"} 2');
    expect(page).toContain('perennial_routes_generation{endpoint="churn"} 7');
    expect(page).toContain('perennial_route_weight{endpoint="churn",version="3",role="champion"} 100');
    expect(page).toContain('perennial_ready 1');
    const memory = page.filter((line) => line.startsWith('process_resident_memory_bytes{'));
    expect(memory.map((line) => /process="(\d)"/.exec(line)?.[1])).toEqual(['1', '2']);
    expect(page.filter((line) => line.startsWith('# TYPE perennial_requests_total '))).toHaveLength(1);
  });
});
