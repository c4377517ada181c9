import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import type { LoadedModel } from '../../serving/loaded-model.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { plusModel } from './serving-models.ts';

let folder: string;
let store: ArtifactStore;
let routesFile: string;
const hosts: ModelHost[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-host-'));
  store = await ArtifactStore.create(join(folder, 'store'));
  routesFile = join(folder, 'state', 'routes.json');
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(random?: () => number): Promise<ModelHost> {
  const host = await ModelHost.create({
    serverId: 's1',
    store,
    routesFile,
    logger: pino({ level: 'silent' }),
    random,
  });
  hosts.push(host);
  return host;
}

const table = (generation: number, ...models: ServedModel[]): RouteTableInput => ({
  endpoint: 'plus',
  generation,
  routes: models.map((model, index) => ({
    model,
    weight: 100 / models.length,
    role: index === 0 ? 'champion' : 'challenger',
  })),
});

/** What the endpoint (or one version of it) makes of 1. */
async function ask(
  host: ModelHost,
  version?: string,
  endpoint = 'plus',
): Promise<number | string | undefined> {
  const { outputs } = await new DataPlane(host).predict({
    endpoint,
    version,
    requestId: 'r',
    arrived: performance.now(),
    header: () => undefined,
    read: () => ({ rows: 1, columns: new Map([['x', Float32Array.of(1)]]) }),
  });
  return outputs.columns[0]?.data[0];
}

const routed = (host: ModelHost, endpoint: string, version?: string): LoadedModel =>
  host.route({ endpoint, version, header: () => undefined }).model;

const blobPath = ({ onnx }: ServedModel): string =>
  join(store.root, 'sha256', onnx.sha256.slice(0, 2), onnx.sha256.slice(2));

describe('ModelHost', () => {
  it('puts a newer generation into force and acknowledges it', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    expect(await host.applyRoutes(table(1, one))).toEqual({
      serverId: 's1',
      endpoint: 'plus',
      generation: 1,
      versions: ['1'],
    });
    expect(await ask(host)).toBe(11);
    expect(await host.applyRoutes(table(5, two))).toMatchObject({ generation: 5, versions: ['2'] });
    expect(await ask(host)).toBe(21);
    await expect(ask(host, '1')).rejects.toMatchObject({ status: 404 });
  });

  it('never goes back a generation', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(5, two));
    expect(await host.applyRoutes(table(4, one))).toMatchObject({ generation: 5, versions: ['2'] });
    expect(await ask(host)).toBe(21);
    const again = await start();
    expect(await again.applyRoutes(table(4, one))).toMatchObject({ generation: 5, versions: ['2'] });
    expect(await ask(again)).toBe(21);
  });

  it('takes the same table again, and no other under the same generation', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    const before = routed(host, 'plus');
    expect(await host.applyRoutes(structuredClone(table(1, one)))).toMatchObject({
      generation: 1,
      versions: ['1'],
    });
    expect(routed(host, 'plus')).toBe(before);
    await expect(host.applyRoutes(table(1, two))).rejects.toMatchObject({ code: 'RolloutFailed' });
    expect(await ask(host)).toBe(11);
  });

  it('applies simultaneous changes one after the other', async () => {
    const host = await start();
    const models = await Promise.all([1, 2, 3, 4, 5].map((n) => plusModel(store, String(n), n)));
    const order = [3, 5, 1, 4, 2];
    const acks = await Promise.all(
      order.map((generation) =>
        host.applyRoutes(table(generation, ...models.slice(generation - 1, generation))),
      ),
    );
    expect(acks.map((ack) => ack.generation)).toEqual([3, 5, 5, 5, 5]);
    expect(await ask(host)).toBe(6);
  });

  it('loads nothing but the bytes of the digest', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    const swapped = { ...two, onnx: { ...two.onnx, sha256: one.onnx.sha256 } };
    await expect(host.applyRoutes(table(2, swapped))).rejects.toMatchObject({ code: 'InputInvalid' });
    const forged = await readFile(blobPath(one));
    await writeFile(blobPath(two), forged);
    await expect(host.applyRoutes(table(2, two))).rejects.toMatchObject({ code: 'ArtifactCorrupt' });
    await rm(blobPath(two));
    await expect(host.applyRoutes(table(2, two))).rejects.toMatchObject({ code: 'ArtifactMissing' });
    expect(await ask(host)).toBe(11);
    expect(host.tables()).toMatchObject([table(1, one)]);
  });

  it('sees bytes that changed after the store had verified them', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await store.path(two.onnx);
    await writeFile(blobPath(two), await readFile(blobPath(one)));
    await expect(host.loadCandidate('plus', two)).rejects.toMatchObject({ code: 'ArtifactCorrupt' });
  });

  it('keeps the old routes where a model does not fit its signature', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    const wrong: ServedModel = {
      ...two,
      signature: { ...two.signature, outputs: [{ name: 'y', kind: 'float' }] },
    };
    await expect(host.applyRoutes(table(2, wrong))).rejects.toMatchObject({ code: 'ModelInvalid' });
    expect(await ask(host)).toBe(11);
  });

  it('keeps the old routes where the file cannot be written', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    await rm(join(folder, 'state'), { recursive: true });
    await writeFile(join(folder, 'state'), 'a file where the folder was');
    await expect(host.applyRoutes(table(2, two))).rejects.toThrow();
    expect(await ask(host)).toBe(11);
    expect(host.tables()[0]?.generation).toBe(1);
  });

  it.each<[string, (one: ServedModel, two: ServedModel) => RouteTableInput, string]>([
    [
      'weights that are not 100',
      (one, two) => ({
        endpoint: 'plus',
        generation: 1,
        routes: [
          { model: one, weight: 50 },
          { model: two, weight: 40, role: 'challenger' },
        ],
      }),
      'add up to 90',
    ],
    ['a version twice', (one) => table(1, one, one), 'a version is there twice'],
    ['a negative generation', (one) => table(-1, one), 'malformed at generation'],
    ['no endpoint', (one) => ({ ...table(1, one), endpoint: '' }), 'malformed at endpoint'],
  ])('refuses %s', async (_name, make, message) => {
    const host = await start();
    const wrong = make(await plusModel(store, '1', 10), await plusModel(store, '2', 20));
    await expect(host.applyRoutes(wrong)).rejects.toMatchObject({
      code: 'InputInvalid',
      message: expect.stringContaining(message),
    });
    expect(host.endpoints()).toEqual([]);
  });

  it('restores routes after a restart, and leaves no temporary file', async () => {
    const host = await start();
    const one = await plusModel(store, '1', 10);
    await host.applyRoutes(table(3, one));
    await host.applyRoutes({ ...table(1, await plusModel(store, '7', 70)), endpoint: 'other' });
    await host.close();
    expect(await readdir(join(folder, 'state'))).toEqual(['routes.json']);
    const again = await start();
    expect(await ask(again)).toBe(11);
    expect(await ask(again, undefined, 'other')).toBe(71);
    expect(new DataPlane(again).ready()).toBe(true);
  });

  it('serves the rest where one artifact is gone, and takes the same generation up later', async () => {
    const host = await start();
    const one = await plusModel(store, '1', 10);
    const other = await plusModel(store, '7', 70);
    await host.applyRoutes(table(3, one));
    await host.applyRoutes({ ...table(1, other), endpoint: 'other' });
    await host.close();
    const bytes = await readFile(blobPath(one));
    await rm(blobPath(one));
    const again = await start();
    expect(await ask(again, undefined, 'other')).toBe(71);
    await expect(ask(again)).rejects.toMatchObject({ status: 503 });
    expect(new DataPlane(again).ready()).toBe(false);
    expect(await again.applyRoutes(table(2, one))).toMatchObject({ generation: 3, versions: [] });
    await writeFile(blobPath(one), bytes);
    expect(await again.applyRoutes(table(3, one))).toMatchObject({ generation: 3, versions: ['1'] });
    expect(await ask(again)).toBe(11);
  });

  it.each(['{"formatVersion":1,"tab', '[]', '{"formatVersion":2,"tables":[]}', ''])(
    'starts without routes where the file is %j, and keeps the file aside',
    async (content) => {
      const host = await start();
      await host.applyRoutes(table(3, await plusModel(store, '1', 10)));
      await host.close();
      await writeFile(routesFile, content);
      const again = await start();
      expect(again.tables()).toEqual([]);
      expect(await readFile(`${routesFile}.invalid`, 'utf8')).toBe(content);
    },
  );

  it('withdraws an endpoint by an empty table', async () => {
    const host = await start();
    await host.applyRoutes(table(1, await plusModel(store, '1', 10)));
    expect(await host.applyRoutes(table(2))).toMatchObject({ generation: 2, versions: [] });
    expect(host.endpoints()).toEqual([]);
    await expect(ask(host)).rejects.toMatchObject({ status: 503 });
  });

  it('shares traffic by weight', async () => {
    let turn = 0;
    const host = await start(() => (turn++ % 1000) / 1000);
    const [one, two, three] = await Promise.all([1, 2, 3].map((n) => plusModel(store, String(n), n)));
    if (!(one && two && three)) throw new Error('three models');
    await host.applyRoutes({
      endpoint: 'plus',
      generation: 1,
      routes: [
        { model: one, weight: 70 },
        { model: two, weight: 0, role: 'challenger' },
        { model: three, weight: 30, role: 'challenger' },
      ],
    });
    const counts = new Map<string, number>();
    for (let index = 0; index < 1000; index++) {
      const { version } = routed(host, 'plus').served;
      counts.set(version, (counts.get(version) ?? 0) + 1);
    }
    expect(counts).toEqual(
      new Map([
        ['1', 700],
        ['3', 300],
      ]),
    );
    expect(await ask(host, '2')).toBe(3);
  });

  it('keeps answering while models change under load', async () => {
    const host = await start();
    const models = await Promise.all([1, 2].map((n) => plusModel(store, String(n), n * 10)));
    await host.applyRoutes(table(1, ...models.slice(0, 1)));
    let going = true;
    const asked = Array.from({ length: 8 }, async () => {
      const answers: unknown[] = [];
      while (going) answers.push(await ask(host));
      return answers;
    });
    for (let generation = 2; generation < 12; generation++)
      await host.applyRoutes(table(generation, ...models.slice(generation % 2, (generation % 2) + 1)));
    going = false;
    const answers = new Set((await Promise.all(asked)).flat());
    expect(answers).toEqual(new Set([11, 21]));
  });
});

