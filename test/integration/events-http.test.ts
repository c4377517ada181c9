import { request } from 'node:http';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import type { Appended, EventBatch } from '../../contracts/events.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import type { EventSink } from '../../serving/http/event-routes.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { DataFixture } from '../support/integration-data.ts';

const TOKEN = 'a token of the test';
const JSONL = { 'content-type': 'application/x-ndjson', authorization: `Bearer ${TOKEN}` };

let data: DataFixture;
let host: ModelHost;
let app: ReturnType<typeof createApp>;

/** The real intake before a log in memory; what the real one answers is tested where it runs. */
const appended: { log: string; batch: EventBatch; waited: boolean }[] = [];
let outage = false;
const sink: EventSink = {
  store: (rows, format, batchId) =>
    storeRows(rows, format, { store: data.store, dataDir: data.folder, batchId }),
  append: async (log, batch): Promise<Appended> => {
    if (outage) throw new PerennialError('ServerUnavailable', 'Temporal cannot be reached now', true);
    const duplicate = appended.some((item) => item.log === log && item.batch.batchId === batch.batchId);
    if (!duplicate) appended.push({ log, batch, waited: true });
    return { log, batchId: batch.batchId, offset: 0, rows: batch.rows, duplicate };
  },
  send: async (log, batch) => void appended.push({ log, batch, waited: false }),
};

beforeAll(async () => {
  data = await DataFixture.create();
  const logger = pino({ level: 'silent' });
  host = await ModelHost.create({
    serverId: 'events',
    store: data.store,
    routesFile: `${data.folder}/routes.json`,
    logger,
  });
  app = createApp({
    dataPlane: new DataPlane(host),
    logger,
    version: '0',
    events: { sink, token: TOKEN },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await app.close();
  await host.close();
  await data.close();
});

const post = (url: string, payload: string | Buffer, headers: Record<string, string> = JSONL) =>
  app.inject({ method: 'POST', url, payload, headers });

describe('POST /v1/events/{log}', () => {
  it('stores the rows and answers with their place; the same rows again are no new batch', async () => {
    const first = await post('/v1/events/calls', '{"a":1}\n{"a":2}\n');
    expect(first.statusCode).toBe(201);
    expect(first.json()).toMatchObject({ log: 'calls', offset: 0, rows: 2, duplicate: false });
    expect(appended.at(-1)).toMatchObject({
      log: 'calls',
      waited: true,
      batch: { rows: 2, format: 'jsonl' },
    });
    const again = await post('/v1/events/calls', '{"a":1}\n{"a":2}\n');
    expect(again.statusCode).toBe(200);
    expect(again.json()).toMatchObject({ duplicate: true });
  });

  it('takes CSV and a batch id', async () => {
    const answer = await post('/v1/events/calls?batchId=day-1', 'a;b\n1;2\n', {
      ...JSONL,
      'content-type': 'text/csv; charset=utf-8',
    });
    expect(answer.statusCode).toBe(201);
    expect(appended.at(-1)?.batch).toMatchObject({ batchId: 'day-1', format: 'csv', rows: 1 });
  });

  it('does not wait for the log where the sender prefers so', async () => {
    const answer = await post('/v1/events/calls', '{"a":3}\n', { ...JSONL, prefer: 'respond-async' });
    expect(answer.statusCode).toBe(202);
    expect(answer.headers['preference-applied']).toBe('respond-async');
    expect(appended.at(-1)).toMatchObject({ waited: false });
  });

  it.each([
    ['a broken line', '/v1/events/calls', '{"a":1}\n{"a":\n', JSONL, 400, /line 2 is not one JSON object/],
    ['a name that is none', '/v1/events/9-lives', '{"a":1}\n', JSONL, 400, /the name of the log: letters/],
    [
      'a batch id with a blank',
      '/v1/events/calls?batchId=a%20b',
      '{"a":1}\n',
      JSONL,
      400,
      /the query: letters/,
    ],
    ['a word in the query that is none', '/v1/events/calls?batch=1', '{"a":1}\n', JSONL, 400, /the query: /],
    ['no rows', '/v1/events/calls', '', JSONL, 400, /there are no rows/],
    [
      'a form',
      '/v1/events/calls',
      'a=1',
      { ...JSONL, 'content-type': 'application/x-www-form-urlencoded' },
      415,
      /send rows as JSON Lines or CSV/,
    ],
    [
      'plain JSON',
      '/v1/events/calls',
      '[]',
      { ...JSONL, 'content-type': 'application/json' },
      415,
      /JSON Lines/,
    ],
    [
      'no token',
      '/v1/events/calls',
      '{"a":1}\n',
      { 'content-type': 'text/csv' },
      401,
      /Authorization: Bearer/,
    ],
    [
      'a wrong token',
      '/v1/events/calls',
      '{"a":1}\n',
      { ...JSONL, authorization: 'Bearer x' },
      401,
      /Bearer/,
    ],
  ] as const)('refuses %s, and stores nothing', async (_, url, body, headers, status, words) => {
    const before = await data.store.blobs();
    const answer = await post(url, body, headers);
    expect(answer.statusCode).toBe(status);
    expect(answer.json().error).toMatch(words);
    expect(await data.store.blobs()).toEqual(before);
  });

  it('says when it is worth trying again', async () => {
    outage = true;
    const answer = await post('/v1/events/calls', '{"a":1}\n');
    outage = false;
    expect(answer.statusCode).toBe(503);
    expect(answer.json().error).toMatch(/Temporal cannot be reached now/);
  });

  it('stores nothing of a sender that breaks off, and goes on', async () => {
    const before = await data.store.blobs();
    const address = app.server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    await new Promise<void>((resolve) => {
      const half = request({
        host: '127.0.0.1',
        port,
        path: '/v1/events/calls',
        method: 'POST',
        headers: { ...JSONL, 'content-length': '1000' },
      });
      half.on('error', () => undefined);
      half.on('close', () => resolve());
      half.write('{"half":1}\n', () => half.destroy());
    });
    expect((await post('/v1/events/calls', '{"whole":1}\n')).statusCode).toBe(201);
    expect(await data.store.blobs()).toHaveLength(before.length + 1);
  });

  it('leaves the words of other routes as they are', async () => {
    const answer = await post('/invocations', 'a,b\n', { 'content-type': 'text/csv' });
    expect(answer.statusCode).toBe(415);
    expect(answer.json().message ?? answer.json().error).toMatch(/only JSON is read/);
  });
});

it('a server without a sink has no such route', async () => {
  const without = createApp({
    dataPlane: new DataPlane(host),
    logger: pino({ level: 'silent' }),
    version: '0',
  });
  const answer = await without.inject({
    method: 'POST',
    url: '/v1/events/calls',
    payload: '{}',
    headers: JSONL,
  });
  expect([404, 415]).toContain(answer.statusCode);
});
