import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InputColumn } from '../../lib/onnx/tabular-session.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import type { PredictionLog } from '../../serving/log/prediction-log.ts';
import { ModelHost } from '../../serving/model-host.ts';
import type { Prediction } from '../../serving/prediction.ts';
import { PredictionLogFixture, quiet } from '../support/prediction-log-fixture.ts';
import { churnProbability, churnServed } from './serving-models.ts';

let fixture: PredictionLogFixture;
let host: ModelHost;
let dataPlane: DataPlane;
let app: ReturnType<typeof createApp>;
let log: PredictionLog;

beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
  host = await ModelHost.create({
    serverId: 's1',
    store: fixture.store,
    routesFile: join(fixture.config.dataDir, 'routes.json'),
    logger: quiet,
  });
  dataPlane = new DataPlane(host);
  log = await fixture.log('s1', { policy: (endpoint) => host.state(endpoint)?.table.log });
  dataPlane.listen(log);
  app = createApp({ dataPlane, logger: quiet, version: '1', feedback: log });
});
afterEach(async () => {
  await app.close();
  await host.close();
  await fixture.close();
});

const serve = async (policy: object = {}, generation = 1, version = '3', bias = 1, more: object = {}) =>
  host.applyRoutes({
    endpoint: 'churn',
    generation,
    routes: [{ model: await churnServed(fixture.store, version, bias), weight: 100 }],
    log: policy,
    ...more,
  });

const ask = async (rows: object[], headers: Record<string, string> = {}) => {
  const answer = await app.inject({
    method: 'POST',
    url: '/endpoints/churn/invocations',
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify({ dataframe_records: rows }),
  });
  expect(answer.statusCode).toBe(200);
};

const call = ({ requestId, entity, age }: { requestId: string; entity?: string; age: number }) => ({
  endpoint: 'churn',
  requestId,
  entity,
  arrived: performance.now(),
  header: () => undefined,
  read: () => ({
    rows: 1,
    columns: new Map<string, InputColumn>([
      ['age', new Float32Array([age])],
      ['city', ['Ulm']],
      ['active', new Float32Array(1)],
      ['joined', new Float64Array(1)],
    ]),
  }),
});

const tell = async (payload: unknown, type = 'application/json') => {
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/endpoints/churn/feedback',
    headers: { 'content-type': type },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
  return { status: answer.statusCode, body: JSON.parse(answer.body) };
};

