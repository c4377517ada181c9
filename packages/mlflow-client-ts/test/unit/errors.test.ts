import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MlflowClient, MlflowError } from '../../src/index.ts';
import {
  type FaultServer,
  json,
  mlflowError,
  type Reply,
  startFaultServer,
} from '../support/fault-server.ts';

let server: FaultServer;
let client: MlflowClient;

beforeAll(async () => {
  server = await startFaultServer();
  client = new MlflowClient({ trackingUri: `${server.url}/prefix/`, retry: { maxAttempts: 1 } });
});

afterAll(() => server.close());

async function failure(reply: Reply): Promise<MlflowError> {
  server.script(reply);
  const error: unknown = await client.runs.get({ runId: 'r' }).catch((thrown: unknown) => thrown);
  if (!(error instanceof MlflowError)) throw new Error(`not an MlflowError: ${String(error)}`);
  return error;
}

describe('errors', () => {
  it('say what failed and where', async () => {
    const error = await failure(mlflowError(404, 'RESOURCE_DOES_NOT_EXIST'));
    expect(error.message).toBe(
      `MLflow runs.get failed: 404 RESOURCE_DOES_NOT_EXIST: told to answer 404 (GET ${server.url}/prefix/api/2.0/mlflow/runs/get)`,
    );
    expect(error).toMatchObject({
      code: 'http',
      status: 404,
      isNotFound: true,
      isAlreadyExists: false,
      retryable: false,
    });
  });

  it('tell an unknown endpoint from a missing thing', async () => {
    const error = await failure((response) =>
      response.writeHead(404).end('<html><h1>Not   Found</h1></html>'),
    );
    expect(error).toMatchObject({ status: 404, errorCode: undefined, isNotFound: false });
    expect(error.message).toContain(': Not Found (');
  });

  it('carry Retry-After', async () => {
    const error = await failure(mlflowError(429, 'REQUEST_LIMIT_EXCEEDED', { 'retry-after': '7' }));
    expect(error).toMatchObject({ status: 429, retryable: true, retryAfterMs: 7000 });
  });

  it('know missing and insufficient permission', async () => {
    expect((await failure(mlflowError(401, 'UNAUTHENTICATED'))).isUnauthorized).toBe(true);
    expect((await failure(mlflowError(403, 'PERMISSION_DENIED'))).isUnauthorized).toBe(true);
    expect((await failure(mlflowError(400, 'BAD_REQUEST'))).isUnauthorized).toBe(false);
  });

  it('tell two calls that wrote the same row at once from a bad request, and nothing of what was written', async () => {
    const refused = (words: string, code = 'BAD_REQUEST'): Reply =>
      json(400, {
        error_code: code,
        message: `${words}\n[SQL: INSERT INTO metrics VALUES (?)]\n[parameters: ('x', 1)]\n(Background on this error)`,
      });
    for (const words of [
      '(sqlite3.IntegrityError) UNIQUE constraint failed: metrics.key',
      '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "metric_pk"',
      "(pymysql.err.IntegrityError) (1062, \"Duplicate entry 'x' for key 'PRIMARY'\")",
    ]) {
      const error = await failure(refused(words));
      expect(error).toMatchObject({ status: 400, retryable: true });
      expect(error.message).toContain(`BAD_REQUEST: ${words} (GET `);
    }
    const foreign = await failure(refused('(sqlite3.IntegrityError) FOREIGN KEY constraint failed'));
    expect(foreign.retryable).toBe(false);
    const taken = await failure(
      refused('UNIQUE constraint failed: experiments.name', 'RESOURCE_ALREADY_EXISTS'),
    );
    expect(taken.retryable).toBe(false);
  });

  it('report an answer that is not JSON', async () => {
    const error = await failure((response) => response.writeHead(200).end('<html>login</html>'));
    expect(error).toMatchObject({ code: 'invalid-response', retryable: false });
    expect(error.message).toContain('is trackingUri an MLflow server?');
  });

  it('report an answer of another shape, naming the field', async () => {
    const error = await failure(
      json(200, { run: { info: { run_id: 'r', experiment_id: 1, status: 'RUNNING' } } }),
    );
    expect(error).toMatchObject({ code: 'invalid-response' });
    expect(error.message).toMatch(/runs\.get answered in an unexpected shape.*run\.info\.experiment_id/);
  });

  it('cut long pages short', async () => {
    const error = await failure((response) => response.writeHead(500).end('x'.repeat(100_000)));
    expect(error.message.length).toBeLessThan(500);
  });
});

describe('answers', () => {
  const info = { run_id: 'r', experiment_id: '1', status: 'RUNNING' };

  async function answer(run: unknown): Promise<Awaited<ReturnType<typeof client.runs.get>>> {
    server.script(json(200, { run }));
    return client.runs.get({ runId: 'r' });
  }

  it('read 64-bit integers from text and from numbers', async () => {
    const run = await answer({
      info: { ...info, start_time: '1700000000123', end_time: 1_700_000_000_456 },
      data: { metrics: [{ key: 'm', value: 1, timestamp: '5', step: '-3' }] },
    });
    expect(run.info).toMatchObject({ startTime: 1_700_000_000_123, endTime: 1_700_000_000_456 });
    expect(run.data.metrics[0]).toMatchObject({ timestamp: 5, step: -3 });
  });

  it('read values JSON has no number for', async () => {
    const values = ['NaN', 'Infinity', '-Infinity', '1e3'];
    const metrics = values.map((value) => ({ key: 'm', value }));
    const run = await answer({ info, data: { metrics } });
    expect(run.data.metrics.map((metric) => metric.value)).toEqual([Number.NaN, Infinity, -Infinity, 1000]);
    await expect(answer({ info, data: { metrics: [{ key: 'm', value: 'much' }] } })).rejects.toMatchObject({
      code: 'invalid-response',
    });
  });

  it('tolerate fields they do not know and fields that are not there', async () => {
    const run = await answer({ info: { ...info, brand_new: { x: 1 } }, future: [] });
    expect(run.data).toEqual({ metrics: [], params: {}, tags: {} });
    expect(run.outputs.models).toEqual([]);
  });

  it('keep keys that are special to objects', async () => {
    const run = await answer({
      info,
      data: { params: [{ key: '__proto__', value: 'x' }, { key: 'constructor' }] },
    });
    expect(Object.entries(run.data.params)).toEqual([
      ['__proto__', 'x'],
      ['constructor', ''],
    ]);
  });
});