describe('prepared routes', () => {
  it('change nothing until they are committed', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    const prepared = await host.prepare(table(2, two));
    expect(prepared).toMatchObject({ changes: true, table: { generation: 2, deadlineMs: 10_000 } });
    expect(await ask(host)).toBe(11);
    expect(prepared.commit()).toMatchObject({ generation: 2, versions: ['2'] });
    expect(await ask(host)).toBe(21);
    expect(prepared.commit()).toMatchObject({ generation: 2 });
  });

  it('are given back whole', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    const prepared = await host.prepare(table(2, one, two));
    await prepared.abort();
    expect(() => prepared.commit()).toThrow('the change was given up');
    expect(await ask(host)).toBe(11);
    expect(host.tables()[0]?.generation).toBe(1);
  });

  it('give way to a newer table that was committed first', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    const older = await host.prepare(table(1, one));
    const newer = await host.prepare(table(2, two));
    newer.commit();
    expect(older.commit()).toMatchObject({ generation: 2, versions: ['2'] });
    expect(await ask(host)).toBe(21);
  });

  it('say where nothing would change', async () => {
    const host = await start();
    const one = await plusModel(store, '1', 10);
    await host.applyRoutes(table(2, one));
    for (const generation of [1, 2]) {
      const prepared = await host.prepare(table(generation, one));
      expect(prepared.changes).toBe(false);
      expect(prepared.commit()).toMatchObject({ generation: 2 });
    }
  });

  it('need no file of their own', async () => {
    const host = await ModelHost.create({ serverId: 's1', store, logger: pino({ level: 'silent' }) });
    hosts.push(host);
    const parsed = (await host.prepare(table(3, await plusModel(store, '1', 10)))).table;
    await host.restore([parsed]);
    expect(await ask(host)).toBe(11);
    await host.applyRoutes(table(4, await plusModel(store, '2', 20)));
    expect(await ask(host)).toBe(21);
    await expect(readdir(join(folder, 'state'))).rejects.toThrow('ENOENT');
  });
});

