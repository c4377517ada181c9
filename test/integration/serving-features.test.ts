import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ModelInput } from '../../contracts/serving.ts';
import {
  ANN,
  BIG,
  infer,
  invoke,
  MINUTE,
  metric,
  NOBODY,
  post,
  records,
  rowsFrom,
  SEVENTEEN,
  ShopFixture,
  type ShopTensor,
  shopEvents,
  WITHOUT_KEY,
} from '../support/shop-fixture.ts';
import { spending, viewModel, viewPrediction } from '../support/view-model.ts';

let shop: ShopFixture;
beforeEach(async () => {
  shop = await ShopFixture.create();
});
afterEach(() => shop.close());

describe('a version with a feature view', () => {
  it('looks the inputs up by the key, in every shape of /invocations', async () => {
    const features = shopEvents();
    const server = await shop.serve(features);
    for (const body of [
      records({ amount: 1, customer: 'ann' }),
      { instances: [{ customer: 'ann', amount: 1 }] },
      { inputs: { amount: [1], customer: ['ann'] } },
      { inputs: { amount: 1, customer: 'ann' } },
      { dataframe_split: { columns: ['customer', 'amount'], data: [['ann', 1]] } },
      { dataframe_split: { data: [[1, 'ann']], columns: ['amount', 'customer'] } },
    ]) {
      const { status, predictions, headers } = await invoke(server, body);
      expect({ status, predictions, body }).toEqual({ status: 200, predictions: [ANN], body });
      expect(headers.get('perennial-features')).toBeNull();
    }
    expect(features.asked).toHaveLength(6);
  });

  it('takes keys that are text, whole numbers beyond 2^53 and truth values', async () => {
    const server = await shop.serve(shopEvents());
    const rows = `[{"amount":1,"customer":17},{"amount":1,"customer":"17"},{"amount":1,"customer":true},
      {"amount":1,"customer":${BIG}},{"amount":1,"customer":9007199254740992},{"amount":1,"customer":17.0}]`;
    const { predictions } = await invoke(server, `{"dataframe_records":${rows}}`);
    expect(predictions).toEqual([
      SEVENTEEN,
      SEVENTEEN,
      viewPrediction(1, 1, 5),
      viewPrediction(1, 1, 6),
      NOBODY,
      SEVENTEEN,
    ]);
  });

  it('asks once for all rows, and leaves alone what has values or no key', async () => {
    const features = shopEvents();
    const server = await shop.serve(features);
    const { predictions } = await invoke(
      server,
      records(
        { amount: 1, customer: 'ann' },
        { amount: 1, customer: 'ann', spending_count_1h: 3 },
        { amount: 1 },
        { amount: 1, customer: null },
        { amount: 1, customer: '' },
        { amount: 1, customer: 17 },
      ),
    );
    expect(predictions).toEqual([
      ANN,
      viewPrediction(1, 3, undefined),
      WITHOUT_KEY,
      WITHOUT_KEY,
      WITHOUT_KEY,
      SEVENTEEN,
    ]);
    expect(features.asked.map(({ keys }) => keys)).toEqual([['ann', '17']]);
    expect(await rowsFrom(server, 'looked_up')).toBe(2);
    expect(await rowsFrom(server, 'given')).toBe(1);
    expect(await rowsFrom(server, 'without_key')).toBe(3);
    expect(await metric(server, 'perennial_feature_lookup_seconds_count')).toBe(1);
    expect(await metric(server, 'perennial_feature_freshness_seconds')).toBe(0);
  });

  it('takes an input that is sent as missing as it is, and looks nothing up for its row', async () => {
    const features = shopEvents();
    const server = await shop.serve(features);
    for (const body of [
      records({ amount: 1, customer: 'ann', spending_count_1h: null }),
      { instances: [{ spending_count_1h: null, customer: 'ann', amount: 1 }] },
      { inputs: { amount: [1], customer: ['ann'], spending_count_1h: [null] } },
      { dataframe_split: { columns: ['customer', 'amount', 'spending_count_1h'], data: [['ann', 1, null]] } },
      // What the scanner does not take, the plain reader reads alike.
      `{"dataframe_records":[{"amount":1,"customer":"ann","spending_count_1h":null}],"dataframe_records ":0,"dataframe_records":[{"amount":1,"customer":"ann","spending_count_1h":null}]}`,
    ])
      expect((await invoke(server, body)).predictions).toEqual([WITHOUT_KEY]);
    const tensors = [
      { name: 'amount', datatype: 'FP32', data: [1, 1] },
      { name: 'customer', datatype: 'BYTES', data: ['ann', 'ann'] },
      { name: 'spending_count_1h', datatype: 'FP32', data: [null, 3] },
    ];
    expect((await infer(server, tensors)).predictions).toEqual([
      WITHOUT_KEY,
      viewPrediction(1, 3, undefined),
    ]);
    expect(features.asked).toEqual([]);
    const { predictions } = await invoke(
      server,
      records({ amount: 1, customer: 'ann', spending_count_1h: null }, { amount: 1, customer: 'ann' }),
    );
    expect(predictions).toEqual([WITHOUT_KEY, ANN]);
  });

  it('takes keys in tensors, as JSON and as bytes', async () => {
    const server = await shop.serve(shopEvents());
    const amount = { name: 'amount', datatype: 'FP32', data: [1, 1] };
    for (const customer of [
      { name: 'customer', datatype: 'BYTES', data: ['ann', '17'] },
      { name: 'customer', datatype: 'BYTES', data: ['ann', 17] },
    ])
      expect((await infer(server, [amount, customer])).predictions).toEqual([ANN, SEVENTEEN]);
    const whole = { name: 'customer', datatype: 'INT32', data: [17, 18] };
    expect((await infer(server, [whole, amount])).predictions).toEqual([SEVENTEEN, NOBODY]);
    const flags = { name: 'customer', datatype: 'BOOL', data: [1, false] };
    expect((await infer(server, [flags, amount])).predictions).toEqual([viewPrediction(1, 1, 5), NOBODY]);

    const json = Buffer.from(
      JSON.stringify({
        inputs: [
          { name: 'amount', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
          { name: 'customer', datatype: 'INT64', shape: [2], parameters: { binary_data_size: 16 } },
        ],
      }),
    );
    const bytes = Buffer.alloc(24);
    bytes.writeFloatLE(1, 0);
    bytes.writeFloatLE(1, 4);
    bytes.writeBigInt64LE(BigInt(BIG), 8);
    bytes.writeBigInt64LE(17n, 16);
    const { predictions } = await post(server, '/v2/models/shop/infer', Buffer.concat([json, bytes]), {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    });
    expect(predictions).toEqual([viewPrediction(1, 1, 6), SEVENTEEN]);
  });
});

describe('keys that are inputs of the model', () => {
  const input = (kind: ModelInput['kind']): ModelInput => ({ name: 'customer', kind, optional: true });

  it('are the text of a text column, the whole number of a numeric one, and true or false of a flag', async () => {
    const cases: [ModelInput['kind'], unknown, number][] = [
      ['categorical', 'ann', ANN],
      ['text', '17', SEVENTEEN],
      ['numeric', 17, SEVENTEEN],
      ['numeric', 18, NOBODY],
      ['boolean', true, viewPrediction(1, 1, 5)],
      ['categorical', null, WITHOUT_KEY],
      ['numeric', null, WITHOUT_KEY],
    ];
    for (const [kind, customer, expected] of cases) {
      const server = await shop.serve(
        shopEvents(),
        await viewModel(shop.store, '1', { others: [input(kind)] }),
      );
      const { predictions } = await invoke(server, records({ amount: 1, customer }));
      expect([kind, customer, predictions]).toEqual([kind, customer, [expected]]);
    }
  });

  it('are exact where the 32-bit float of the model is not', async () => {
    const features = shopEvents();
    const server = await shop.serve(
      features,
      await viewModel(shop.store, '1', { others: [input('numeric')] }),
    );
    const body = `{"dataframe_records":[{"amount":1,"customer":${BIG}},{"amount":1,"customer":16777217}]}`;
    expect((await invoke(server, body)).predictions).toEqual([viewPrediction(1, 1, 6), NOBODY]);
    const tensor = (datatype: string, data: unknown[]): ShopTensor => ({ name: 'customer', datatype, data });
    const amount = { name: 'amount', datatype: 'FP32', data: [1] };
    await infer(server, [amount, tensor('INT64', [16777217])]);
    expect(features.asked.map(({ keys }) => keys)).toEqual([[BIG, '16777217'], ['16777217']]);
    for (const wrong of [tensor('FP32', [16777217]), tensor('FP32', [16777216]), tensor('FP64', [1.5])])
      expect(await infer(server, [amount, wrong])).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/^row 0, column "customer": /) },
      });
    expect(features.asked).toHaveLength(2);
  });
});

