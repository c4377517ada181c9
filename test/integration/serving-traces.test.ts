import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer } from '../../serving/server.ts';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { churnServed } from './serving-models.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const ROW = { age: 30.0625, city: 'Ortsname-7', active: true, joined: 1_700_000_000 };
const SERVER_KIND = 2;

let folder: string;
let receiver: OtlpReceiver;
let lines: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-traces-'));
  receiver = await OtlpReceiver.start();
  lines = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await receiver.close();
  await rm(folder, { recursive: true, force: true });
});

/** Serves while `use` asks; afterwards all spans have been sent. */
async function traced(use: (url: string) => Promise<void>): Promise<void> {
  const store = await ArtifactStore.create(join(folder, 'store'));
  const server = await ModelServer.create({
    serverId: 'server-7',
    store,
    routesFile: join(folder, 'routes.json'),
    logger: pino({}, { write: (line: string) => void lines.push(line) }),
  });
  try {
    const model = await churnServed(store, '3');
    await server.applyRoutes({ endpoint: 'churn', generation: 4, routes: [{ model, weight: 100 }] });
    await use(server.url);
  } finally {
    await server.close();
  }
}

const ask = (url: string, rows: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/endpoints/churn/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'perennial-entity': 'Ann', ...headers },
    body: JSON.stringify({ dataframe_records: rows }),
  });

const nanos = ({ startTimeUnixNano, endTimeUnixNano }: ReceivedSpan): [bigint, bigint] => [
  BigInt(startTimeUnixNano),
  BigInt(endTimeUnixNano),
];

it('a traced request is continued, with its parts below it and no value of its rows', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.endpoint);
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment.name=test');
  await traced(async (url) => {
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, 'x-request-id': 'r-42' };
    expect((await ask(url, [ROW, ROW], headers)).status).toBe(200);
    expect((await ask(url, [{ age: 'Ann' }], headers)).status).toBe(400);
  });
  const [served, refused, ...others] = receiver.spans.filter(({ kind }) => kind === SERVER_KIND);
  expect(others).toEqual([]);
  expect(served).toMatchObject({
    name: 'POST /endpoints/:name/invocations',
    traceId: TRACE,
    parentSpanId: PARENT,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/endpoints/:name/invocations',
      'http.response.status_code': 200,
      'url.path': '/endpoints/churn/invocations',
      'url.scheme': 'http',
      'network.protocol.version': '1.1',
      'perennial.endpoint': 'churn',
      'perennial.model.version': '3',
      'perennial.generation': 4,
      'perennial.role': 'champion',
      'perennial.reason': 'sole',
      'perennial.rows': 2,
      'perennial.request_id': 'r-42',
    },
  });
  expect(refused).toMatchObject({
    traceId: TRACE,
    parentSpanId: PARENT,
    attributes: { 'http.response.status_code': 400, 'perennial.model.version': '3' },
  });
  expect(refused?.status.code ?? 0).toBe(0);

  const parts = receiver.spans.filter(({ parentSpanId }) => parentSpanId === served?.spanId);
  expect(parts.map(({ name }) => name)).toEqual(['read', 'run', 'write']);
  let [at, end] = served ? nanos(served) : [0n, 0n];
  for (const part of parts) {
    expect(part.traceId).toBe(TRACE);
    const [from, to] = nanos(part);
    expect(from).toBeGreaterThanOrEqual(at);
    expect(to).toBeGreaterThanOrEqual(from);
    at = to;
  }
  expect(end).toBeGreaterThanOrEqual(at);

  expect(receiver.resources[0]).toMatchObject({
    'service.name': 'perennial-model-server',
    'service.instance.id': 'server-7',
    'deployment.environment.name': 'test',
  });
  expect(receiver.text).not.toMatch(/30\.0625|Ortsname|Ann/);
});

it('samples as the standard variables say; a caller that does not sample is obeyed', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', `${receiver.endpoint}/v1/traces`);
  vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_traceidratio');
  vi.stubEnv('OTEL_TRACES_SAMPLER_ARG', '1');
  await traced(async (url) => {
    for (let i = 0; i < 3; i++) await ask(url, [ROW]);
    await ask(url, [ROW], { traceparent: `00-${TRACE}-${PARENT}-00` });
    expect((await fetch(`${url}/ping`)).status).toBe(200);
    expect((await fetch(`${url}/nothing/here`)).status).toBe(404);
  });
  const roots = receiver.spans.filter(({ parentSpanId }) => !parentSpanId);
  expect(roots).toHaveLength(3);
  expect(new Set(roots.map(({ traceId }) => traceId)).size).toBe(3);
  expect(receiver.spans.some(({ traceId }) => traceId === TRACE)).toBe(false);
});

it('takes a hundredth of the traces that begin here, where nothing is said', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.endpoint);
  await traced(async (url) => {
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, () => ask(url, [ROW])));
  });
  const roots = receiver.spans.filter(({ parentSpanId }) => !parentSpanId);
  // Less likely than one in a billion to be beyond 45 of 1,000 by chance.
  expect(roots.length).toBeLessThan(45);
});

it('a collector that is gone costs no request, and is told of', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:1');
  vi.stubEnv('OTEL_TRACES_SAMPLER', 'always_on');
  vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '200');
  await traced(async (url) => {
    expect((await ask(url, [ROW])).status).toBe(200);
  });
  expect(lines.join('')).toContain('traces are not sent');
  expect(lines.join('')).not.toContain('Ortsname');
});

it.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'here', OTEL_SDK_DISABLED: 'true' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'here', OTEL_TRACES_EXPORTER: 'none' },
])('is off with %j', async (env) => {
  for (const [name, value] of Object.entries(env))
    vi.stubEnv(name, value === 'here' ? receiver.endpoint : value);
  await traced(async (url) => {
    expect((await ask(url, [ROW])).status).toBe(200);
  });
  expect(receiver.spans).toEqual([]);
});
