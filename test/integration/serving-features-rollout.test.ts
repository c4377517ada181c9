import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { EndpointState } from '../../contracts/endpoint.ts';
import type { RouteTable, ServedModel } from '../../contracts/serving.ts';
import { emptyEndpoint, policyOf, sharedTable, tableFor } from '../../domain/endpoint.ts';
import type { Incident } from '../../serving/prediction.ts';
import type { ModelServer } from '../../serving/server.ts';
import { PATIENT } from '../support/patience.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import {
  ANN,
  invoke,
  post,
  records,
  type ShopAnswer,
  ShopFixture,
  shopEvents,
  WITHOUT_KEY,
} from '../support/shop-fixture.ts';
import { plainModel, viewModel } from '../support/view-model.ts';

let shop: ShopFixture;
let plain: ServedModel;
let keyed: ServedModel;
beforeEach(async () => {
  shop = await ShopFixture.create();
  plain = await plainModel(shop.store, '1');
  keyed = await viewModel(shop.store, '2');
});
afterEach(() => shop.close());

/** The tables of an endpoint's roll-outs, one after the other, as its workflow makes them. */
class Tables {
  #state: EndpointState = emptyEndpoint('shop');

  /** All requests go to one version. */
  sole(model: ServedModel): RouteTable {
    return this.#next(tableFor(this.#state, model));
  }

  /** Half of them, or copies of all, go to another one; by headers a test says which. */
  shared(
    champion: ServedModel,
    model: ServedModel,
    role: 'challenger' | 'shadow' = 'challenger',
  ): RouteTable {
    const share = role === 'shadow' ? 100 : 50;
    const candidate = { model, policy: policyOf(this.#state.table) };
    const table = sharedTable(this.#state, champion, candidate, { share, role });
    const to = ({ version }: ServedModel) => ({ header: 'x-to', value: version, version });
    return this.#next(role === 'shadow' ? table : { ...table, headerRoutes: [champion, model].map(to) });
  }

  #next(table: RouteTable): RouteTable {
    this.#state = { ...this.#state, table };
    return table;
  }
}

const ROW = { amount: 1, customer: 'ann' };
const TENSORS = [
  { name: 'amount', shape: [1], datatype: 'FP32', data: [1] },
  { name: 'customer', shape: [1], datatype: 'BYTES', data: ['ann'] },
];

/** The same row in every shape of both protocols. */
const WAYS: Record<string, (server: ModelServer, headers: Record<string, string>) => Promise<ShopAnswer>> = {
  dataframe_records: (server, headers) => invoke(server, records(ROW), headers),
  dataframe_split: (server, headers) =>
    invoke(server, { dataframe_split: { columns: ['customer', 'amount'], data: [['ann', 1]] } }, headers),
  instances: (server, headers) => invoke(server, { instances: [ROW] }, headers),
  inputs: (server, headers) => invoke(server, { inputs: { amount: [1], customer: ['ann'] } }, headers),
  'what only the plain reader takes': (server, headers) =>
    invoke(server, `{"instances":[${JSON.stringify(ROW)}],"instances":[${JSON.stringify(ROW)}]}`, headers),
  tensors: (server, headers) =>
    post(server, '/v2/models/shop/infer', JSON.stringify({ inputs: TENSORS }), headers),
  'binary tensors': (server, headers) => {
    const bytes = Buffer.from([0, 0, 0x80, 0x3f, 3, 0, 0, 0, ...Buffer.from('ann')]);
    const inputs = TENSORS.map(({ data: _data, ...tensor }, i) => ({
      ...tensor,
      parameters: { binary_data_size: i === 0 ? 4 : 7 },
    }));
    const json = Buffer.from(JSON.stringify({ inputs }));
    return post(server, '/v2/models/shop/infer', Buffer.concat([json, bytes]), {
      ...headers,
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    });
  },
};

const to = (version: string) => ({ 'x-to': version });
const told = ({ status, predictions, headers }: ShopAnswer) => ({
  status,
  predictions,
  version: headers.get('perennial-model-version'),
});

describe('a version with views beside one without', () => {
  it.each(Object.keys(WAYS))('both answer the same request: %s', async (way) => {
    const tables = new Tables();
    const server = await shop.open({ features: shopEvents() });
    const ask = (headers = {}): Promise<ShopAnswer> =>
      WAYS[way]?.(server, headers) ?? Promise.reject(new Error(`there is no way ${way}`));
    await server.applyRoutes(tables.sole(plain));
    expect((await ask()).status).toBe(400);
    await server.applyRoutes(tables.shared(plain, keyed));
    expect(told(await ask(to('1')))).toEqual({ status: 200, predictions: [1], version: '1' });
    expect(told(await ask(to('2')))).toEqual({ status: 200, predictions: [ANN], version: '2' });
    // Rolled back, no client is refused for what it has begun to send.
    await server.applyRoutes(tables.sole(plain));
    expect(told(await ask())).toEqual({ status: 200, predictions: [1], version: '1' });
    // And the other way round: from views to none.
    await server.applyRoutes(tables.sole(keyed));
    await server.applyRoutes(tables.shared(keyed, plain));
    expect(told(await ask(to('1')))).toMatchObject({ predictions: [1], version: '1' });
    await server.applyRoutes(tables.sole(await plainModel(shop.store, '3', 10)));
    expect(told(await ask())).toEqual({ status: 200, predictions: [11], version: '3' });
  });

  it('an older client sends no key yet: who looks up has missing values for it', async () => {
    const server = await shop.open({ features: shopEvents() });
    await server.applyRoutes(new Tables().shared(plain, keyed));
    const without = records({ amount: 1 });
    expect((await invoke(server, without, to('1'))).predictions).toEqual([1]);
    expect((await invoke(server, without, to('2'))).predictions).toEqual([WITHOUT_KEY]);
  });

  it('is still told of a column that nobody knows, and both refuse what is no key: no failure of either', async () => {
    const server = await shop.open({ features: shopEvents() });
    const incidents: Incident[] = [];
    server.dataPlane.listen({ failed: (incident) => incidents.push(incident) });
    await server.applyRoutes(new Tables().shared(plain, keyed));
    for (const [row, problem] of [
      [{ amount: 1, custmer: 'ann' }, 'did you mean \\"customer\\"?'],
      [{ amount: 1, customer: 1.5 }, 'column \\"customer\\"'],
    ] as const)
      for (const version of ['1', '2']) {
        const { status, body } = await invoke(server, records(row), to(version));
        expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining(problem)]);
      }
    expect(incidents).toEqual([]);
  });

  it('a shadow is asked by the key of the request that the champion passed over', async () => {
    const server = await shop.open({ features: shopEvents() });
    const shadowed: unknown[] = [];
    server.dataPlane.listen({ shadowed: ({ outputs }) => shadowed.push(outputs.columns[0]?.data[0]) });
    await server.applyRoutes(new Tables().shared(plain, keyed, 'shadow'));
    expect((await invoke(server, records(ROW))).predictions).toEqual([1]);
    await expect.poll(() => shadowed, PATIENT).toEqual([ANN]);
  });

  it('an entity that only one of them knows keeps its version', async () => {
    const server = await shop.open({ features: shopEvents() });
    const sticky = { sticky: true, entityColumn: 'customer' };
    await server.applyRoutes({ ...new Tables().shared(plain, keyed), headerRoutes: [], ...sticky });
    const of = async (customer: string): Promise<unknown> => {
      const { headers } = await invoke(server, records({ amount: 1, customer }));
      expect(headers.get('perennial-reason')).toBe('entity');
      return headers.get('perennial-model-version');
    };
    const customers = Array.from({ length: 20 }, (_, i) => `customer ${i}`);
    const first = await Promise.all(customers.map(of));
    expect(new Set(first)).toEqual(new Set(['1', '2']));
    expect(await Promise.all(customers.map(of))).toEqual(first);
  });
});