describe('candidates', () => {
  it('answer by their version only, until they are unloaded', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.applyRoutes(table(1, one));
    await host.loadCandidate('plus', two);
    await host.loadCandidate('plus', two);
    expect(await ask(host)).toBe(11);
    expect(await ask(host, '2')).toBe(21);
    expect(host.candidates('plus')).toEqual(['2']);
    await host.unloadCandidate('plus', '2');
    await host.unloadCandidate('plus', '2');
    await expect(ask(host, '2')).rejects.toMatchObject({ status: 404 });
  });

  it('can be asked before the endpoint has any route', async () => {
    const host = await start();
    await host.loadCandidate('plus', await plusModel(store, '1', 10));
    expect(await ask(host, '1')).toBe(11);
    await expect(ask(host)).rejects.toMatchObject({ status: 404 });
    expect(new DataPlane(host).metadata('plus', '1').versions).toMatchObject([
      { version: '1', role: 'candidate' },
    ]);
  });

  it('become challengers without being loaded again, and stay when the candidate goes', async () => {
    const host = await start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await host.loadCandidate('plus', two);
    const loaded = routed(host, 'plus', '2');
    await host.applyRoutes(table(1, one, two));
    expect(routed(host, 'plus', '2')).toBe(loaded);
    expect(host.candidates('plus')).toEqual([]);
    await host.unloadCandidate('plus', '2');
    expect(await ask(host, '2')).toBe(21);
  });

  it('are loaded into the serving process when they become the champion', async () => {
    const host = await start();
    const one = await plusModel(store, '1', 10);
    await host.loadCandidate('plus', one);
    const apart = routed(host, 'plus', '1');
    expect(apart.pid).toEqual(expect.any(Number));
    await host.applyRoutes(table(1, one));
    expect(routed(host, 'plus').pid).toBeUndefined();
    expect(await ask(host)).toBe(11);
    await host.unloadCandidate('plus', '1');
    expect(await ask(host)).toBe(11);
    expect(apart.usable).toBe(false);
  });

  it('are refused where the version is served with other bytes', async () => {
    const host = await start();
    await host.applyRoutes(table(1, await plusModel(store, '1', 10)));
    await expect(host.loadCandidate('plus', await plusModel(store, '1', 99))).rejects.toMatchObject({
      code: 'InputInvalid',
    });
    expect(await ask(host, '1')).toBe(11);
  });

  it('make room for another candidate of the same version', async () => {
    const host = await start();
    await host.loadCandidate('plus', await plusModel(store, '1', 10));
    await host.loadCandidate('plus', await plusModel(store, '1', 20));
    expect(await ask(host, '1')).toBe(21);
  });
});
