import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallOptions, collect, MlflowClient } from '../../src/index.ts';
import {
  type FaultServer,
  hangUp,
  json,
  mlflowError,
  silence,
  startFaultServer,
} from '../support/fault-server.ts';
import { freePort } from '../support/mlflow-server.ts';

let server: FaultServer;
let client: MlflowClient;

beforeAll(async () => {
  server = await startFaultServer();
  client = new MlflowClient({
    trackingUri: server.url,
    retry: { baseDelayMs: 1, maxDelayMs: 5 },
  });
});

afterAll(() => server.close());

/** For what falls silent; long enough for a process that had no turn for a while. */
const HASTY: CallOptions = { timeoutMs: 2_000 };

const version = { model_version: { name: 'm', version: '1' } };
const createVersion = (options: CallOptions = {}): Promise<unknown> =>
  client.modelVersions.create({ name: 'm', source: 'runs:/r/x' }, options);
const getVersion = (options: CallOptions = {}): Promise<unknown> =>
  client.modelVersions.get({ name: 'm', version: '1' }, options);

describe('retries', () => {
  it('repeats a read after errors, broken connections and silence', async () => {
    server.script(
      mlflowError(503, 'TEMPORARILY_UNAVAILABLE'),
      hangUp,
      mlflowError(500, 'X'),
      json(200, version),
    );
    await expect(getVersion()).resolves.toMatchObject({ version: '1' });
    expect(server.seen).toHaveLength(4);
    server.script(silence, json(200, version));
    await expect(getVersion(HASTY)).resolves.toMatchObject({ version: '1' });
    // More where the answer, too, came too late for a process that had no turn.
    expect(server.seen.length).toBeGreaterThan(1);
  });

  it('stops after maxAttempts with the last error', async () => {
    server.script(mlflowError(502, 'X'));
    await expect(getVersion()).rejects.toMatchObject({ code: 'http', status: 502, retryable: true });
    expect(server.seen).toHaveLength(5);
  });

  it('does not repeat what will not pass', async () => {
    server.script(mlflowError(400, 'INVALID_PARAMETER_VALUE'));
    await expect(getVersion()).rejects.toMatchObject({ status: 400, retryable: false });
    expect(server.seen).toHaveLength(1);
  });

  it('never repeats a create whose outcome is open', async () => {
    for (const fault of [
      hangUp,
      silence,
      mlflowError(500, 'X'),
      mlflowError(502, 'X'),
      mlflowError(503, 'X'),
    ]) {
      server.script(fault, json(200, version));
      await expect(createVersion(fault === silence ? HASTY : {})).rejects.toMatchObject({ retryable: true });
      expect(server.seen).toHaveLength(1);
    }
  });

  it('repeats a create the server put off', async () => {
    server.script(
      mlflowError(429, 'REQUEST_LIMIT_EXCEEDED', { 'retry-after': '0' }),
      mlflowError(503, 'X', { 'retry-after': '0' }),
      json(200, version),
    );
    await expect(createVersion()).resolves.toMatchObject({ version: '1' });
    expect(server.seen).toHaveLength(3);
  });

  it('repeats a create when the connection was refused', async () => {
    const port = await freePort();
    let calls = 0;
    const flaky = new MlflowClient({
      trackingUri: server.url,
      retry: { baseDelayMs: 1 },
      fetch: (input, init) => {
        calls += 1;
        return calls < 3 ? fetch(`http://127.0.0.1:${port}/`, init) : fetch(input, init);
      },
    });
    server.script(json(200, version));
    await flaky.modelVersions.create({ name: 'm', source: 'runs:/r/x' });
    expect(calls).toBe(3);
    expect(server.seen).toHaveLength(1);
  });

  it('honours Retry-After', async () => {
    server.script(mlflowError(429, 'X', { 'retry-after': '1' }), json(200, version));
    await getVersion();
    const [first, second] = server.seen;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950);
  });

  it('takes "not found" on a repeated delete for done, but not on the first', async () => {
    const gone = mlflowError(404, 'RESOURCE_DOES_NOT_EXIST');
    server.script(hangUp, gone);
    await expect(client.registeredModels.delete({ name: 'm' })).resolves.toBeUndefined();
    server.script(gone);
    await expect(client.registeredModels.delete({ name: 'm' })).rejects.toMatchObject({ isNotFound: true });
    server.script(mlflowError(429, 'X', { 'retry-after': '0' }), gone);
    await expect(client.registeredModels.delete({ name: 'm' })).rejects.toMatchObject({ isNotFound: true });
  });

  it('repeats log-batch with the same body', async () => {
    server.script(hangUp, json(200, {}));
    await client.runs.logBatch({ runId: 'r', metrics: [{ key: 'm', value: 1 }] });
    expect(server.seen).toHaveLength(2);
    expect(server.seen[1]?.body).toBe(server.seen[0]?.body);
  });

  it('repeats log-batch where another call wrote the same row, but not a create', async () => {
    const refused = json(400, {
      error_code: 'BAD_REQUEST',
      message: '(sqlite3.IntegrityError) UNIQUE constraint failed: metrics.key',
    });
    server.script(refused, json(200, {}));
    await client.runs.logBatch({ runId: 'r', metrics: [{ key: 'x', value: 1 }] });
    expect(server.seen).toHaveLength(2);
    server.script(refused);
    await expect(createVersion()).rejects.toMatchObject({ status: 400 });
    expect(server.seen).toHaveLength(1);
  });

  it('does not repeat appends', async () => {
    server.script(hangUp, json(200, {}));
    await expect(client.runs.logModel({ runId: 'r', modelJson: '{}' })).rejects.toMatchObject({
      code: 'network',
    });
    expect(server.seen).toHaveLength(1);
  });

  it('repeats an upload of bytes but not of a stream', async () => {
    const uri = 'mlflow-artifacts:/x';
    server.script(hangUp, json(200, {}));
    await client.artifacts.upload({ uri, path: 'a', body: 'abc' });
    expect(server.seen.map((request) => request.body)).toEqual(['abc', 'abc']);
    server.script(hangUp, json(200, {}));
    const body = (async function* () {
      yield Buffer.from('abc');
    })();
    await expect(client.artifacts.upload({ uri, path: 'a', body })).rejects.toMatchObject({
      code: 'network',
    });
    expect(server.seen).toHaveLength(1);
  });

  it('repeats a download to a file that broke off', async () => {
    const { mkdtemp, readFile, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const directory = await mkdtemp(join(tmpdir(), 'mlflow-client-ts-unit-'));
    server.script(
      (response) => {
        response.writeHead(200, { 'content-length': 10 });
        response.write('12345', () => response.destroy());
      },
      (response) => response.writeHead(200, { 'content-length': 10 }).end('1234567890'),
    );
    const file = join(directory, 'out');
    expect(await client.artifacts.downloadToFile({ uri: 'mlflow-artifacts:/x', path: 'a', file })).toBe(10);
    expect(await readFile(file, 'utf8')).toBe('1234567890');
    await rm(directory, { recursive: true });
  });
});