describe('answers on record', () => {
  it('have who answered, why, what was asked and what was said, before and after they are archived', async () => {
    await serve();
    await ask(
      [
        { age: 30, city: 'Ulm', joined: 1_700_000_000 },
        { age: 41.5, active: true },
      ],
      { 'x-request-id': 'r1', 'perennial-entity': 'customer-17' },
    );
    await ask([{ age: 50 }], { 'x-request-id': 'r2' });
    expect(await log.flush()).toBe(true);
    const sql = 'SELECT * FROM predictions ORDER BY request_id, row';
    const rows = await fixture.rows(sql);
    const pseudonym = (await log.entityKey()).pseudonym('customer-17');
    expect(rows).toEqual([
      expect.objectContaining({
        request_id: 'r1',
        row: 0,
        endpoint: 'churn',
        version: '3',
        generation: 1,
        role: 'champion',
        reason: 'sole',
        instead_of: null,
        entity: pseudonym,
        input_age: 30,
        input_city: 'Ulm',
        input_active: null,
        input_joined: 1_700_000_000,
        output_label: 'yes',
        output_probability: Math.fround(churnProbability({ age: 30, city: 'Ulm', joined: 1.7e9 })),
      }),
      expect.objectContaining({
        request_id: 'r1',
        row: 1,
        input_age: 41.5,
        input_active: 1,
        input_city: null,
      }),
      expect.objectContaining({ request_id: 'r2', row: 0, entity: null }),
    ]);
    const [first] = rows;
    expect(Date.now() - Number(first?.time)).toBeLessThan(120_000);
    expect(String(first?.digest)).toMatch(/^[0-9a-f]{64}$/);
    await log.close();
    expect(await fixture.roll()).toEqual({ segments: 1, files: 1, rows: 3, unreadable: [] });
    expect(await fixture.rows(sql)).toEqual(rows);
    expect(await fixture.roll()).toMatchObject({ segments: 0, files: 0 });
  });

  it('are sampled, also where a client gives all its requests one id, and without features where the policy says so', async () => {
    await serve({ sample: 0.3, features: false });
    for (let i = 0; i < 200; i++) await ask([{ age: i }], { 'x-request-id': 'always-the-same' });
    await log.flush();
    const taken = await fixture.rows('SELECT * FROM predictions');
    expect(taken.length).toBeGreaterThan(30);
    expect(taken.length).toBeLessThan(90);
    expect(Object.keys(taken[0] ?? {}).filter((name) => name.startsWith('input_'))).toEqual([]);
    expect(taken[0]).toHaveProperty('output_probability');
  });

  it('of several servers and versions are one view; time prunes it', async () => {
    const other = await fixture.log('s2/é');
    dataPlane.listen(other);
    await serve();
    await ask([{ age: 1 }]);
    await serve({}, 2, '4', 2);
    await ask([{ age: 2 }]);
    await log.close();
    await fixture.roll();
    await other.flush();
    const sql = 'SELECT version, count(*) AS n FROM predictions GROUP BY ALL ORDER BY ALL';
    expect(await fixture.rows(sql)).toEqual([
      { version: '3', n: 2 },
      { version: '4', n: 2 },
    ]);
    const hourAgo = new Date(Date.now() - 3_600_000);
    expect(await fixture.rows('SELECT * FROM predictions', { until: hourAgo })).toEqual([]);
    expect(await fixture.rows('SELECT * FROM predictions', { since: hourAgo })).toHaveLength(4);
    expect(await fixture.rows('SELECT * FROM labelled', {}, 'unknown')).toEqual([]);
  });

  it('have the entity by its column, also where one version answers all', async () => {
    await serve({}, 1, '3', 1, { entityColumn: 'city' });
    await ask([{ age: 4, city: 'Ulm' }], { 'x-request-id': 'one' });
    await ask(
      [
        { age: 4, city: 'Ulm' },
        { age: 5, city: 'Bonn' },
      ],
      { 'x-request-id': 'several' },
    );
    await log.close();
    const ulm = (await log.entityKey()).pseudonym('Ulm');
    expect(await fixture.rows('SELECT request_id, entity FROM predictions ORDER BY request_id, row')).toEqual(
      [
        { request_id: 'one', entity: ulm },
        { request_id: 'several', entity: null },
        { request_id: 'several', entity: null },
      ],
    );
  });

  it('never hold the entity, and nothing on disk is readable without the keyring', async () => {
    await serve();
    const needle = 'needle-entity-4711';
    await ask([{ age: 4, city: 'needle-city' }], { 'perennial-entity': needle, 'x-request-id': 'needle-id' });
    await log.flush();
    const bytes = async (): Promise<string> => {
      const folder = join(fixture.config.dataDir, 'predictions');
      const files = await readdir(folder, { recursive: true, withFileTypes: true });
      const contents = files
        .filter((file) => file.isFile())
        .map((file) => readFile(join(file.parentPath, file.name), 'latin1'));
      return (await Promise.all(contents)).join('');
    };
    expect(await bytes()).not.toContain('needle');
    await log.close();
    await fixture.roll();
    expect(await bytes()).not.toContain('needle');
    expect(JSON.stringify(await fixture.rows('SELECT * FROM predictions'))).toContain('needle-city');
    expect(JSON.stringify(await fixture.rows('SELECT * FROM predictions'))).not.toContain(needle);
  });
});

