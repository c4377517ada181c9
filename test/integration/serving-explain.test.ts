import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Attribution, attribution } from '../../contracts/explanation.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { composeModel } from '../../lib/onnx/compose.ts';
import { Aside } from '../../lib/processes/aside.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { ExplainerLimits } from '../../serving/explaining/explainers.ts';
import { ModelServer } from '../../serving/server.ts';
import { sideBySide } from '../support/finishing.ts';
import { EXPLAINING, PATIENT } from '../support/patience.ts';
import { type Tree, treeBytes } from '../support/tree-model.ts';
import { churnServed } from './serving-models.ts';

const answer = z.strictObject({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  predictions: z.array(z.record(z.string(), z.union([z.string(), z.number()]))),
  confidence: z.number(),
  explanations: z.array(
    z.strictObject({ method: z.string(), unit: z.string(), attributions: z.array(attribution) }),
  ),
});

const ROWS = [
  { age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 },
  { age: 61, city: 'Bonn', active: 0, joined: 1_500_000_000 },
  { age: 45, city: 'Kiel', active: 1, joined: 1_600_000_000 },
];

let folder: string;
let store: ArtifactStore;
let server: ModelServer | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-explain-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await expect.poll(children, PATIENT).toEqual([]);
  await rm(folder, { recursive: true, force: true });
});

async function serve(model: ServedModel, explaining?: ExplainerLimits, token?: string): Promise<ModelServer> {
  server = await ModelServer.create({
    serverId: 'here',
    store,
    routesFile: join(folder, 'routes.json'),
    logger: pino({ level: 'silent' }),
    token,
    explaining: { ...EXPLAINING, ...explaining },
  });
  await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
  return server;
}

/** The churn model with what a pipeline puts beside it: encrypted rows. */
async function explainable(): Promise<ServedModel> {
  const samples = await store.putJson({ rows: ROWS, expected: {} }, { encrypt: true });
  return { ...(await churnServed(store, '3')), explanation: { samples } };
}

