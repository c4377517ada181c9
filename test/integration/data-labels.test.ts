import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featuresSpec } from '../../contracts/spec/features.ts';
import { readLabels, writeLabels } from '../../lib/data/labels.ts';
import { sampledRows, sampleRows } from '../../lib/data/sample.ts';
import { featureColumns } from '../../lib/features/feature-columns.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { readNpy } from '../../lib/npy.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const labels = async (sql: string, classNames: string[] = []) =>
  readLabels({ parquetPath: (await data.table(sql)).path, target: 'y', classNames });

describe('labels', () => {
  it('of classes are indices, of any type', async () => {
    const words = await labels("SELECT unnest(['yes', 'no', 'no', 'it''s']) AS y", ["it's", 'no', 'yes']);
    expect([...words]).toEqual([2, 1, 1, 0]);
    expect(words).toBeInstanceOf(Int32Array);
    expect([...(await labels('SELECT unnest([true, false]) AS y', ['false', 'true']))]).toEqual([1, 0]);
    expect([...(await labels('SELECT unnest([10, 9, 2]) AS y', ['2', '9', '10']))]).toEqual([2, 1, 0]);
  });

  it('of a regression are numbers', async () => {
    const numbers = await labels('SELECT unnest([1.5, -2, 1e6]) AS y');
    expect(numbers).toEqual(Float32Array.from([1.5, -2, 1e6]));
    expect([...(await labels("SELECT unnest(['1.5', '2']) AS y"))]).toEqual([1.5, 2]);
  });

  it.each([
    ['a missing class', "SELECT unnest(['a', NULL]) AS y", ['a', 'b']],
    ['an unknown class', "SELECT unnest(['a', 'c']) AS y", ['a', 'b']],
    ['a missing number', 'SELECT unnest([1.5, NULL]) AS y', []],
    ['infinity', "SELECT unnest([1.5, 'inf'::DOUBLE]) AS y", []],
    ['NaN', "SELECT unnest([1.5, 'nan'::DOUBLE]) AS y", []],
    ['a text for a number', "SELECT unnest(['1.5', 'Ann Example']) AS y", []],
  ])('%s is refused, without the value', async (_what, sql, classNames) => {
    const refusal = await labels(sql, classNames).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'ColumnInvalid', retryable: false });
    expect(refusal).toMatchObject({ message: expect.stringMatching(/^columns\.target/) });
    expect(refusal).not.toMatchObject({ message: expect.stringContaining('Ann') });
  });
});

describe('reading labels', () => {
  it('ends with the reason of an abort', async () => {
    const { path } = await data.table('SELECT i AS y FROM range(200000) r(i)');
    const stop = new AbortController();
    const reading = readLabels({ parquetPath: path, target: 'y', classNames: [], signal: stop.signal });
    stop.abort(new Error('cancelled'));
    await expect(reading).rejects.toThrow('cancelled');
  });

  it('tells what the table lacks', async () => {
    const { path } = await data.table('SELECT 1 AS x');
    const refusal = readLabels({ parquetPath: path, target: 'y', classNames: [] });
    await expect(refusal).rejects.toMatchObject({ code: 'ColumnInvalid' });
  });

  it('gives the same in memory as in a file, over several batches', async () => {
    const { path } = await data.table(
      "SELECT CASE WHEN i % 7 = 0 THEN 'b' ELSE 'a' END AS y FROM range(150001) r(i)",
    );
    const source = { parquetPath: path, target: 'y', classNames: ['a', 'b'] };
    const file = join(await data.scratch(), 'classes.npy');
    await writeLabels(source, file);
    const { dtype, shape, data: written } = await readNpy(file);
    expect({ dtype, shape }).toEqual({ dtype: 'int32', shape: [150_001] });
    expect(written).toEqual(Int32Array.from({ length: 150_001 }, (_, i) => (i % 7 === 0 ? 1 : 0)));
    expect(await readLabels(source)).toEqual(written);
  });
});

describe('300,000 rows of several row groups', () => {
  const ROWS = 300_000;
  /** Texts, numbers and dates with gaps: DuckDB streams such a result out of order where several threads read it. */
  const MIXED = Array.from({ length: 19 }, (_, k) => {
    if (k % 4 === 0)
      return `CASE WHEN (i + ${k}) % 11 > 0 THEN 'category ' || (i * ${k + 3}) % ${20 + k} END AS x${k}`;
    if (k % 4 === 1) return `CASE WHEN (i + ${k}) % 7 > 0 THEN (i + ${k})::DOUBLE END AS x${k}`;
    return k % 4 === 2 ? `TIMESTAMP '2013-01-01' + to_seconds(i) AS x${k}` : `(i + ${k})::INTEGER AS x${k}`;
  });

  it('stay in their order on the way through features and labels', { timeout: 120_000 }, async () => {
    const { path, table, relation } = await data.table(
      `SELECT i::DOUBLE AS place, ${MIXED.join(', ')}, i AS y FROM range(${ROWS}) r(i)`,
    );
    const features = featuresSpec.parse({
      numeric: { scale: 'none', missingIndicator: false },
      categorical: { encoding: 'frequency' },
    });
    const named = { target: 'y', entity: [], ignored: [] };
    const raw = featureColumns(table.columns, { columns: named, features });
    const { plan } = await fitFeatures(data.database.connection, relation, raw, features, {
      preset: 'linear',
    });
    const graph = await data.store.putBytes(preprocessGraph(plan), 'application/onnx');
    const folder = await data.scratch();
    const outPath = join(folder, 'features.npy');
    const labelsPath = join(folder, 'labels.npy');
    const preprocessPath = await data.store.path(graph);
    const { rows, columns } = await transformTable({ parquetPath: path, plan, preprocessPath, outPath });
    expect(rows).toBe(ROWS);
    await writeLabels({ parquetPath: path, target: 'y', classNames: [] }, labelsPath);
    const matrix = (await readNpy(outPath)).data;
    const target = (await readNpy(labelsPath)).data;
    const place = plan.matrix.findIndex((column) => column.name === 'place');
    let misplaced = 0;
    for (let row = 0; row < ROWS; row++)
      if (target[row] !== row || matrix[row * columns + place] !== row) misplaced++;
    expect(misplaced).toBe(0);
  });

  it('give samples whose answers are their own', async () => {
    const { path } = await data.table(
      `SELECT i::DOUBLE AS x, CASE WHEN i % 2 = 0 THEN 'even' END AS word FROM range(${ROWS}) r(i)`,
    );
    const signature = {
      inputs: [
        { name: 'x', kind: 'numeric' as const, optional: true },
        { name: 'word', kind: 'categorical' as const, optional: true },
      ],
      outputs: [
        { name: 'label', kind: 'string' as const },
        { name: 'probability_a', kind: 'float' as const },
        { name: 'probability_b', kind: 'float' as const },
      ],
    };
    const answers = Float64Array.from({ length: ROWS * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : -(i - 1) / 2));
    const { rows, expected } = await sampleRows(data.database, path, signature, answers, 700);
    expect(rows).toHaveLength(700);
    expect(rows.map((row) => row.x)).toEqual(sampledRows(ROWS, 700));
    expect(rows.map((row) => row.x)).toEqual(expected.probability_a);
    expect(rows.map((row) => Number(row.x))).toEqual(expected.probability_b?.map((value) => -value));
    expect(rows.every((row) => row.word === (Number(row.x) % 2 === 0 ? 'even' : null))).toBe(true);
  });
});
