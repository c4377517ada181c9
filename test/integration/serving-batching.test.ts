import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { openPublic } from '../../lib/onnx/engine-session.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { type ColumnBatch, type InputColumn, TabularSession } from '../../lib/onnx/tabular-session.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { MicroBatcher } from '../../serving/micro-batcher.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { CHURN_SIGNATURE, churnModel } from './serving-models.ts';

const CITIES = ['Ulm', 'Bonn', '', 'Köln'];

/** Rows `from` … `from + rows`; in one block, or column by column. */
function batchOf(from: number, rows: number, asBlock = false): ColumnBatch {
  const index = Array.from({ length: rows }, (_, row) => from + row);
  const numbers = Float32Array.from([
    ...index.map((i) => 18 + (i % 60)),
    ...index.map((i) => (i % 3 === 0 ? Number.NaN : i % 2)),
  ]);
  const columns = new Map<string, InputColumn>([
    ['age', numbers.subarray(0, rows)],
    ['city', index.map((i) => CITIES[i % CITIES.length] ?? '')],
    ['active', numbers.subarray(rows)],
    ['joined', Float64Array.from(index, (i) => 1_600_000_000 + i * 86_400)],
  ]);
  return { rows, columns, ...(asBlock ? { numbers } : {}) };
}

describe('a batcher over a real model', () => {
  let alone: TabularSession;
  let batcher: MicroBatcher;
  const ran: [number, number][] = [];
  beforeAll(async () => {
    alone = await TabularSession.create(churnModel(), CHURN_SIGNATURE);
    const session = await TabularSession.create(churnModel(), CHURN_SIGNATURE);
    const listener = { ran: (rows: number, requests: number) => void ran.push([rows, requests]) };
    batcher = await MicroBatcher.create(session, { listener });
  });
  afterAll(async () => {
    await batcher.close();
    await alone.close();
  });

  it('answers 10,000 rows as one run does, and small requests meanwhile', async () => {
    ran.length = 0;
    const order: string[] = [];
    const large = batcher.run(batchOf(0, 10_000, true)).finally(() => order.push('large'));
    const small = Promise.all(
      Array.from({ length: 20 }, (_, i) => batcher.run(batchOf(i * 7, 1 + (i % 5), i % 2 === 0))),
    ).finally(() => order.push('small'));
    expect(await large).toEqual(await alone.run(batchOf(0, 10_000)));
    for (const [i, answer] of (await small).entries())
      expect(answer).toEqual(await alone.run(batchOf(i * 7, 1 + (i % 5))));
    expect(order).toEqual(['small', 'large']);
    expect(ran[0]).toEqual([60, 20]);
    expect(ran.length).toBeGreaterThan(2);
    expect(ran.reduce((sum, [rows]) => sum + rows, 0)).toBe(10_060);
  });

  it('keeps answers apart that were computed in the memory of before', async () => {
    const answers = [];
    for (let i = 0; i < 20; i++)
      answers.push(
        ...(await Promise.all([0, 1, 2].map((k) => batcher.run(batchOf(i * 10 + k * 3, 3, k === 1))))),
      );
    for (const [i, answer] of answers.entries())
      expect(answer).toEqual(await alone.run(batchOf(Math.floor(i / 3) * 10 + (i % 3) * 3, 3)));
  });

  it('refuses a request whose time is over', async () => {
    await expect(batcher.run(batchOf(0, 1), performance.now() - 1)).rejects.toMatchObject({ status: 503 });
    expect((await batcher.run(batchOf(0, 1), performance.now() + 60_000)).rows).toBe(1);
  });

  it('refuses a block of numbers of another size', async () => {
    const numbers = new Float32Array(3);
    await expect(batcher.run({ ...batchOf(0, 2), numbers })).rejects.toMatchObject({ code: 'InputInvalid' });
  });
});

describe('the public API of the engine', () => {
  it('loads what the short way loads, and answers the same', async () => {
    const options = { logSeverityLevel: 4 } as const;
    const session = await openPublic(churnModel(), options, ['label', 'probability']);
    const short = await TabularSession.create(churnModel(), CHURN_SIGNATURE);
    const { columns } = await short.run(batchOf(0, 5));
    const { Tensor } = await import('onnxruntime-node');
    const { columns: given } = batchOf(0, 5);
    const feeds = Object.fromEntries(
      [...given].map(([name, data]) => {
        if (data instanceof Float32Array) return [name, new Tensor('float32', data, [5])];
        if (data instanceof Float64Array) return [name, new Tensor('float64', data, [5])];
        return [name, new Tensor('string', data, [5])];
      }),
    );
    const found = await session.run(feeds);
    expect(columns.map(({ name }) => found[name]?.data)).toEqual(columns.map(({ data }) => data));
    expect(session.inputs.map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['age', 'float32', ['batch']],
      ['city', 'string', ['batch']],
      ['active', 'float32', ['batch']],
      ['joined', 'float64', ['batch']],
    ]);
    await session.release();
    await short.close();
  });
});

describe('reloading', () => {
  /** A model with two megabytes of constants: a version that is not freed shows. */
  function tableModel(): { onnx: Uint8Array; signature: ModelSignature } {
    const graph = new OnnxGraphBuilder('table');
    const data = Float32Array.from({ length: 500_000 }, (_, i) => i / 7);
    const values = graph.initializer('values', { type: 'float', dims: [data.length], data });
    const place = graph.op('Cast', [graph.input('x', 'float', ['batch'])], { attributes: { to: 7n } });
    graph.op('Gather', [values, place], { attributes: { axis: 0n }, output: 'prediction' });
    graph.output('prediction', 'float', ['batch']);
    return {
      onnx: graph.build(),
      signature: {
        inputs: [{ name: 'x', kind: 'numeric', optional: false }],
        outputs: [{ name: 'prediction', kind: 'float' }],
      },
    };
  }

  it('gives the memory of old versions back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-reload-'));
    const store = await ArtifactStore.create(join(folder, 'store'));
    const { onnx, signature } = tableModel();
    const artifact = await store.putBytes(onnx, 'application/onnx');
    const host = await ModelHost.create({
      serverId: 'reload',
      store,
      routesFile: join(folder, 'routes.json'),
      logger: pino({ level: 'silent' }),
    });
    let generation = 0;
    const reload = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i++) {
        generation += 1;
        const model = { version: String(generation), onnx: artifact, signature };
        await host.applyRoutes({ endpoint: 'm', generation, routes: [{ model, weight: 100 }] });
        const run = host
          .version('m', model.version)
          .run({ rows: 1, columns: new Map([['x', Float32Array.of(7)]]) });
        expect((await run).columns[0]?.data[0]).toBe(1);
      }
      return process.memoryUsage().rss / 2 ** 20;
    };
    try {
      const before = await reload(40);
      const after = await reload(200);
      // 200 versions that stay would take more than 600 MiB.
      expect(after - before).toBeLessThan(200);
    } finally {
      await host.close();
      await rm(folder, { recursive: true, force: true });
    }
  }, 120_000);
});
