import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featuresSpec } from '../../contracts/spec/features.ts';
import type { FeaturePlan, RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { readNpy } from '../../lib/npy.ts';

const ROWS = 10_000;
const COLUMNS: RawColumn[] = [
  { name: 'place', kind: 'numeric' },
  { name: 'word', kind: 'categorical' },
];

let folder: string;
let connection: DuckDBConnection;
let plan: FeaturePlan;
let preprocessPath: string;
const file = (name: string) => join(folder, name);

async function table(name: string, select: string, rows = ROWS): Promise<string> {
  await connection.run(
    `COPY (SELECT ${select} FROM range(${rows}) AS r(i)) TO '${file(name)}' (FORMAT parquet, ROW_GROUP_SIZE 3000)`,
  );
  return file(name);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-transform-'));
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  const parquetPath = await table('rows.parquet', "i AS place, 'w' || i % 3 AS word");
  ({ plan } = await fitFeatures(
    connection,
    `'${parquetPath}'`,
    COLUMNS,
    featuresSpec.parse({ numeric: { scale: 'none' } }),
    { preset: 'linear' },
  ));
  preprocessPath = file('preprocess.onnx');
  await writeFile(preprocessPath, preprocessGraph(plan));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('transformTable', () => {
  it('gives the same file from several processes as from one', async () => {
    const parquetPath = file('many.parquet');
    await connection.run(
      `COPY (SELECT i AS place, 'w' || i % 3 AS word FROM range(400000) AS r(i)) TO '${parquetPath}' (FORMAT parquet, ROW_GROUP_SIZE 122880)`,
    );
    const matrixOf = async (workers: number) => {
      const outPath = file(`workers-${workers}.npy`);
      await transformTable({ parquetPath, plan, preprocessPath, outPath, workers });
      return readFile(outPath);
    };
    const [one, three] = [await matrixOf(1), await matrixOf(3)];
    expect(three.equals(one)).toBe(true);
    const { shape, data } = await readNpy(file('workers-3.npy'));
    const width = shape[1] ?? 0;
    const places = plan.matrix.findIndex(({ name }) => name === 'place');
    expect(shape).toEqual([400_000, 4]);
    for (const row of [0, 122_879, 122_880, 245_760, 399_999]) expect(data[row * width + places]).toBe(row);
  });

  it('reads a table with a column of the name that row numbers have', async () => {
    const parquetPath = file('numbered.parquet');
    await connection.run(
      `COPY (SELECT i AS place, 'w' AS word, 0 AS file_row_number FROM range(250000) AS r(i)) TO '${parquetPath}' (FORMAT parquet)`,
    );
    const outPath = file('numbered.npy');
    await expect(transformTable({ parquetPath, plan, preprocessPath, outPath, workers: 2 })).resolves.toEqual(
      {
        rows: 250_000,
        columns: 4,
      },
    );
  });

  // Neither DuckDB's 2,048 rows nor the row groups divide these.
  it.each([999, 16_384])('keeps all rows in order in batches of %i', async (batchRows) => {
    const outPath = file(`matrix-${batchRows}.npy`);
    const done = await transformTable({
      parquetPath: file('rows.parquet'),
      plan,
      preprocessPath,
      outPath,
      batchRows,
    });
    expect(done).toEqual({ rows: ROWS, columns: 4 });
    const { shape, dtype, data } = await readNpy(outPath);
    expect({ shape, dtype }).toEqual({ shape: [ROWS, 4], dtype: 'float32' });
    const wrong = Array.from({ length: ROWS }, (_, row) => row).find((row) =>
      [row, ...[0, 1, 2].map((word) => Number(row % 3 === word))].some(
        (value, column) => data[row * 4 + column] !== value,
      ),
    );
    expect(wrong).toBeUndefined();
  });

  it('writes an empty matrix for an empty table', async () => {
    const parquetPath = await table('empty.parquet', "i AS place, 'a' AS word", 0);
    const outPath = file('empty.npy');
    await expect(transformTable({ parquetPath, plan, preprocessPath, outPath })).resolves.toEqual({
      rows: 0,
      columns: 4,
    });
    expect((await readNpy(outPath)).shape).toEqual([0, 4]);
  });

  it('reads other column types than in training', async () => {
    const parquetPath = await table('types.parquet', 'i::VARCHAR AS place, i AS word', 10);
    const outPath = file('types.npy');
    await transformTable({ parquetPath, plan, preprocessPath, outPath });
    const { data } = await readNpy(outPath);
    expect([...data.slice(0, 8)]).toEqual([0, 0, 0, 0, 1, 0, 0, 0]);
  });

  it('names a missing column', async () => {
    const parquetPath = await table('fewer.parquet', 'i AS place', 10);
    await expect(
      transformTable({ parquetPath, plan, preprocessPath, outPath: file('no.npy') }),
    ).rejects.toMatchObject({
      code: 'ColumnMissing',
      message: expect.stringContaining('"word"'),
    });
  });

  it('refuses what is no table and what is no graph', async () => {
    const run = { plan, outPath: file('no.npy') };
    await expect(
      transformTable({ ...run, parquetPath: preprocessPath, preprocessPath }),
    ).rejects.toMatchObject({ code: 'SourceUnreadable' });
    const parquetPath = file('rows.parquet');
    await expect(transformTable({ ...run, parquetPath, preprocessPath: parquetPath })).rejects.toMatchObject({
      code: 'ModelInvalid',
    });
  });

  it('stops on abort and leaves no file behind', async () => {
    const parquetPath = await table('many.parquet', "i AS place, 'w' || i % 3 AS word", 2_000_000);
    const controller = new AbortController();
    const before = await readdir(folder);
    const running = transformTable({
      parquetPath,
      plan,
      preprocessPath,
      outPath: file('never.npy'),
      batchRows: 64,
      signal: controller.signal,
    });
    const started = async (): Promise<void> => {
      if ((await readdir(folder)).some((name) => name.endsWith('.partial'))) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return started();
    };
    await started();
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(await readdir(folder)).toEqual(before);
  });
});
