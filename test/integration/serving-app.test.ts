import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { churnProbability, churnServed, plusModel } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: '2023-11-14T22:13:20Z' };
const PROBABILITY = churnProbability({ age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 });
const RECORDS = { dataframe_records: [ROW] };
const AGE_TENSOR = { inputs: [{ name: 'age', shape: [2], datatype: 'FP32', data: [30, 50] }] };

let folder: string;
let store: ArtifactStore;
let host: ModelHost;
let app: FastifyInstance;
let logged: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-app-'));
  store = await ArtifactStore.create(join(folder, 'store'));
  logged = '';
  const write = (line: string): void => {
    logged += line;
  };
  const logger = pino({ level: 'debug' }, { write });
  host = await ModelHost.create({ serverId: 's1', store, routesFile: join(folder, 'routes.json'), logger });
  app = createApp({ dataPlane: new DataPlane(host), logger, version: '9.9.9' });
});
afterEach(async () => {
  await app.close();
  await host.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(version = '3', generation = 1): Promise<void> {
  const model = await churnServed(store, version);
  await host.applyRoutes({ endpoint: 'churn', generation, routes: [{ model, weight: 100 }] });
}

async function get(url: string): Promise<{ status: number; body: unknown; text: string }> {
  const answer = await app.inject({ method: 'GET', url });
  return { status: answer.statusCode, body: parsed(answer.body), text: answer.body };
}

async function post(
  url: string,
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown; headers: Record<string, unknown> }> {
  const answer = await app.inject({
    method: 'POST',
    url,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: answer.statusCode, body: parsed(answer.body), headers: answer.headers };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

describe('MLflow scoring protocol', () => {
  it('answers as MLflow does, and names the version', async () => {
    await serve();
    const { status, body, headers } = await post('/invocations', RECORDS);
    expect(status).toBe(200);
    expect(body).toEqual({ predictions: [{ label: 'yes', probability: expect.closeTo(PROBABILITY, 5) }] });
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'perennial-endpoint': 'churn',
      'perennial-model-version': '3',
    });
  });

  it.each([
    { dataframe_split: { columns: Object.keys(ROW), data: [Object.values(ROW)] } },
    { instances: [ROW] },
    { instances: [Object.values(ROW)] },
    { inputs: { age: [30], city: ['Ulm'], active: [true], joined: ['2023-11-14T22:13:20Z'] } },
    { inputs: ROW },
    { inputs: [{ ...ROW, joined: 1_700_000_000, active: 1 }] },
  ])('gives the same for %j', async (payload) => {
    await serve();
    expect((await post('/invocations', payload)).body).toEqual((await post('/invocations', RECORDS)).body);
  });

  it('refuses a string in a numeric column, naming row and column', async () => {
    await serve();
    const payload = { dataframe_records: [ROW, { ...ROW, age: 'thirty' }] };
    expect(await post('/invocations', payload)).toMatchObject({
      status: 400,
      body: {
        error_code: 'BAD_REQUEST',
        message:
          'row 1, column "age": expected a number, got a string; send a JSON number, or null where the value is missing',
      },
    });
    expect(logged).not.toContain('thirty');
  });

  it('needs a name only where several models are served', async () => {
    expect(await post('/invocations', RECORDS)).toMatchObject({
      status: 503,
      body: { error_code: 'TEMPORARILY_UNAVAILABLE' },
    });
    await serve();
    await host.applyRoutes({
      endpoint: 'plus',
      generation: 1,
      routes: [{ model: await plusModel(store, '1', 1), weight: 100 }],
    });
    const { status, body } = await post('/invocations', RECORDS);
    expect(status).toBe(400);
    expect(body).toMatchObject({
      message: 'several models are served; POST to /endpoints/<model>/invocations with one of churn, plus',
    });
    expect(await post('/endpoints/plus/invocations', { instances: [1, 2] })).toMatchObject({
      status: 200,
      body: { predictions: [{ prediction: 2 }, { prediction: 3 }] },
    });
    expect(await post('/endpoints/nope/invocations', RECORDS)).toMatchObject({
      status: 404,
      body: {
        error_code: 'RESOURCE_DOES_NOT_EXIST',
        message: 'no such model is served; this server serves: churn, plus',
      },
    });
  });

  it('has ping, health and version', async () => {
    expect((await get('/ping')).status).toBe(503);
    await serve();
    expect(await get('/ping')).toMatchObject({ status: 200, text: '\n' });
    expect(await get('/health')).toMatchObject({ status: 200, text: '\n' });
    expect(await get('/version')).toMatchObject({ status: 200, text: '9.9.9' });
  });
});

describe('Open Inference Protocol', () => {
  it('infers', async () => {
    await serve();
    const { status, body, headers } = await post('/v2/models/churn/infer', { id: '42', ...AGE_TENSOR });
    expect(status).toBe(200);
    expect(body).toEqual({
      model_name: 'churn',
      model_version: '3',
      id: '42',
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [2], data: ['no', 'yes'] },
        {
          name: 'probability',
          datatype: 'FP32',
          shape: [2],
          data: [30, 50].map((age) => expect.closeTo(churnProbability({ age }), 5)),
        },
      ],
    });
    expect(headers['perennial-model-version']).toBe('3');
  });

  it('gives only the outputs asked for', async () => {
    await serve();
    const { body } = await post('/v2/models/churn/infer', { ...AGE_TENSOR, outputs: [{ name: 'label' }] });
    expect(body).toMatchObject({ outputs: [{ name: 'label', data: ['no', 'yes'] }] });
  });

  it('asks versions, routed or candidate', async () => {
    await serve('3');
    await host.loadCandidate('churn', await churnServed(store, '4', -10));
    expect((await post('/v2/models/churn/infer', AGE_TENSOR)).body).toMatchObject({ model_version: '3' });
    expect((await post('/v2/models/churn/versions/3/infer', AGE_TENSOR)).body).toMatchObject({
      model_version: '3',
      outputs: [{ data: ['no', 'yes'] }, {}],
    });
    expect((await post('/v2/models/churn/versions/4/infer', AGE_TENSOR)).body).toMatchObject({
      model_version: '4',
      outputs: [{ data: ['yes', 'yes'] }, {}],
    });
    expect(await post('/v2/models/churn/versions/5/infer', AGE_TENSOR)).toMatchObject({
      status: 404,
      body: { error: 'no such version of the model is loaded; GET /v2/models/<model> lists those that are' },
    });
    expect((await get('/v2/models/churn/versions/4/ready')).status).toBe(200);
    expect((await get('/v2/models/churn/versions/5/ready')).status).toBe(503);
    await host.unloadCandidate('churn', '4');
    expect((await post('/v2/models/churn/versions/4/infer', AGE_TENSOR)).status).toBe(404);
  });

  it('describes server and models', async () => {
    await serve('3', 7);
    expect((await get('/v2')).body).toEqual({ name: 'perennial', version: '9.9.9', extensions: [] });
    const { onnx } = await churnServed(store, '3');
    expect((await get('/v2/models/churn')).body).toMatchObject({
      name: 'churn',
      versions: ['3'],
      platform: 'onnx_onnxv1',
      inputs: [
        { name: 'age', datatype: 'FP32', shape: [-1], parameters: { kind: 'numeric', optional: false } },
        { name: 'city', datatype: 'BYTES' },
        { name: 'active', datatype: 'BOOL' },
        { name: 'joined', datatype: 'FP64' },
      ],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probability', datatype: 'FP32', shape: [-1] },
      ],
      parameters: {
        version: '3',
        sha256: onnx.sha256,
        generation: 7,
        loaded: [{ version: '3', weight: 100, role: 'route' }],
      },
    });
    expect((await get('/v2/models/nope')).status).toBe(404);
  });

  it('is live before it is ready', async () => {
    expect(await get('/v2/health/live')).toMatchObject({ status: 200, body: { live: true } });
    expect(await get('/v2/health/ready')).toMatchObject({ status: 503, body: { ready: false } });
    expect(await get('/v2/models/churn/ready')).toMatchObject({ status: 503 });
    await serve();
    expect(await get('/v2/health/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(await get('/v2/models/churn/ready')).toMatchObject({
      status: 200,
      body: { name: 'churn', ready: true },
    });
  });

  it('says that binary data are not supported', async () => {
    await serve();
    const headers = { 'inference-header-content-length': '5' };
    expect(await post('/v2/models/churn/infer', AGE_TENSOR, headers)).toMatchObject({
      status: 400,
      body: { error: 'binary tensor data are not supported; send the data as JSON' },
    });
  });
});

