import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileSource } from '../../contracts/spec/sources.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { acquireSource } from '../../lib/sources/acquire.ts';
import { snapshotSource } from '../../lib/sources/snapshot.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** More than one thread reads at a time, of a file and of several. */
const ROWS = 400_000;
const line = (i: number): string => `${i},${(i * 7919) % 10_007}.5,name ${i % 97},2026-01-0${1 + (i % 7)}\n`;
const csv = (from: number, to: number): string =>
  `id,x,name,day\n${Array.from({ length: to - from }, (_, i) => line(from + i)).join('')}`;

describe('the same files give the same snapshot on 1, 2 and 8 threads', () => {
  beforeAll(async () => {
    await data.write('one.csv', csv(0, ROWS));
    for (const part of [0, 1, 2, 3])
      await data.write(`many/${part}.csv`, csv((part * ROWS) / 4, ((part + 1) * ROWS) / 4));
    await data.write(
      'rows.jsonl',
      Array.from(
        { length: ROWS },
        (_, id) => `${JSON.stringify({ id, x: id / 2, name: `n${id % 97}` })}\n`,
      ).join(''),
    );
    const sql = (from: number) =>
      `SELECT i AS id, i % 97 AS k, 'n' || i % 7 AS name FROM range(${from}, ${from + ROWS / 2}) r(i)`;
    await data.writeParquet('parts/year=2024/month=01/a.parquet', sql(0));
    await data.writeParquet('parts/year=2024/month=11/a.parquet', sql(ROWS / 2));
  });

  it.each(['one.csv', 'many/*.csv', 'rows.jsonl', 'parts/**/*.parquet'])('%s', async (path) => {
    const source = fileSource.parse({ path, rowNumber: 'line' });
    const snapshots: unknown[] = [];
    for (const threads of [1, 2, 8]) {
      const scratchDir = await data.scratch();
      const database = await Database.create({ tempDir: join(scratchDir, 'spill'), threads });
      try {
        const options = await data.options({ scratchDir });
        const acquired = await acquireSource(database, 'rows', source, options);
        const target = join(scratchDir, 'snapshot.parquet');
        const table = await snapshotSource(database, 'rows', source, acquired, data.store, target);
        snapshots.push({ table, sha256: acquired.sha256, identity: acquired.identity });
      } finally {
        database.close();
      }
    }
    expect(snapshots[0]).toMatchObject({ table: { rows: ROWS } });
    expect(snapshots[1]).toEqual(snapshots[0]);
    expect(snapshots[2]).toEqual(snapshots[0]);
  });
});

describe('Hive folders', () => {
  beforeAll(async () => {
    await data.write('hive/year=2024/land=de/a.csv', 'id,v\n1,x\n');
    await data.write('hive/year=2024/land=fr/b.csv.gz', gzipSync('id,v\n2,y\n'));
    await data.write('hive/year=2025/land=at/c.csv', Buffer.from('\uFEFFid,v\n3,z\n', 'utf16le'));
  });
  const ids = async (path: string, options: object = {}) => {
    const table = await data.snapshot(path, options);
    return { columns: table.columns.map(({ name }) => name), rows: await data.rows(table) };
  };

  it('are columns where a glob goes through them, of packed files and other encodings too', async () => {
    const { columns, rows } = await ids('hive/**/*.csv*');
    expect(columns).toEqual(['id', 'v', 'land', 'year']);
    expect(rows.map((row) => Object.values(row).map(String))).toEqual([
      ['1', 'x', 'de', '2024'],
      ['2', 'y', 'fr', '2024'],
      ['3', 'z', 'at', '2025'],
    ]);
  });

  it('are none where they are switched off, or named in full', async () => {
    expect((await ids('hive/**/*.csv*', { hivePartitioning: false })).columns).toEqual(['id', 'v']);
    expect((await ids('hive/year=2024/land=de/a.csv')).columns).toEqual(['id', 'v']);
    expect((await ids('hive/year=2024/land=de/a.csv', { hivePartitioning: true })).columns).toEqual(
      expect.arrayContaining(['year', 'land']),
    );
  });

  it('count for the digest: the same rows in another folder are other data', async () => {
    await data.write('moved/year=2024/a.csv', 'id\n1\n');
    await data.write('moved-on/year=2025/a.csv', 'id\n1\n');
    const before = await data.snapshot('moved/*/a.csv');
    const after = await data.snapshot('moved-on/*/a.csv');
    expect(after.sourceSha256).not.toBe(before.sourceSha256);
    expect(after.artifact.sha256).not.toBe(before.artifact.sha256);
  });
});
