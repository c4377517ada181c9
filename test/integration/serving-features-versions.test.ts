import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FROM } from '../../serving/features/row-sources.ts';
import type { Prediction } from '../../serving/prediction.ts';
import { PATIENT } from '../support/patience.ts';
import {
  ANN,
  DEFAULTS,
  invoke,
  MINUTE,
  NOBODY,
  post,
  records,
  rowsFrom,
  SEVENTEEN,
  ShopFixture,
  shopEvents,
  WITHOUT_KEY,
} from '../support/shop-fixture.ts';
import { spending, viewModel, viewPrediction } from '../support/view-model.ts';

let shop: ShopFixture;
beforeEach(async () => {
  shop = await ShopFixture.create();
});
afterEach(() => shop.close());

describe('a store behind a network', () => {
  it('is asked by many at once, each with its own rows', async () => {
    const features = shopEvents({ afterMs: 5 });
    const server = await shop.serve(features);
    const keys = ['ann', '17', 'nobody', undefined];
    const expected = [ANN, SEVENTEEN, NOBODY, WITHOUT_KEY];
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, place) =>
        invoke(server, records({ amount: 1, customer: keys[place % 4] }, { amount: 1, customer: 'ann' })),
      ),
    );
    expect(answers.map(({ predictions }) => predictions)).toEqual(
      answers.map((_, place) => [expected[place % 4], ANN]),
    );
  });

  it('keeps a model that is taken out of service until its rows are there', async () => {
    const features = shopEvents({ afterMs: 300 });
    const server = await shop.serve(features);
    const asked = invoke(server, records({ amount: 1, customer: 'ann' }));
    await expect.poll(() => features.asked.length).toBe(1);
    await server.applyRoutes({
      endpoint: 'shop',
      generation: 2,
      routes: [{ model: await viewModel(shop.store, '2', { add: 1_000 }), weight: 100 }],
    });
    expect(await asked).toMatchObject({ status: 200, predictions: [ANN] });
  });
});

describe('several versions', () => {
  const ask = records({ amount: 1, customer: 'ann' });
  const one = { name: 'other', kind: 'categorical', optional: true } as const;
  const HEADERS = {
    headerRoutes: [
      { header: 'x-to', value: 'challenger', version: '2' },
      { header: 'x-to', value: 'champion', version: '1' },
    ],
  };

  it.each([undefined, 5])(
    'have their own views looked up, in processes of their own, too',
    async (afterMs) => {
      const features = shopEvents(afterMs === undefined ? {} : { afterMs });
      features.add('shop/later', 'ann', Date.now() - MINUTE, 50);
      const server = await shop.open({ features });
      const challenger = await viewModel(shop.store, '2', { views: [spending({ store: 'shop/later' })] });
      await server.applyRoutes({
        endpoint: 'shop',
        generation: 1,
        routes: [
          { model: await viewModel(shop.store, '1'), weight: 50, role: 'champion' },
          { model: challenger, weight: 50, role: 'challenger' },
        ],
        // Half of it is how long a process may be silent before it is ended.
        deadlineMs: 60_000,
        ...HEADERS,
      });
      const own = await invoke(server, ask, { 'x-to': 'challenger' });
      expect(own.predictions).toEqual([viewPrediction(1, 1, 50)]);
      expect(own.headers.get('perennial-model-version')).toBe('2');
      expect((await invoke(server, ask, { 'x-to': 'champion' })).predictions).toEqual([ANN]);

      // A key that the challenger's process cannot answer for: the champion stands in, with its own features.
      const pid = server.dataPlane.model('shop', '2').pid ?? 0;
      process.kill(pid, 'SIGSTOP');
      try {
        const stoodIn = await invoke(server, ask, { 'x-to': 'challenger', 'perennial-timeout-ms': '6000' });
        expect(stoodIn.predictions).toEqual([ANN]);
        expect(stoodIn.headers.get('perennial-reason')).toBe('fallback');
      } finally {
        process.kill(pid, 'SIGCONT');
      }
    },
  );

  it('ask for equal views once: a stand-in and a shadow with other inputs have them from the first', async () => {
    const features = shopEvents();
    const server = await shop.open({ features });
    const shadowed: number[] = [];
    server.dataPlane.listen({
      shadowed: ({ outputs }) => shadowed.push(Number(outputs.columns[0]?.data[0])),
    });
    await server.applyRoutes({
      endpoint: 'shop',
      generation: 1,
      routes: [
        { model: await viewModel(shop.store, '1'), weight: 100, role: 'champion' },
        {
          model: await viewModel(shop.store, '2', { others: [one], add: 1_000 }),
          weight: 100,
          role: 'shadow',
        },
      ],
    });
    expect((await invoke(server, ask)).predictions).toEqual([ANN]);
    await expect.poll(() => shadowed, PATIENT).toEqual([ANN + 1_000]);
    expect(features.asked).toHaveLength(1);
    expect(await rowsFrom(server, 'looked_up')).toBe(1);
  });

  it('a shadow that reads alike has the rows with their features, as they are', async () => {
    const features = shopEvents();
    const server = await shop.open({ features });
    const shadowed: Prediction[] = [];
    server.dataPlane.listen({ shadowed: (prediction) => shadowed.push(prediction) });
    await server.applyRoutes({
      endpoint: 'shop',
      generation: 1,
      routes: [
        { model: await viewModel(shop.store, '1'), weight: 100, role: 'champion' },
        { model: await viewModel(shop.store, '2', { add: 1_000 }), weight: 100, role: 'shadow' },
      ],
    });
    await invoke(server, ask);
    await expect.poll(() => shadowed.length, PATIENT).toBe(1);
    expect([...(shadowed[0]?.outputs.columns[0]?.data ?? [])]).toEqual([ANN + 1_000]);
    expect([...(shadowed[0]?.features?.views[0]?.sources ?? [])]).toEqual([FROM.looked_up]);
    expect(features.asked).toHaveLength(1);
    expect(await rowsFrom(server, 'given')).toBe(0);
  });

  it('a candidate is asked by its version, and explained', async () => {
    const features = shopEvents();
    const server = await shop.serve(features);
    await server.loadCandidate('shop', await viewModel(shop.store, '9', { add: 1_000 }));
    const answer = await post(
      server,
      '/v2/models/shop/versions/9/infer',
      JSON.stringify({
        inputs: [
          { name: 'amount', datatype: 'FP32', shape: [1], data: [1] },
          { name: 'customer', datatype: 'BYTES', shape: [1], data: ['ann'] },
        ],
      }),
    );
    expect(answer.predictions).toEqual([ANN + 1_000]);
  });

  it('explains what was looked up', async () => {
    const features = shopEvents();
    const rows = [
      { amount: 1, spending_count_1h: 0, spending_total_1d: 1 },
      { amount: 2, spending_count_1h: 3, spending_total_1d: 4 },
    ];
    const model = {
      ...(await viewModel(shop.store, '1')),
      explanation: { samples: await shop.store.putJson({ rows, expected: {} }) },
    };
    const server = await shop.serve(features, model);
    const answer = await post(server, '/endpoints/shop/explain', JSON.stringify(ask));
    expect(answer).toMatchObject({ status: 200, predictions: [ANN] });
    features.down = 'gone';
    const defaults = await post(server, '/endpoints/shop/explain', JSON.stringify(ask));
    expect(defaults.predictions).toEqual([DEFAULTS]);
    expect(defaults.headers.get('perennial-features')).toBe('default');
  });
});