it('makes one key of several columns, and none where a part of it is missing', async () => {
  const features = shopEvents();
  features.add('shop/pairs', '3:ann,2:17', Date.now() - MINUTE, 8);
  const views = [spending({ store: 'shop/pairs', entity: ['customer', 'branch'] })];
  const branch: ModelInput = { name: 'branch', kind: 'numeric', optional: true };
  for (const others of [[], [branch]]) {
    const server = await shop.serve(features, await viewModel(shop.store, '1', { views, others }));
    const { predictions } = await invoke(
      server,
      records(
        { amount: 1, branch: 17, customer: 'ann' },
        { amount: 1, customer: 'ann' },
        { amount: 1, branch: 17 },
      ),
    );
    expect(predictions).toEqual([viewPrediction(1, 1, 8), WITHOUT_KEY, WITHOUT_KEY]);
  }
  expect(features.asked.map(({ keys }) => keys)).toEqual([['3:ann,2:17'], ['3:ann,2:17']]);
});

it('a key that is null in one row takes nothing from the next, read by either reader', async () => {
  const features = shopEvents();
  features.add('shop/pairs', '3:ann,2:17', Date.now() - MINUTE, 8);
  const views = [spending({ store: 'shop/pairs', entity: ['customer', 'branch'] })];
  const server = await shop.serve(features, await viewModel(shop.store, '1', { views }));
  const rows = '[{"amount":1,"customer":"ann","branch":null},{"amount":1,"customer":"ann","branch":17}]';
  for (const body of [`{"instances":${rows}}`, `{"instances":${rows},"instances ":0,"instances":${rows}}`])
    expect((await invoke(server, body)).predictions).toEqual([WITHOUT_KEY, viewPrediction(1, 1, 8)]);
  const tensors = [
    { name: 'amount', datatype: 'FP32', data: [1, 1] },
    { name: 'customer', datatype: 'BYTES', data: ['ann', 'ann'] },
    { name: 'branch', datatype: 'INT64', data: [null, 17] },
  ];
  expect((await infer(server, tensors)).predictions).toEqual([WITHOUT_KEY, viewPrediction(1, 1, 8)]);
});