describe('timeouts and aborts', () => {
  it('times out on silence', async () => {
    const once = new MlflowClient({ trackingUri: server.url, timeoutMs: 50, retry: { maxAttempts: 1 } });
    server.script(silence);
    await expect(once.server.version()).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
      message: expect.stringContaining('nothing heard for 50 ms'),
    });
  });

  it('does not time out while bytes flow', async () => {
    server.script((response) => {
      response.writeHead(200);
      let left = 8;
      const timer = setInterval(() => {
        left -= 1;
        response.write('x');
        if (left === 0) {
          clearInterval(timer);
          response.end();
        }
      }, 80);
    });
    // Less than all of them take together.
    const patient = new MlflowClient({ trackingUri: server.url, timeoutMs: 400 });
    const bytes = await patient.artifacts.downloadBytes({ uri: 'mlflow-artifacts:/x', path: 'a' });
    expect(bytes).toHaveLength(8);
  });

  it('ends a stream that falls silent with a timeout', async () => {
    server.script((response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('x');
    });
    const stream = await client.artifacts.download({ uri: 'mlflow-artifacts:/x', path: 'a' }, HASTY);
    await expect(collect(stream)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('ends at once when the caller aborts, between attempts too', async () => {
    server.script(mlflowError(503, 'X', { 'retry-after': '30' }));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 50);
    const call = client.runs.get({ runId: 'r' }, { signal: controller.signal });
    await expect(call).rejects.toMatchObject({ code: 'aborted', retryable: false });
    server.script(silence);
    const early = client.runs.get({ runId: 'r' }, { signal: AbortSignal.abort() });
    await expect(early).rejects.toMatchObject({ code: 'aborted' });
    expect(server.seen).toHaveLength(0);
  });
});
