import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServedModel, ServedView } from '../../contracts/serving.ts';
import { startServing } from '../../serving/process/supervisor.ts';
import { PATIENT } from '../support/patience.ts';
import { PredictionLogFixture, quiet } from '../support/prediction-log-fixture.ts';
import {
  ANN,
  DEFAULTS,
  infer,
  invoke,
  MINUTE,
  metric,
  records,
  rowsFrom,
  ShopFixture,
  type ShopTensor,
  shopEvents,
} from '../support/shop-fixture.ts';
import { spending, viewModel } from '../support/view-model.ts';

const WITH_STORE = fileURLToPath(new URL('../support/serving-process-with-features.ts', import.meta.url));

let shop: ShopFixture;
beforeEach(async () => {
  shop = await ShopFixture.create();
});
afterEach(() => shop.close());

const column = (input: string): ServedView['columns'][number] => ({
  input,
  aggregate: 'count',
  value: 0,
  window: 1,
  default: null,
});

describe('while the store cannot be asked', () => {
  const ask = records({ amount: 1, customer: 'ann' });
  const tensors: ShopTensor[] = [
    { name: 'amount', datatype: 'FP32', data: [1] },
    { name: 'customer', datatype: 'BYTES', data: ['ann'] },
  ];

  it.each([{}, { afterMs: 2 }])('defaults stand in, and the answer says so: %o', async (how) => {
    const features = shopEvents(how);
    const server = await shop.serve(features);
    features.down = 'its disk is gone';
    const first = await invoke(server, ask);
    expect(first.predictions).toEqual([DEFAULTS]);
    expect(first.headers.get('perennial-features')).toBe('default');
    const second = await infer(server, tensors, { id: 'a' });
    expect(second.predictions).toEqual([DEFAULTS]);
    expect(second.body).toMatchObject({ id: 'a', parameters: { features: 'default' } });
    expect(second.headers.get('perennial-features')).toBe('default');
    const binary = await fetch(`${server.url}/v2/models/shop/infer`, {
      method: 'POST',
      body: JSON.stringify({
        inputs: tensors.map((tensor) => ({ ...tensor, shape: [1] })),
        parameters: { binary_data_output: true },
      }),
      headers: { 'content-type': 'application/json' },
    });
    const length = Number(binary.headers.get('inference-header-content-length'));
    const json = Buffer.from(await binary.arrayBuffer()).subarray(0, length);
    expect(JSON.parse(json.toString())).toMatchObject({ parameters: { features: 'default' } });
    // Rows that need no store are no defaults.
    const given = await invoke(server, records({ amount: 1, spending_count_1h: 2 }, { amount: 1 }));
    expect(given.headers.get('perennial-features')).toBeNull();
    expect(await rowsFrom(server, 'default')).toBe(3);
    expect(shop.lines.filter((line) => line.includes('cannot be looked up'))).toHaveLength(1);
    expect(shop.lines.join('')).toContain('its disk is gone');
    expect(shop.lines.join('')).not.toContain('"ann"');

    features.down = undefined;
    const again = await infer(server, tensors);
    expect(again.predictions).toEqual([ANN]);
    expect(again.body).not.toHaveProperty('parameters');
    expect(shop.lines.filter((line) => line.includes('are looked up again'))).toHaveLength(1);
  });

  it('the request is refused where the view says so, and answered when the store is back', async () => {
    const features = shopEvents();
    const server = await shop.serve(
      features,
      await viewModel(shop.store, '1', { views: [spending({ unavailable: 'refuse' })] }),
    );
    features.down = 'its disk is gone';
    const refused = await invoke(server, ask);
    expect(refused).toMatchObject({
      status: 503,
      body: {
        error_code: 'TEMPORARILY_UNAVAILABLE',
        message:
          'the features of the view "spending" cannot be looked up: its disk is gone; try again later, or send its inputs with the rows',
      },
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await invoke(server, records({ amount: 1, spending_count_1h: 1 }))).status).toBe(200);
    expect(await rowsFrom(server, 'refused')).toBe(1);
    features.down = undefined;
    expect((await invoke(server, ask)).predictions).toEqual([ANN]);
  });

  it('a refusal has a name of its own, and is blamed on a challenger only where the champion can answer', async () => {
    const features = shopEvents();
    const server = await shop.open({ features });
    const incidents: string[] = [];
    server.dataPlane.listen({ failed: ({ version, kind }) => incidents.push(`${version} ${kind}`) });
    const refuses = (version: string) =>
      viewModel(shop.store, version, { views: [spending({ unavailable: 'refuse' })] });
    const serve = async (generation: number, champion: ServedModel) =>
      server.applyRoutes({
        ...{ endpoint: 'shop', generation },
        routes: [
          { model: champion, weight: 50, role: 'champion' },
          { model: await refuses('2'), weight: 50, role: 'challenger' },
          { model: await refuses('3'), weight: 100, role: 'shadow' },
        ],
        headerRoutes: ['1', '2'].map((version) => ({ header: 'x-to', value: version, version })),
      });
    const failuresOf = async (version: string) =>
      (await server.observeTraffic('shop')).versions.find((one) => one.version === version);
    const shed = () => metric(server, 'perennial_shed_total{endpoint="shop",version="",reason="features"}');
    const told = (kind: string) =>
      metric(
        server,
        `perennial_incidents_total{endpoint="shop",version="2",role="challenger",kind="${kind}"}`,
      );

    await serve(1, await refuses('1'));
    features.down = 'its disk is gone';
    for (const version of ['1', '2', '2'])
      expect((await invoke(server, ask, { 'x-to': version })).status).toBe(503);
    expect(await shed()).toBe(3);
    expect(await failuresOf('1')).toMatchObject({
      requests: 1,
      failures: { features: 1 },
      latency: { positive: {} },
    });
    expect(await failuresOf('2')).toMatchObject({ requests: 0, failures: {} });
    expect([incidents, await told('features')]).toEqual([[], 0]);

    // A champion that can do without: the challenger is what fails, and says why; so is a shadow.
    await serve(2, await viewModel(shop.store, '1'));
    const stoodIn = await invoke(server, ask, { 'x-to': '2' });
    expect([stoodIn.predictions, stoodIn.headers.get('perennial-reason')]).toEqual([[DEFAULTS], 'fallback']);
    expect(await failuresOf('2')).toMatchObject({ requests: 1, failures: { features: 1 } });
    await expect.poll(() => incidents.toSorted()).toEqual(['2 features', '3 features']);
    expect([await told('features'), await told('overload'), await shed()]).toEqual([1, 0, 3]);
  });

  it.each([
    ['there is none', undefined, {}],
    ['the view is not in it', {}, { store: 'shop/other' }],
    ['its values are too old', { until: 2 * MINUTE }, { ttlMs: MINUTE }],
    ['it does not answer in time', { afterMs: 60_000 }, {}],
  ])(
    'the policy of the view holds: %s',
    async (_why, how: { until?: number; afterMs?: number } | undefined, own) => {
      const features = how && shopEvents(how.afterMs === undefined ? {} : { afterMs: how.afterMs });
      if (features && how?.until) features.until = Date.now() - how.until;
      const by = (unavailable: ServedView['unavailable'], version: string) =>
        viewModel(shop.store, version, { views: [spending({ ...own, unavailable })] });
      // Half of it is the store's, the other half the model's.
      const deadlineMs = 6_000;
      const server = await shop.serve(features, await by('default', '1'), { deadlineMs });
      expect((await invoke(server, ask)).predictions).toEqual([DEFAULTS]);
      await server.applyRoutes({
        endpoint: 'shop',
        generation: 2,
        deadlineMs,
        routes: [{ model: await by('refuse', '2'), weight: 100 }],
      });
      expect((await invoke(server, ask)).status).toBe(503);
    },
  );

  it.each([
    ['without a store', undefined, DEFAULTS, 'default'],
    ['with a store in each', WITH_STORE, ANN, 'looked_up'],
  ])('what several processes count is one sum, %s', async (_how, entry, expected, outcome) => {
    const fixture = await PredictionLogFixture.create();
    const server = await startServing({
      serverId: 'several',
      store: { dataDir: fixture.config.dataDir },
      routesFile: join(fixture.config.dataDir, 'routes.json'),
      logger: quiet,
      logLevel: 'silent',
      processes: 2,
      entry,
    });
    try {
      await server.applyRoutes({
        endpoint: 'shop',
        generation: 1,
        routes: [{ model: await viewModel(fixture.store, '1'), weight: 100 }],
      });
      // A process that does not answer in time counts as it last did.
      const counted = () => expect.poll(() => rowsFrom(server, outcome), PATIENT);
      await counted().toBe(0);
      const answers = await Promise.all(Array.from({ length: 40 }, () => invoke(server, ask)));
      expect(new Set(answers.map(({ predictions }) => predictions[0]))).toEqual(new Set([expected]));
      await counted().toBe(40);
    } finally {
      await server.close();
      await fixture.close();
    }
  });

  it('uses values that are young enough', async () => {
    const features = shopEvents();
    features.until = Date.now() - MINUTE;
    const server = await shop.serve(
      features,
      await viewModel(shop.store, '1', { views: [spending({ ttlMs: 60 * MINUTE })] }),
    );
    expect((await invoke(server, ask)).predictions).toEqual([ANN]);
    expect(await metric(server, 'perennial_feature_freshness_seconds')).toBeGreaterThanOrEqual(60);
  });

  it.each([
    ['an input that it gives is no input', spending({ columns: [column('other')] }), 'no input other'],
    ['it is found by what it gives', spending({ entity: ['spending_count_1h'] }), 'both looked up and a key'],
  ])('a version is not loaded whose view does not fit: %s', async (_why, view, message) => {
    const server = await shop.serve(shopEvents());
    const model = await viewModel(shop.store, '2', { views: [view] });
    for (const role of ['champion', 'challenger'] as const) {
      const champion = { model: await viewModel(shop.store, '1'), weight: 50, role: 'champion' } as const;
      const routes =
        role === 'champion' ? [{ model, weight: 100, role }] : [champion, { model, weight: 50, role }];
      await expect(server.applyRoutes({ endpoint: 'shop', generation: 2, routes })).rejects.toMatchObject({
        code: 'ModelInvalid',
        message: expect.stringContaining(message),
      });
    }
    expect((await invoke(server, ask)).predictions).toEqual([ANN]);
  });
});