describe('limits and refusals', () => {
  it('answers each protocol in its own words', async () => {
    await serve();
    const message =
      'the body is not JSON; check quotes and commas, and write null for a missing value: NaN and Infinity are not JSON';
    expect(await post('/v2/models/churn/infer', '{')).toMatchObject({
      status: 400,
      body: { error: message },
    });
    expect(await post('/invocations', '{')).toMatchObject({
      status: 400,
      body: { error_code: 'BAD_REQUEST', message },
    });
    expect(await post('/invocations', '')).toMatchObject({
      status: 400,
      body: { message: 'the body is empty; send a JSON object' },
    });
  });

  it.each(['text/csv', 'text/plain', 'application/x-www-form-urlencoded'])(
    'refuses %s with 415',
    async (type) => {
      await serve();
      expect(await post('/invocations', RECORDS, { 'content-type': type })).toMatchObject({
        status: 415,
        body: { message: 'only JSON is read; send the header "Content-Type: application/json"' },
      });
    },
  );

  it('refuses more than 10,000 rows and more than the body limit with 413', async () => {
    await serve();
    const rows = (count: number): object => ({ inputs: { age: new Array<number>(count).fill(30) } });
    expect((await post('/invocations', rows(10_000))).status).toBe(200);
    expect((await post('/invocations', rows(10_001))).status).toBe(413);
    const message = 'the body is larger than 10485760 bytes; send several requests, or use batch scoring';
    const large = JSON.stringify(RECORDS).padEnd(10 * 1024 * 1024 + 1);
    expect(await post('/invocations', large)).toMatchObject({ status: 413, body: { message } });
    expect(await post('/v2/models/churn/infer', large)).toMatchObject({
      status: 413,
      body: { error: message },
    });
    expect((await post('/invocations', large.slice(0, -1))).status).toBe(200);
  });

  it('knows no other paths', async () => {
    expect(await get('/nope')).toMatchObject({
      status: 404,
      body: { error: 'there is no GET on this path; see docs/serving.md' },
    });
    expect((await get('/invocations')).status).toBe(404);
    expect((await get('/v2/models/%E0%A4%A')).status).toBe(400);
  });

  it('takes a name in any script', async () => {
    const model = await plusModel(store, 'v1 β', 1);
    await host.applyRoutes({ endpoint: 'Größe/π', generation: 1, routes: [{ model, weight: 100 }] });
    const url = `/endpoints/${encodeURIComponent('Größe/π')}/invocations`;
    const { status, headers } = await post(url, { instances: [1] });
    expect(status).toBe(200);
    expect(decodeURIComponent(String(headers['perennial-endpoint']))).toBe('Größe/π');
  });

  it('asks for the token where there is one, before it looks at the request', async () => {
    await serve();
    await app.close();
    app = createApp({
      dataPlane: new DataPlane(host),
      logger: pino({ level: 'silent' }),
      version: '9.9.9',
      token: 's3cret',
    });
    const refused = await post('/invocations', '{');
    expect(refused).toMatchObject({ status: 401, body: { error_code: 'UNAUTHENTICATED' } });
    expect(refused.headers['www-authenticate']).toBe('Bearer');
    expect((await post('/v2/models/churn/infer', AGE_TENSOR, { authorization: 'Bearer wrong' })).status).toBe(
      401,
    );
    expect((await post('/v2/models/churn/versions/3/infer', AGE_TENSOR)).status).toBe(401);
    expect((await post('/endpoints/churn/invocations', RECORDS)).status).toBe(401);
    expect((await post('/invocations', RECORDS, { authorization: 'Bearer s3cret' })).status).toBe(200);
    expect((await get('/v2/health/ready')).status).toBe(200);
  });

  it('tells nothing of the inside where the model itself fails', async () => {
    await serve();
    const [model] = host.state('churn')?.models ?? [];
    // A closed model is the one way to make a sound request fail inside.
    await model?.close();
    const { status, body } = await post('/invocations', RECORDS);
    expect(status).toBe(500);
    expect(body).toMatchObject({ error_code: 'INTERNAL_ERROR' });
    expect(JSON.stringify(body)).not.toMatch(/\bat |\.ts|Ulm/);
    expect(logged).toContain('a request failed');
    expect(logged).not.toContain('Ulm');
  });
});