describe('feedback', () => {
  it('joins by request, row and entity, weeks later; the latest wins, and doubles are harmless', async () => {
    await serve();
    await ask([{ age: 1 }, { age: 2 }], { 'x-request-id': 'r1' });
    await ask([{ age: 3 }], { 'x-request-id': 'r2', 'perennial-entity': 'ann' });
    await ask([{ age: 4 }], { 'x-request-id': 'r3', 'perennial-entity': 'bob' });
    await log.close();
    await fixture.roll();

    // The server of weeks later knows nothing of these requests.
    const later = await fixture.log('s9');
    const { truthOf } = await import('../../lib/predictions/truth.ts');
    const key = await later.entityKey();
    const say = async (item: Parameters<typeof truthOf>[1]) =>
      expect(await later.recordTruths([truthOf('churn', item, key)])).toBe(true);
    const weeks = new Date(Date.now() + 21 * 86_400_000).toISOString();
    await say({ requestId: 'r1', row: 1, label: 'no' });
    await say({ requestId: 'r1', row: 1, label: 'yes' });
    await say({ requestId: 'r1', row: 1, metrics: { revenue: 12.5 } });
    await say({ entity: 'ann', at: weeks, value: 1 });
    await say({ entity: 'ann', at: weeks, value: 1 });
    await say({ entity: 'bob', at: '2020-01-01', value: 1 });
    await say({ entity: 'bob', at: new Date(Date.now() + 200 * 86_400_000).toISOString(), value: 0 });
    const labelled = `SELECT request_id, row, truth_label, truth_value, truth_by, metrics['revenue'] AS revenue
      FROM labelled ORDER BY ALL`;
    const expected = [
      { request_id: 'r1', row: 0, truth_label: null, truth_value: null, truth_by: null, revenue: null },
      { request_id: 'r1', row: 1, truth_label: 'yes', truth_value: null, truth_by: 'row', revenue: 12.5 },
      { request_id: 'r2', row: 0, truth_label: null, truth_value: 1, truth_by: 'entity', revenue: null },
      { request_id: 'r3', row: 0, truth_label: null, truth_value: null, truth_by: null, revenue: null },
    ];
    expect(await fixture.rows(labelled)).toEqual(expected);
    await later.close();
    await fixture.roll();
    expect(await fixture.rows(labelled)).toEqual(expected);
  });

  it('goes to the right one of requests of the same id, and to its copies', async () => {
    await serve();
    const requests: Prediction[] = [];
    for (const entity of ['ann', 'bob']) {
      const prediction = await dataPlane.predict(call({ requestId: '1', entity, age: requests.length }));
      log.answered(prediction, 0.001);
      log.shadowed({ ...prediction, role: 'shadow', reason: 'shadow' }, 0.002);
      requests.push(prediction);
      await tell({ requestId: '1', label: `of ${entity}`, metrics: { told: requests.length } });
    }
    const sql = `SELECT input_age AS age, role, truth_label AS label, truth_by AS found, metrics['told'] AS told
      FROM labelled ORDER BY age, role`;
    expect(await fixture.rows(sql)).toEqual(
      ['ann', 'bob'].flatMap((entity, age) =>
        ['champion', 'shadow'].map((role) => ({
          age,
          role,
          label: `of ${entity}`,
          found: 'request',
          told: age + 1,
        })),
      ),
    );
    await tell({ entity: 'ann', at: new Date(Date.now() + 1_000).toISOString(), metrics: { seen: 1 } });
    expect(
      await fixture.rows("SELECT DISTINCT input_age AS age FROM labelled WHERE metrics['seen'] = 1"),
    ).toEqual([{ age: 0 }]);
  });

  it('has metrics by whatever names, as many as there are', async () => {
    await serve();
    await ask([{ age: 1 }], { 'x-request-id': 'r1' });
    const names = Array.from({ length: 1_000 }, (_, i) => `m${i}`);
    await tell(names.map((name, i) => ({ requestId: 'r1', metrics: { [name]: i } })));
    await tell([
      { requestId: 'r1', metrics: { M7: -7 } },
      { requestId: 'r1', row: 0, metrics: { m8: -8 } },
    ]);
    const sql = `SELECT cardinality(metrics) AS n, metrics['m7'] AS m7, metrics['M7'] AS upper, metrics['m8'] AS m8,
      truth_by FROM labelled`;
    const expected = [{ n: 1_001, m7: 7, upper: -7, m8: -8, truth_by: null }];
    expect(await fixture.rows(sql)).toEqual(expected);
    await log.close();
    await fixture.roll();
    expect(await fixture.rows(sql)).toEqual(expected);
  });

  it('about an entity belongs to its latest prediction at or before it, also where only earlier ones are asked for', async () => {
    await serve();
    await ask([{ age: 1 }], { 'x-request-id': 'old', 'perennial-entity': 'ann' });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const between = new Date();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await ask([{ age: 2 }, { age: 3 }], { 'x-request-id': 'new', 'perennial-entity': 'ann' });
    const inAWeek = new Date(Date.now() + 7 * 86_400_000).toISOString();
    expect(await tell([{ entity: 'ann', at: inAWeek, value: true }])).toMatchObject({ status: 202 });
    const sql = 'SELECT request_id, row, truth_value AS v FROM labelled ORDER BY request_id DESC, row';
    expect(await fixture.rows(sql)).toEqual([
      { request_id: 'old', row: 0, v: null },
      { request_id: 'new', row: 0, v: 1 },
      { request_id: 'new', row: 1, v: 1 },
    ]);
    expect(await fixture.rows(sql, { until: between })).toEqual([{ request_id: 'old', row: 0, v: null }]);
    await tell([{ entity: 'ann', at: between.toISOString(), value: 0 }]);
    expect(await fixture.rows(sql, { until: between })).toEqual([{ request_id: 'old', row: 0, v: 0 }]);
  });

  it('is taken as a list, as one object and as JSON Lines; what is wrong is told with its place, and nothing is kept', async () => {
    await serve();
    expect(
      await tell([
        { requestId: 'a', label: 'x' },
        { requestId: 'b', value: 2 },
      ]),
    ).toEqual({
      status: 202,
      body: { endpoint: 'churn', accepted: 2 },
    });
    expect(await tell({ requestId: 'c', row: 1, metrics: { m: 1 } })).toMatchObject({ status: 202 });
    expect(
      await tell('{"requestId":"d","value":1}\n\n{"requestId":"e","value":1}\n', 'application/x-ndjson'),
    ).toMatchObject({
      status: 202,
      body: { accepted: 2 },
    });
    const wrong: [unknown, RegExp][] = [
      [[{ requestId: 'z', label: 'x' }, { requestId: 'z' }], /record 1: give a value, a label or metrics/],
      [[{ label: 'x' }], /either requestId or entity/],
      [[{ entity: 'secret-ann', label: 'x' }], /an entity needs `at`/],
      [[{ entity: 'secret-ann', at: 'secret-yesterday', label: 'x' }], /record 0, at: expected ISO 8601/],
      [[{ requestId: 'secret id', label: 'x' }], /record 0, requestId/],
      [[{ requestId: 'z', label: 'x', extra: 1 }], /record 0: Unrecognized key/],
      ['[', /not JSON/],
      [[], /no feedback/],
    ];
    for (const [payload, words] of wrong) {
      const { status, body } = await tell(payload);
      expect(status).toBe(400);
      expect(body.error).toMatch(words);
      expect(body.error).not.toContain('secret');
    }
    expect((await tell(Array.from({ length: 10_001 }, () => ({ requestId: 'z', value: 1 })))).status).toBe(
      413,
    );
    expect((await tell('a,b', 'text/csv')).status).toBe(415);
    expect(await fixture.rows('SELECT request_id FROM truth ORDER BY 1')).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((request_id) => ({ request_id })),
    );
  });
});

