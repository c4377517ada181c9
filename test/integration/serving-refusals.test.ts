import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppFixture } from './serving-fixture.ts';
import { plusModel } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: '2023-11-14T22:13:20Z' };
const RECORDS = { dataframe_records: [ROW] };
const AGE_TENSOR = { inputs: [{ name: 'age', shape: [2], datatype: 'FP32', data: [30, 50] }] };

let fixture: AppFixture;
beforeEach(async () => {
  fixture = await AppFixture.create();
});
afterEach(() => fixture.close());

describe('limits and refusals', () => {
  it('answers each protocol in its own words', async () => {
    await fixture.serve();
    const message =
      'the body is not JSON; check quotes and commas, and write null for a missing value: NaN and Infinity are not JSON';
    expect(await fixture.post('/v2/models/churn/infer', '{')).toMatchObject({
      status: 400,
      body: { error: message },
    });
    expect(await fixture.post('/invocations', '{')).toMatchObject({
      status: 400,
      body: { error_code: 'BAD_REQUEST', message },
    });
    expect(await fixture.post('/invocations', '')).toMatchObject({
      status: 400,
      body: { message: 'the body is empty; send a JSON object' },
    });
  });

  it.each(['text/csv', 'text/plain', 'application/x-www-form-urlencoded'])(
    'refuses %s with 415',
    async (type) => {
      await fixture.serve();
      expect(await fixture.post('/invocations', RECORDS, { 'content-type': type })).toMatchObject({
        status: 415,
        body: { message: 'only JSON is read; send the header "Content-Type: application/json"' },
      });
    },
  );

  it('refuses more than 10,000 rows and more than the body limit with 413', async () => {
    await fixture.serve();
    const rows = (count: number): object => ({ inputs: { age: new Array<number>(count).fill(30) } });
    expect((await fixture.post('/invocations', rows(10_000))).status).toBe(200);
    expect((await fixture.post('/invocations', rows(10_001))).status).toBe(413);
    const message = 'the body is larger than 10485760 bytes; send several requests, or use batch scoring';
    const large = JSON.stringify(RECORDS).padEnd(10 * 1024 * 1024 + 1);
    expect(await fixture.post('/invocations', large)).toMatchObject({ status: 413, body: { message } });
    expect(await fixture.post('/v2/models/churn/infer', large)).toMatchObject({
      status: 413,
      body: { error: message },
    });
    expect((await fixture.post('/invocations', large.slice(0, -1))).status).toBe(200);
  });

  it('knows no other paths', async () => {
    expect(await fixture.get('/nope')).toMatchObject({
      status: 404,
      body: { error: 'there is no GET on this path; see docs/serving.md' },
    });
    expect((await fixture.get('/invocations')).status).toBe(404);
    expect((await fixture.get('/v2/models/%E0%A4%A')).status).toBe(400);
  });

  it('takes a name in any script', async () => {
    const model = await plusModel(fixture.store, 'v1 β', 1);
    await fixture.host.applyRoutes({ endpoint: 'Größe/π', generation: 1, routes: [{ model, weight: 100 }] });
    const url = `/endpoints/${encodeURIComponent('Größe/π')}/invocations`;
    const { status, headers } = await fixture.post(url, { instances: [1] });
    expect(status).toBe(200);
    expect(decodeURIComponent(String(headers['perennial-endpoint']))).toBe('Größe/π');
  });

  it('asks for the token where there is one, before it looks at the request', async () => {
    await fixture.close();
    fixture = await AppFixture.create({ token: 's3cret' });
    await fixture.serve();
    const refused = await fixture.post('/invocations', '{');
    expect(refused).toMatchObject({ status: 401, body: { error_code: 'UNAUTHENTICATED' } });
    expect(refused.headers['www-authenticate']).toBe('Bearer');
    expect(
      (await fixture.post('/v2/models/churn/infer', AGE_TENSOR, { authorization: 'Bearer wrong' })).status,
    ).toBe(401);
    expect((await fixture.post('/v2/models/churn/versions/3/infer', AGE_TENSOR)).status).toBe(401);
    expect((await fixture.post('/endpoints/churn/invocations', RECORDS)).status).toBe(401);
    expect((await fixture.post('/invocations', RECORDS, { authorization: 'Bearer s3cret' })).status).toBe(
      200,
    );
    expect((await fixture.get('/v2/health/ready')).status).toBe(200);
  });

  it('tells nothing of the inside where the model itself fails', async () => {
    await fixture.serve();
    const [model] = fixture.host.state('churn')?.models ?? [];
    // A closed model is the one way to make a sound request fail inside.
    await model?.close();
    const { status, body } = await fixture.post('/invocations', RECORDS);
    expect(status).toBe(500);
    expect(body).toMatchObject({ error_code: 'INTERNAL_ERROR' });
    expect(JSON.stringify(body)).not.toMatch(/\bat |\.ts|Ulm/);
    expect(fixture.logged).toContain('a request failed');
    expect(fixture.logged).not.toContain('Ulm');
  });
});

describe('/metrics', () => {
  it('counts requests, rows, latency and the generation', async () => {
    await fixture.serve('3', 7);
    await fixture.post('/invocations', { dataframe_records: [ROW, ROW] });
    await fixture.post('/v2/models/churn/infer', AGE_TENSOR);
    await fixture.post('/v2/models/churn/versions/3/infer', { inputs: [] });
    await fixture.post('/invocations', '{');
    await fixture.post('/v2/models/made-up/infer', AGE_TENSOR);
    const { text } = await fixture.get('/metrics');
    const lines = text.split('\n');
    expect(lines).toContain(
      'perennial_requests_total{endpoint="churn",version="3",role="champion",code="200"} 2',
    );
    expect(lines).toContain('perennial_requests_total{endpoint="churn",version="3",role="",code="400"} 2');
    expect(lines).toContain('perennial_requests_total{endpoint="",version="",role="",code="404"} 1');
    expect(lines).toContain('perennial_rows_total{endpoint="churn",version="3"} 4');
    expect(lines).toContain('perennial_request_duration_seconds_count{endpoint="churn",version="3"} 2');
    expect(lines).toContain('perennial_routes_generation{endpoint="churn"} 7');
    expect(text).not.toContain('made-up');
    expect(text).toContain('process_resident_memory_bytes');
  });
});