it('a server that is started again still takes what clients send', async () => {
  const tables = new Tables();
  const routesFile = join(shop.folder, 'routes.json');
  const server = await shop.open({ routesFile });
  await server.applyRoutes(tables.sole(keyed));
  await server.applyRoutes(tables.sole(plain));
  await server.close();
  const again = await shop.open({ routesFile });
  expect((await invoke(again, records(ROW))).predictions).toEqual([1]);
});

it('says which columns are passed over; a candidate passes over them, too', async () => {
  const tables = new Tables();
  const server = await shop.open({ features: shopEvents() });
  await server.applyRoutes(tables.sole(keyed));
  await server.loadCandidate('shop', plain);
  const asked = JSON.stringify({ inputs: TENSORS });
  expect((await post(server, '/v2/models/shop/versions/1/infer', asked)).predictions).toEqual([1]);
  await server.applyRoutes(tables.sole(plain));
  const found = await (await fetch(`${server.url}/v2/models/shop`)).json();
  expect(found).toMatchObject({ inputs: [{ name: 'amount' }], parameters: { otherKeys: ['customer'] } });
  const api = z
    .object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
    .parse(await (await fetch(`${server.url}/openapi.json`)).json());
  expect(api.components.schemas['shop.invocation']).toMatchObject({
    properties: {
      dataframe_records: {
        items: {
          required: ['amount'],
          properties: { customer: { description: expect.stringContaining('passed over') } },
        },
      },
    },
  });
});

it('what is passed over is not put on record', async () => {
  const fixture = await PredictionLogFixture.create();
  try {
    const tables = new Tables();
    const server = await shop.open({ predictionLog: (policy) => fixture.log('s1', { policy }) });
    await server.applyRoutes(tables.sole(keyed));
    await server.applyRoutes(tables.sole(plain));
    await invoke(server, records(ROW));
    await server.close();
    const rows = await fixture.rows('SELECT * FROM predictions', {}, 'shop');
    expect(rows).toHaveLength(1);
    expect(
      JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    ).not.toContain('ann');
  } finally {
    await fixture.close();
  }
});