it('refuses what is no key, without a word of it in the answer or the log', async () => {
  const features = shopEvents();
  const server = await shop.serve(features);
  const secret = `secret-${'x'.repeat(500)}`;
  for (const key of [
    [1],
    { a: 'secret-a' },
    1.5,
    1e300,
    -1e19,
    2 ** 64,
    secret,
    '\ud800secret',
    [['secret-b']],
  ]) {
    const { status, body } = await invoke(server, records({ amount: 1, customer: key }));
    expect({ key, status }).toEqual({ key, status: 400 });
    expect(JSON.stringify(body)).toMatch(/row 0, column \\"customer\\"/);
    expect(JSON.stringify(body)).not.toContain('secret');
  }
  const unknown = await invoke(server, records({ amount: 1, custmer: 'secret' }));
  expect(unknown).toMatchObject({ status: 400, body: { message: expect.stringContaining('"customer"') } });
  expect(features.asked).toEqual([]);
  expect(shop.lines.join('')).not.toContain('secret');
});

it('looks up as of the time of recorded traffic', async () => {
  const features = shopEvents();
  const server = await shop.serve(features, undefined, {}, { replay: true });
  const time = new Date(Date.now() - 60 * MINUTE).toISOString();
  const asked = records({ amount: 1, customer: 'ann' });
  expect((await invoke(server, asked, { 'perennial-time': time })).predictions).toEqual([
    viewPrediction(1, 1, 3),
  ]);
  expect(features.asked.map(({ at }) => at)).toEqual([Date.parse(time)]);
});

it('says which inputs come from which view, and which columns say whose they are', async () => {
  const server = await shop.serve(shopEvents());
  const found = await (await fetch(`${server.url}/v2/models/shop`)).json();
  expect(found).toMatchObject({
    inputs: [
      { name: 'amount', parameters: { optional: false } },
      { name: 'spending_count_1h', parameters: { optional: true, view: 'spending' } },
      { name: 'spending_total_1d', parameters: { optional: true, view: 'spending' } },
      { name: 'customer', datatype: 'BYTES', parameters: { kind: 'key', optional: true } },
    ],
    parameters: {
      views: [
        {
          name: 'spending',
          entity: ['customer'],
          inputs: ['spending_count_1h', 'spending_total_1d'],
          unavailable: 'default',
        },
      ],
    },
  });
  const api = z
    .object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
    .parse(await (await fetch(`${server.url}/openapi.json`)).json());
  expect(api.components.schemas['shop.invocation']).toMatchObject({
    properties: {
      dataframe_records: {
        items: {
          required: ['amount'],
          properties: { customer: { anyOf: expect.arrayContaining([{ type: 'boolean' }]) } },
        },
      },
      instances: { anyOf: [{}, { items: { minItems: 3 } }] },
    },
  });
});

it('closes the store with the server', async () => {
  const features = shopEvents();
  const server = await shop.serve(features);
  await server.close();
  expect(features.closed).toBe(true);
});
