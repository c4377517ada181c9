import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppFixture } from './serving-fixture.ts';
import { churnProbability, churnServed, plusModel } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: '2023-11-14T22:13:20Z' };
const PROBABILITY = churnProbability({ age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 });
const RECORDS = { dataframe_records: [ROW] };
const AGE_TENSOR = { inputs: [{ name: 'age', shape: [2], datatype: 'FP32', data: [30, 50] }] };

let fixture: AppFixture;
beforeEach(async () => {
  fixture = await AppFixture.create();
});
afterEach(() => fixture.close());

describe('MLflow scoring protocol', () => {
  it('answers as MLflow does, and names the version', async () => {
    await fixture.serve();
    const { status, body, headers } = await fixture.post('/invocations', RECORDS);
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
    await fixture.serve();
    expect((await fixture.post('/invocations', payload)).body).toEqual(
      (await fixture.post('/invocations', RECORDS)).body,
    );
  });

  it('refuses a string in a numeric column, naming row and column', async () => {
    await fixture.serve();
    const payload = { dataframe_records: [ROW, { ...ROW, age: 'thirty' }] };
    expect(await fixture.post('/invocations', payload)).toMatchObject({
      status: 400,
      body: {
        error_code: 'BAD_REQUEST',
        message:
          'row 1, column "age": expected a number, got a string; send a JSON number, or null where the value is missing',
      },
    });
    expect(fixture.logged).not.toContain('thirty');
  });

  it('needs a name only where several models are served', async () => {
    expect(await fixture.post('/invocations', RECORDS)).toMatchObject({
      status: 503,
      body: { error_code: 'TEMPORARILY_UNAVAILABLE' },
    });
    await fixture.serve();
    await fixture.host.applyRoutes({
      endpoint: 'plus',
      generation: 1,
      routes: [{ model: await plusModel(fixture.store, '1', 1), weight: 100 }],
    });
    const { status, body } = await fixture.post('/invocations', RECORDS);
    expect(status).toBe(400);
    expect(body).toMatchObject({
      message: 'several models are served; POST to /endpoints/<model>/invocations, GET /v2/models lists them',
    });
    expect(await fixture.post('/endpoints/plus/invocations', { instances: [1, 2] })).toMatchObject({
      status: 200,
      body: { predictions: [{ prediction: 2 }, { prediction: 3 }] },
    });
    expect(await fixture.post('/endpoints/nope/invocations', RECORDS)).toMatchObject({
      status: 404,
      body: {
        error_code: 'RESOURCE_DOES_NOT_EXIST',
        message: 'no such model is served; GET /v2/models lists those that are',
      },
    });
  });

  it('has ping, health and version', async () => {
    expect((await fixture.get('/ping')).status).toBe(503);
    await fixture.serve();
    expect(await fixture.get('/ping')).toMatchObject({ status: 200, text: '\n' });
    expect(await fixture.get('/health')).toMatchObject({ status: 200, text: '\n' });
    expect(await fixture.get('/version')).toMatchObject({ status: 200, text: '9.9.9' });
  });
});

describe('Open Inference Protocol', () => {
  it('infers', async () => {
    await fixture.serve();
    const { status, body, headers } = await fixture.post('/v2/models/churn/infer', {
      id: '42',
      ...AGE_TENSOR,
    });
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
    await fixture.serve();
    const { body } = await fixture.post('/v2/models/churn/infer', {
      ...AGE_TENSOR,
      outputs: [{ name: 'label' }],
    });
    expect(body).toMatchObject({ outputs: [{ name: 'label', data: ['no', 'yes'] }] });
  });

  it('asks versions, routed or candidate', async () => {
    await fixture.serve('3');
    await fixture.host.loadCandidate('churn', await churnServed(fixture.store, '4', -10));
    expect((await fixture.post('/v2/models/churn/infer', AGE_TENSOR)).body).toMatchObject({
      model_version: '3',
    });
    expect((await fixture.post('/v2/models/churn/versions/3/infer', AGE_TENSOR)).body).toMatchObject({
      model_version: '3',
      outputs: [{ data: ['no', 'yes'] }, {}],
    });
    expect((await fixture.post('/v2/models/churn/versions/4/infer', AGE_TENSOR)).body).toMatchObject({
      model_version: '4',
      outputs: [{ data: ['yes', 'yes'] }, {}],
    });
    expect(await fixture.post('/v2/models/churn/versions/5/infer', AGE_TENSOR)).toMatchObject({
      status: 404,
      body: { error: 'no such version of the model is loaded; GET /v2/models/<model> lists those that are' },
    });
    expect((await fixture.get('/v2/models/churn/versions/4/ready')).status).toBe(200);
    expect((await fixture.get('/v2/models/churn/versions/5/ready')).status).toBe(503);
    await fixture.host.unloadCandidate('churn', '4');
    expect((await fixture.post('/v2/models/churn/versions/4/infer', AGE_TENSOR)).status).toBe(404);
  });

  it('describes server and models', async () => {
    await fixture.serve('3', 7);
    expect((await fixture.get('/v2')).body).toEqual({
      name: 'perennial',
      version: '9.9.9',
      extensions: ['binary_tensor_data', 'parameters', 'model_repository'],
    });
    const { onnx } = await churnServed(fixture.store, '3');
    expect((await fixture.get('/v2/models/churn')).body).toMatchObject({
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
        loaded: [{ version: '3', weight: 100, role: 'champion' }],
      },
    });
    expect((await fixture.get('/v2/models/nope')).status).toBe(404);
  });

  it('is live before it is ready', async () => {
    expect(await fixture.get('/v2/health/live')).toMatchObject({ status: 200, body: { live: true } });
    expect(await fixture.get('/v2/health/ready')).toMatchObject({ status: 503, body: { ready: false } });
    expect(await fixture.get('/v2/models/churn/ready')).toMatchObject({ status: 503 });
    await fixture.serve();
    expect(await fixture.get('/v2/health/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(await fixture.get('/v2/models/churn/ready')).toMatchObject({
      status: 200,
      body: { name: 'churn', ready: true },
    });
  });
});