/** Two trees over two columns, regression, with an explainer file. */
async function trees(): Promise<ServedModel> {
  const leaf = (value: number): Tree => ({ leaf: [value] });
  const forest: Tree[] = [
    { feature: 0, threshold: 10, yes: leaf(1), no: { feature: 1, threshold: 5, yes: leaf(2), no: leaf(7) } },
    { feature: 1, threshold: 2, yes: leaf(-1), no: leaf(3) },
  ];
  const { onnx, signature } = composeModel(sideBySide(['a', 'b']), treeBytes(forest, 2, 1), {
    task: 'regression',
    classNames: [],
  });
  const rows = Array.from({ length: 20 }, (_, i) => ({ a: i, b: i % 9 }));
  const covers = [20, 10, 10, 5, 5, 20, 8, 12];
  return {
    version: '5',
    onnx: await store.putBytes(onnx, 'application/onnx'),
    signature,
    explanation: {
      samples: await store.putJson({ rows, expected: {} }),
      explainer: await store.putJson({
        schemaVersion: 1,
        method: 'tree',
        sources: [[0], [1]],
        covers,
      }),
    },
  };
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${server?.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
}

const sum = ({ base, contributions }: Attribution): number =>
  contributions.reduce((total, { value }) => total + value, base);

/** Explaining processes that this one has started. */
async function children(): Promise<number[]> {
  const tasks = await readdir('/proc/self/task');
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/self/task/${task}/children`, 'utf8')));
  const pids = lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids.filter((_, i) => commands[i]?.includes('explain-process'));
}

describe('/explain', () => {
  it('explains a model of any kind by sampling: the parts add up to what the server answers', async () => {
    await serve(await explainable());
    const { status, body } = await post('/endpoints/churn/explain', { dataframe_records: ROWS });
    expect(status).toBe(200);
    const { model_version, predictions, confidence, explanations } = answer.parse(body);
    expect([model_version, confidence]).toEqual(['3', 0.95]);
    const asked = await post('/endpoints/churn/invocations', { dataframe_records: ROWS });
    expect(asked.body).toEqual({ predictions });
    for (const [row, { method, unit, attributions }] of explanations.entries()) {
      expect([method, unit]).toEqual(['sampled', 'probability']);
      const [only] = attributions;
      expect(only?.output).toBe('probability');
      expect(only?.contributions.map(({ column }) => column)).toEqual(['age', 'city', 'active', 'joined']);
      expect(only && sum(only)).toBeCloseTo(Number(predictions[row]?.probability), 6);
      expect(only?.contributions.some(({ error }) => error > 0)).toBe(true);
    }
  });

  it('explains trees exactly, in the words of the V2 protocol, by version too', async () => {
    await serve(await trees());
    const body = {
      id: 'q-1',
      inputs: [
        { name: 'a', shape: [2], datatype: 'FP32', data: [3, 17] },
        { name: 'b', shape: [2], datatype: 'FP32', data: [1, 8] },
      ],
    };
    for (const path of ['/v2/models/churn/explain', '/v2/models/churn/versions/5/explain']) {
      const answered = await post(path, body);
      const { id, predictions, explanations } = answer.parse(answered.body);
      expect(id).toBe('q-1');
      expect(predictions).toEqual([{ prediction: 0 }, { prediction: 10 }]);
      for (const [row, { method, unit, attributions }] of explanations.entries()) {
        expect([method, unit]).toEqual(['tree', 'target']);
        expect(attributions.map(sum)).toEqual([expect.closeTo(Number(predictions[row]?.prediction), 6)]);
        expect(attributions.flatMap(({ contributions }) => contributions.map(({ error }) => error))).toEqual([
          0, 0,
        ]);
      }
    }
  });

  it('says what is wrong', async () => {
    await serve(await explainable(), {}, 'secret');
    const auth = { authorization: 'Bearer secret' };
    expect((await post('/endpoints/churn/explain', { dataframe_records: ROWS })).status).toBe(401);
    const many = { dataframe_records: Array.from({ length: 17 }, () => ROWS[0]) };
    expect(await post('/endpoints/churn/explain', many, auth)).toMatchObject({
      status: 413,
      body: { error_code: 'REQUEST_LIMIT_EXCEEDED', message: expect.stringContaining('16') },
    });
    const wrong = { dataframe_records: [{ age: 'Ann' }] };
    const refused = await post('/endpoints/churn/explain', wrong, auth);
    expect(refused).toMatchObject({ status: 400, body: { error_code: 'BAD_REQUEST' } });
    expect(JSON.stringify(refused.body)).not.toContain('Ann');
    expect((await post('/v2/models/nobody/explain', {}, auth)).status).toBe(404);
    expect(await children()).toEqual([]);
  });

  it('says that a version came without what explains it, or that its rows were erased', async () => {
    const plain = await churnServed(store, '3');
    await serve(plain);
    expect(await post('/endpoints/churn/explain', { dataframe_records: ROWS })).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('without what explains it') },
    });
    // Before anything of the rows is read or computed.
    expect((await post('/endpoints/churn/explain', 'no rows')).status).toBe(404);
    const model = await explainable();
    await server?.applyRoutes({ endpoint: 'churn', generation: 2, routes: [{ model, weight: 100 }] });
    const samples = model.explanation?.samples.sha256 ?? '';
    const none = await store.putJson({ rows: [], expected: {} }, { encrypt: true });
    await store.replace(samples, none, { certificate: 'c-1' });
    expect(await post('/endpoints/churn/explain', { dataframe_records: ROWS })).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('erased') },
    });
  });

  it('kills a process that hangs, and answers by another one', async () => {
    await serve(await explainable());
    expect((await post('/endpoints/churn/explain', { dataframe_records: ROWS })).status).toBe(200);
    const [child = 0] = await children();
    process.kill(child, 'SIGSTOP');
    const hanging = await post(
      '/endpoints/churn/explain',
      { dataframe_records: ROWS },
      { 'perennial-timeout-ms': '300' },
    );
    expect(hanging).toMatchObject({ status: 503, body: { message: expect.stringContaining('300 ms') } });
    await expect.poll(children, PATIENT).not.toContain(child);
    expect((await post('/endpoints/churn/invocations', { dataframe_records: ROWS })).status).toBe(200);
    expect((await post('/endpoints/churn/explain', { dataframe_records: ROWS })).status).toBe(200);
  });

  it('lets only some wait, and sheds the others', async () => {
    await serve(await explainable(), { waiting: 2 });
    const all = await Promise.all(
      Array.from({ length: 5 }, () => post('/endpoints/churn/explain', { dataframe_records: ROWS })),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 503, 503, 503]);
  });

  it('ends a process that nobody asks any more', async () => {
    await serve(await explainable(), { idleMs: 100 });
    expect((await post('/endpoints/churn/explain', { dataframe_records: ROWS })).status).toBe(200);
    await expect.poll(children, PATIENT).toEqual([]);
    expect((await post('/endpoints/churn/explain', { dataframe_records: ROWS })).status).toBe(200);
  });
});

it('the explaining process loads no bytes but those of the routes', async () => {
  const process = new Aside(
    () => ownScript(import.meta.url, '../../serving/explaining/explain-process.ts'),
    'explains answers',
  );
  const { onnx, signature } = await churnServed(store, '3');
  const other = await churnServed(store, '4', 2);
  const model = {
    onnx: new Uint8Array(await store.bytes(other.onnx)),
    sha256: onnx.sha256,
    signature,
    rows: ROWS,
  };
  await expect(process.ask({ model, rows: 0, columns: new Map() })).rejects.toMatchObject({
    code: 'ArtifactCorrupt',
  });
  process.close();
});