describe('/metrics', () => {
  it('counts requests, rows, latency and the generation', async () => {
    await serve('3', 7);
    await post('/invocations', { dataframe_records: [ROW, ROW] });
    await post('/v2/models/churn/infer', AGE_TENSOR);
    await post('/v2/models/churn/versions/3/infer', { inputs: [] });
    await post('/invocations', '{');
    await post('/v2/models/made-up/infer', AGE_TENSOR);
    const { text } = await get('/metrics');
    const lines = text.split('\n');
    expect(lines).toContain('perennial_requests_total{endpoint="churn",version="3",code="200"} 2');
    expect(lines).toContain('perennial_requests_total{endpoint="churn",version="3",code="400"} 1');
    expect(lines).toContain('perennial_requests_total{endpoint="churn",version="",code="400"} 1');
    expect(lines).toContain('perennial_requests_total{endpoint="",version="",code="404"} 1');
    expect(lines).toContain('perennial_rows_total{endpoint="churn",version="3"} 4');
    expect(lines).toContain('perennial_request_duration_seconds_count{endpoint="churn",version="3"} 2');
    expect(lines).toContain('perennial_routes_generation{endpoint="churn"} 7');
    expect(text).not.toContain('made-up');
    expect(text).toContain('process_resident_memory_bytes');
  });
});