describe('recorded traffic', () => {
  let replaying: ReturnType<typeof createApp>;
  beforeEach(async () => {
    replaying = createApp({ dataPlane, logger: quiet, version: '1', feedback: log, replay: true });
    await serve({ sample: 1 });
  });
  afterEach(() => replaying.close());

  const send = async (url: string, time: string, payload: unknown, headers = {}, to = replaying) =>
    to.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', 'perennial-time': time, ...headers },
      payload: JSON.stringify(payload),
    });
  const predicted = (id: string, time: string, to = replaying) =>
    send(
      '/endpoints/churn/invocations',
      time,
      { dataframe_records: [{ age: 30 }] },
      { 'x-request-id': id, 'perennial-entity': 'customer-1' },
      to,
    );
  const told = (records: object[], time: string, to = replaying) =>
    send('/v1/endpoints/churn/feedback', time, records, {}, to);

  it('stands at the time that it had, and its truth at the time at which it came', async () => {
    expect((await predicted('old', '2009-06-01T10:00:00.250+02:00')).statusCode).toBe(200);
    expect((await predicted('older', '2009-05-31')).statusCode).toBe(200);
    const truth = [{ requestId: 'old', label: 'no' }];
    expect((await told(truth, '2009-06-08T08:00:00')).statusCode).toBe(202);
    expect((await told([{ requestId: 'old', label: 'yes' }], '2009-06-08T08:00:00')).statusCode).toBe(202);
    // By the clock that is replayed nothing had been asked then.
    expect((await told([{ requestId: 'older', label: 'yes' }], '2009-05-30')).statusCode).toBe(202);
    await log.flush();
    const sql = `SELECT request_id, strftime(time, '%Y-%m-%d %H:%M:%S.%g') AS at, truth_label,
      strftime(truth_received_at, '%Y-%m-%d %H:%M') AS received, latency_ms FROM labelled ORDER BY time`;
    const seen = async () => (await fixture.rows(sql)).map(({ latency_ms: _, ...row }) => row);
    const rows = [
      { request_id: 'older', at: '2009-05-31 00:00:00.000', truth_label: null, received: null },
      { request_id: 'old', at: '2009-06-01 08:00:00.250', truth_label: 'yes', received: '2009-06-08 08:00' },
    ];
    expect(await seen()).toEqual(rows);
    for (const { latency_ms: latency } of await fixture.rows(sql)) expect(latency).toBeLessThan(60_000);
    await log.close();
    expect(await fixture.roll()).toMatchObject({ segments: 1, files: 4, rows: 5 });
    expect(await seen()).toEqual(rows);
    const june = { since: new Date('2009-06-01T00:00:00Z'), until: new Date('2009-06-02T00:00:00Z') };
    expect(await fixture.rows('SELECT request_id FROM predictions', june)).toEqual([{ request_id: 'old' }]);
  });

  it('by entity finds the prediction before it', async () => {
    await predicted('first', '2009-05-01');
    await predicted('second', '2009-06-01');
    const known = { entity: 'customer-1', at: '2009-05-15', label: 'yes' };
    expect((await told([known], '2009-07-01')).statusCode).toBe(202);
    await log.flush();
    expect(await fixture.rows('SELECT request_id FROM labelled WHERE truth_by IS NOT NULL')).toEqual([
      { request_id: 'first' },
    ]);
  });

  it('is refused by a server that takes traffic of now, and nothing of it is recorded', async () => {
    const [asked, said] = [
      await predicted('old', '2009-06-01', app),
      await told([{ requestId: 'old', label: 'no' }], '2009-06-01', app),
    ];
    for (const answer of [asked, said]) {
      expect(answer.statusCode).toBe(400);
      expect(answer.body).toMatch(/perennial-time is for recorded traffic.*PERENNIAL_REPLAY=1/);
    }
    expect(log.stats()).toMatchObject({ recorded: 0, truths: 0 });
  });

  it.each(['yesterday', '1244000000', '2009-06-31', '1969-12-31T23:59:59Z', '2009-06-01T25:00:00Z', ''])(
    'is refused where its time is %j',
    async (time) => {
      const asked = await predicted('old', time);
      expect(asked.statusCode).toBe(400);
      expect(asked.body).toContain('must be a moment in ISO 8601');
      expect((await told([{ requestId: 'old', label: 'no' }], time)).statusCode).toBe(400);
      expect(log.stats()).toMatchObject({ recorded: 0, truths: 0 });
    },
  );

  it('without a time is of now', async () => {
    const answer = await replaying.inject({
      method: 'POST',
      url: '/endpoints/churn/invocations',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify({ dataframe_records: [{ age: 30 }] }),
    });
    expect(answer.statusCode).toBe(200);
    await log.flush();
    const [row] = await fixture.rows('SELECT time FROM predictions');
    expect(Math.abs(Date.now() - Number(row?.time))).toBeLessThan(120_000);
  });
});
