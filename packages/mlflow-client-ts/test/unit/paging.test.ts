import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, MlflowClient } from '../../src/index.ts';
import { type FaultServer, json, mlflowError, startFaultServer } from '../support/fault-server.ts';

let server: FaultServer;
let client: MlflowClient;

beforeAll(async () => {
  server = await startFaultServer();
  client = new MlflowClient({ trackingUri: server.url, retry: { baseDelayMs: 1 } });
});

afterAll(() => server.close());

const page = (names: string[], next?: string) =>
  json(200, {
    registered_models: names.map((name) => ({ name })),
    ...(next === undefined ? {} : { next_page_token: next }),
  });

const tokens = (): (string | null)[] =>
  server.seen.map((request) => new URL(request.url, server.url).searchParams.get('page_token'));

describe('paging', () => {
  it('follows tokens to the end', async () => {
    server.script(page(['a', 'b'], 't1'), page([], 't2'), page(['c'], ''));
    const models = await collect(client.registeredModels.search());
    expect(models.map((model) => model.name)).toEqual(['a', 'b', 'c']);
    expect(tokens()).toEqual([null, 't1', 't2']);
  });

  it('fetches a page only when it is needed', async () => {
    server.script(page(['a', 'b'], 't1'), page(['c']));
    for await (const model of client.registeredModels.search()) {
      if (model.name === 'b') break;
    }
    expect(server.seen).toHaveLength(1);
  });

  it('stops at the limit without asking further', async () => {
    server.script(page(['a', 'b'], 't1'), page(['c', 'd'], 't2'));
    expect(await collect(client.registeredModels.search({ limit: 2 }))).toHaveLength(2);
    expect(server.seen).toHaveLength(1);
    server.script(page(['a', 'b'], 't1'));
    expect(await collect(client.registeredModels.search({ limit: 0 }))).toEqual([]);
    expect(server.seen).toHaveLength(0);
  });

  it('stops when the server repeats a token', async () => {
    server.script(page(['a'], 'same'));
    await expect(collect(client.registeredModels.search())).rejects.toMatchObject({
      code: 'invalid-response',
    });
    expect(server.seen).toHaveLength(2);
  });

  it('repeats a page that failed, not those before it', async () => {
    server.script(page(['a'], 't1'), mlflowError(503, 'X'), page(['b']));
    expect(await collect(client.registeredModels.search())).toHaveLength(2);
    expect(tokens()).toEqual([null, 't1', 't1']);
  });

  it('sends filter, order and page size', async () => {
    server.script(page([]));
    await collect(
      client.registeredModels.search({ filter: "name = 'a&b'", orderBy: ['name ASC', 'x'], pageSize: 7 }),
    );
    const query = new URL(server.seen[0]?.url ?? '', server.url).searchParams;
    expect(query.get('filter')).toBe("name = 'a&b'");
    expect(query.getAll('order_by')).toEqual(['name ASC', 'x']);
    expect(query.get('max_results')).toBe('7');
  });

  it('names the broken item of a page', async () => {
    server.script(json(200, { registered_models: [{ name: 'a' }, { nome: 'b' }] }));
    await expect(collect(client.registeredModels.search())).rejects.toThrow(/registered_models\[1\]\.name/);
  });
});
