import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ModelInput, RouteTableInput, ServedModel, ServedView } from '../../contracts/serving.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer } from '../../serving/server.ts';
import { MemoryFeatures } from '../support/memory-features.ts';
import { spending, viewModel, viewPrediction } from '../support/view-model.ts';

const MINUTE = 60_000;
const BIG = '9007199254740993';

let folder: string;
let store: ArtifactStore;
let lines: string[];
let servers: ModelServer[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-features-'));
  store = await ArtifactStore.create(join(folder, 'store'));
  lines = [];
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Events of some customers, the last of them minutes ago. */
function events(options?: { afterMs?: number }): MemoryFeatures {
  const features = new MemoryFeatures(options);
  const now = Date.now();
  features.add('shop/spending', 'ann', now - 10 * MINUTE, 2);
  features.add('shop/spending', 'ann', now - 90 * MINUTE, 3);
  features.add('shop/spending', '17', now - MINUTE, 4);
  features.add('shop/spending', 'true', now - MINUTE, 5);
  features.add('shop/spending', BIG, now - MINUTE, 6);
  return features;
}
const ANN = viewPrediction(1, 1, 5);
const SEVENTEEN = viewPrediction(1, 1, 4);
const NOBODY = viewPrediction(1, 0, undefined);
const WITHOUT_KEY = viewPrediction(1, undefined, undefined);
const DEFAULTS = viewPrediction(1, 7, undefined);

async function open(features: MemoryFeatures | undefined): Promise<ModelServer> {
  const server = await ModelServer.create({
    serverId: 'here',
    store,
    routesFile: join(folder, `routes-${servers.length}.json`),
    logger: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
    features,
  });
  servers.push(server);
  return server;
}

async function serve(
  features: MemoryFeatures | undefined,
  model?: ServedModel,
  table: Partial<RouteTableInput> = {},
): Promise<ModelServer> {
  const server = await open(features);
  const sole = model ?? (await viewModel(store, '1'));
  await server.applyRoutes({
    endpoint: 'shop',
    generation: 1,
    routes: [{ model: sole, weight: 100 }],
    ...table,
  });
  return server;
}

interface Answer {
  status: number;
  predictions: unknown[];
  body: Record<string, unknown>;
  headers: Headers;
}

const answered = z.record(z.string(), z.unknown());
const predicted = z.object({ predictions: z.array(z.object({ prediction: z.number().nullable() })) });
const inferred = z.object({ outputs: z.array(z.object({ data: z.array(z.number().nullable()) })) });

async function post(
  { url }: ModelServer,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  const parsed = answered.parse(JSON.parse(await response.text()));
  const rows = predicted.safeParse(parsed);
  const tensors = inferred.safeParse(parsed);
  return {
    status: response.status,
    predictions: rows.success
      ? rows.data.predictions.map(({ prediction }) => prediction)
      : (tensors.data?.outputs[0]?.data ?? []),
    body: parsed,
    headers: response.headers,
  };
}

const invoke = (server: ModelServer, body: unknown, headers?: Record<string, string>): Promise<Answer> =>
  post(server, '/invocations', typeof body === 'string' ? body : JSON.stringify(body), headers);
const records = (...rows: object[]): object => ({ dataframe_records: rows });

interface Tensor {
  name: string;
  datatype: string;
  data: unknown[];
}
const infer = (server: ModelServer, tensors: Tensor[], more: object = {}): Promise<Answer> =>
  post(
    server,
    '/v2/models/shop/infer',
    JSON.stringify({
      inputs: tensors.map((tensor) => ({ ...tensor, shape: [tensor.data.length] })),
      ...more,
    }),
  );

async function metric(server: ModelServer, start: string): Promise<number | undefined> {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const line = page.split('\n').find((candidate) => candidate.startsWith(start));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
}
const rowsFrom = (server: ModelServer, outcome: string): Promise<number | undefined> =>
  metric(server, `perennial_feature_rows_total{endpoint="shop",view="spending",outcome="${outcome}"}`);

describe('a version with a feature view', () => {
  it('looks the inputs up by the key, in every shape of /invocations', async () => {
    const features = events();
    const server = await serve(features);
    for (const body of [
      records({ amount: 1, customer: 'ann' }),
      { instances: [{ customer: 'ann', amount: 1 }] },
      { inputs: { amount: [1], customer: ['ann'] } },
      { inputs: { amount: 1, customer: 'ann' } },
      { dataframe_split: { columns: ['customer', 'amount'], data: [['ann', 1]] } },
      { dataframe_split: { data: [[1, 'ann']], columns: ['amount', 'customer'] } },
    ]) {
      const { status, predictions, headers } = await invoke(server, body);
      expect({ status, predictions, body }).toEqual({ status: 200, predictions: [ANN], body });
      expect(headers.get('perennial-features')).toBeNull();
    }
    expect(features.asked).toHaveLength(6);
  });

  it('takes keys that are text, whole numbers beyond 2^53 and truth values', async () => {
    const server = await serve(events());
    const rows = `[{"amount":1,"customer":17},{"amount":1,"customer":"17"},{"amount":1,"customer":true},
      {"amount":1,"customer":${BIG}},{"amount":1,"customer":9007199254740992},{"amount":1,"customer":17.0}]`;
    const { predictions } = await invoke(server, `{"dataframe_records":${rows}}`);
    expect(predictions).toEqual([
      SEVENTEEN,
      SEVENTEEN,
      viewPrediction(1, 1, 5),
      viewPrediction(1, 1, 6),
      NOBODY,
      SEVENTEEN,
    ]);
  });

  it('asks once for all rows, and leaves alone what has values or no key', async () => {
    const features = events();
    const server = await serve(features);
    const { predictions } = await invoke(
      server,
      records(
        { amount: 1, customer: 'ann' },
        { amount: 1, customer: 'ann', spending_count_1h: 3 },
        { amount: 1 },
        { amount: 1, customer: null },
        { amount: 1, customer: '' },
        { amount: 1, customer: 17 },
      ),
    );
    expect(predictions).toEqual([
      ANN,
      viewPrediction(1, 3, undefined),
      WITHOUT_KEY,
      WITHOUT_KEY,
      WITHOUT_KEY,
      SEVENTEEN,
    ]);
    expect(features.asked.map(({ keys }) => keys)).toEqual([['ann', '17']]);
    expect(await rowsFrom(server, 'looked_up')).toBe(2);
    expect(await rowsFrom(server, 'given')).toBe(1);
    expect(await rowsFrom(server, 'without_key')).toBe(3);
    expect(await metric(server, 'perennial_feature_lookup_seconds_count')).toBe(1);
    expect(await metric(server, 'perennial_feature_freshness_seconds')).toBe(0);
  });

  it('takes keys in tensors, as JSON and as bytes', async () => {
    const server = await serve(events());
    const amount = { name: 'amount', datatype: 'FP32', data: [1, 1] };
    for (const customer of [
      { name: 'customer', datatype: 'BYTES', data: ['ann', '17'] },
      { name: 'customer', datatype: 'BYTES', data: ['ann', 17] },
    ])
      expect((await infer(server, [amount, customer])).predictions).toEqual([ANN, SEVENTEEN]);
    const whole = { name: 'customer', datatype: 'INT32', data: [17, 18] };
    expect((await infer(server, [whole, amount])).predictions).toEqual([SEVENTEEN, NOBODY]);
    const flags = { name: 'customer', datatype: 'BOOL', data: [1, false] };
    expect((await infer(server, [flags, amount])).predictions).toEqual([viewPrediction(1, 1, 5), NOBODY]);

    const json = Buffer.from(
      JSON.stringify({
        inputs: [
          { name: 'amount', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
          { name: 'customer', datatype: 'INT64', shape: [2], parameters: { binary_data_size: 16 } },
        ],
      }),
    );
    const bytes = Buffer.alloc(24);
    bytes.writeFloatLE(1, 0);
    bytes.writeFloatLE(1, 4);
    bytes.writeBigInt64LE(BigInt(BIG), 8);
    bytes.writeBigInt64LE(17n, 16);
    const { predictions } = await post(server, '/v2/models/shop/infer', Buffer.concat([json, bytes]), {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    });
    expect(predictions).toEqual([viewPrediction(1, 1, 6), SEVENTEEN]);
  });
});
