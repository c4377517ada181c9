import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TableRef } from '../../contracts/refs.ts';
import { dataSpec } from '../../contracts/spec/data.ts';
import { isVolatile } from '../../domain/volatile-sql.ts';
import { joinSources } from '../../lib/data/join.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
let people: TableRef;
let secret: string;
beforeAll(async () => {
  data = await DataFixture.create();
  const sql =
    "SELECT i AS id, 'name ' || i AS name, CASE WHEN i % 10 = 0 THEN NULL ELSE i % 2 END AS y FROM range(100) r(i)";
  people = (await data.table(sql)).table;
  secret = join(data.folder, 'secret.csv');
  await writeFile(secret, 'a,b\n1,2\n');
  await data.writeParquet('secret.parquet', 'SELECT 1 AS a');
});
afterAll(() => data.close());

const joined = (spec: object, target = 'y') => data.join({ people }, spec, target);

describe("people's SQL can do nothing but read its sources", () => {
  /** `$` stands for the folder with the secret. */
  const REFUSED = [
    "SELECT * FROM read_csv('$/secret.csv')",
    "SELECT * FROM read_csv_auto(['$/secret.csv'])",
    "SELECT * FROM read_text('$/secret.csv')",
    "SELECT * FROM read_blob('$/secret.csv')",
    "SELECT * FROM read_json('$/secret.csv')",
    "SELECT * FROM sniff_csv('$/secret.csv')",
    "SELECT * FROM read_parquet('$/root/secret.parquet')",
    "SELECT * FROM parquet_metadata('$/root/secret.parquet')",
    "SELECT * FROM '$/secret.csv'",
    "SELECT * FROM '$/root/secret.parquet'",
    "SELECT * FROM glob('$/*')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('$/store/../secret.csv')",
    "SELECT * FROM query('SELECT * FROM read_csv(''$/secret.csv'')')",
    "SELECT (SELECT count(*) FROM read_csv('$/secret.csv')) AS n",
    "WITH x AS (SELECT * FROM read_csv('$/secret.csv')) SELECT * FROM x",
    "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "SELECT * FROM 'https://127.0.0.1:9/a.parquet'",
    "SELECT * FROM 's3://bucket/a.parquet'",
    "SELECT * FROM 'gcs://bucket/a.parquet'",
    "SELECT * FROM 'hf://datasets/a/b.parquet'",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_ndjson_objects('$/secret.csv')",
    "SELECT * FROM parquet_schema('$/root/secret.parquet')",
    "SELECT * FROM parquet_kv_metadata('$/root/secret.parquet')",
    "SELECT * FROM query_table('$/secret.csv')",
    "SELECT * FROM sqlite_scan('$/new.db', 't')",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "SELECT * FROM read_csv((SELECT '$/secret.csv'))",
    "SELECT * FROM people, LATERAL (SELECT * FROM read_text('$/secret.csv'))",
    "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'",
    "ATTACH 'https://127.0.0.1:9/a.db'",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "COPY people TO 's3://bucket/out.parquet'",
    'SELECT * FROM duckdb_secrets()',
    "SELECT getenv('HOME')",
    "SELECT *, error('no ' || name) FROM people",
    'SELECT main."ERROR" /* x */ (name) FROM people',
    'SELECT * FROM people WHERE id IN (SELECT error(name) FROM people)',
    "COPY people TO '$/out.csv'",
    "COPY (SELECT 1) TO '$/out.parquet'",
    "COPY people FROM '$/secret.csv'",
    "EXPORT DATABASE '$/export'",
    "IMPORT DATABASE '$/export'",
    "ATTACH '$/new.db'",
    "ATTACH '$/new.db' AS other; SELECT 1",
    'DETACH memory',
    'USE memory',
    'INSTALL httpfs',
    'LOAD httpfs',
    "LOAD '$/evil.duckdb_extension'",
    'SET enable_external_access = true',
    'SET lock_configuration = false',
    'RESET lock_configuration',
    "SET allowed_paths = ['/']",
    'SET threads = 1',
    'SET VARIABLE x = 1',
    'PRAGMA version',
    "PRAGMA table_info('people')",
    'PRAGMA enable_profiling',
    'CALL pragma_version()',
    'CHECKPOINT',
    'VACUUM',
    'BEGIN',
    'SELECT 1; SELECT 2',
    "SELECT * FROM people; COPY people TO '$/out.csv'",
    'SELECT 1; DROP VIEW people',
    'CREATE TABLE x AS SELECT 1',
    'CREATE OR REPLACE VIEW people AS SELECT 1',
    'CREATE MACRO f() AS 1',
    'DROP VIEW people',
    'INSERT INTO people VALUES (1)',
    'DELETE FROM people',
    'UPDATE people SET id = 1',
    'MERGE INTO people USING people p ON true WHEN MATCHED THEN DELETE',
    'WITH x AS (INSERT INTO people VALUES (1) RETURNING *) SELECT * FROM x',
    'WITH x AS (DELETE FROM people RETURNING *) SELECT * FROM x',
    "SELECT * FROM query('DROP VIEW people')",
    'PREPARE p AS SELECT 1',
    'EXPLAIN SELECT 1',
    'EXPLAIN ANALYZE SELECT 1',
    'SELECT $1 AS a',
    'SELECT 1) AS q; SELECT (1',
    '1 AS a',
    ';',
    '-- nothing',
  ];

  it.each(REFUSED)('%s', async (sql) => {
    const before = await filesOutsideScratch();
    const refusal = await joined({ sql: sql.replaceAll('$/', `${data.folder}/`) }).catch(
      (error: Error) => error,
    );
    expect(refusal).toMatchObject({
      code: 'SqlInvalid',
      retryable: false,
      message: expect.stringMatching(/^data\.sql/),
    });
    expect(await filesOutsideScratch()).toEqual(before);
  });

  it.each([
    "1=1) FROM people; COPY people TO '$/out.csv'; SELECT (1",
    '1=1) FROM people; DROP VIEW people; SELECT (1',
    '1=1)) FROM people; --',
    '1=1) FROM (SELECT 1) --',
    '1=1) FROM (SELECT 1) /*',
    'true) AS a, (SELECT 1',
    "true) THEN 'x' WHEN (false",
    "EXISTS (FROM read_csv('$/secret.csv'))",
    "(SELECT count(*) FROM glob('/*')) > 0",
    'COLUMNS(*) IS NULL',
    'error(name) IS NULL',
    'id > 1;',
    'unknown = 1',
    'sum(id) > 1',
  ])('rowFilter %s', async (where) => {
    const before = await filesOutsideScratch();
    const rowFilter = [{ where: where.replaceAll('$/', `${data.folder}/`), reason: 'hidden' }];
    const refusal = await joined({ rowFilter }).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'SqlInvalid', message: expect.stringContaining('rowFilter') });
    expect(await filesOutsideScratch()).toEqual(before);
  });

  const filesOutsideScratch = async (): Promise<string[]> =>
    (await readdir(data.folder, { recursive: true })).filter((name) => !name.startsWith('scratch-')).sort();

  it('the parser decides what a SELECT is, before anything runs', async () => {
    for (const sql of [
      'DROP VIEW people',
      'SET threads = 1',
      'CREATE TABLE x AS SELECT 1',
      'EXPLAIN SELECT 1',
    ])
      await expect(joined({ sql })).rejects.toThrow('data.sql: only a SELECT is allowed');
  });

  it('a locked database stays locked, whatever statement is run in it', async () => {
    const locked = await Database.create({ tempDir: join(data.folder, 'spill'), onlyPaths: [secret] });
    try {
      expect(await locked.rows(`FROM read_csv('${secret}')`)).toEqual([{ a: 1, b: 2 }]);
      for (const sql of [
        'SET enable_external_access = true',
        "SET allowed_directories = ['/']",
        "SET allowed_paths = ['/etc/passwd']",
        'SET lock_configuration = false',
        'RESET enable_external_access',
        "FROM read_text('/etc/passwd')",
        'INSTALL httpfs',
        'LOAD httpfs',
        `ATTACH '${data.folder}/new.db'`,
      ])
        await expect(locked.run(sql), sql).rejects.toThrow();
    } finally {
      locked.close();
    }
  });

  it('an error says where and quotes no value', async () => {
    const refusal = await joined({ sql: 'SELECT CAST(name AS INTEGER) AS n FROM people' }).catch(
      (error: Error) => error,
    );
    expect(refusal).toMatchObject({
      message: expect.stringContaining('Could not convert string … to INT32'),
    });
    expect(refusal).not.toMatchObject({ message: expect.stringMatching(/name \d/) });
    await expect(joined({ sql: 'SELECT nane FROM people' })).rejects.toThrow(/"nane" not found/);
  });

  it('a column with the name of our own mark is refused', () =>
    expect(joined({ sql: 'SELECT 1 AS __perennial_reason' })).rejects.toMatchObject({ code: 'SqlInvalid' }));
});

describe('what SQL may be', () => {
  it.each([
    'FROM people',
    'SELECT * FROM people;',
    'SELECT * FROM people; -- the end; really',
    'SELECT * FROM people -- the end',
    'SELECT * FROM people /* ; */ ;\n/* over */ ;\n',
    "SELECT * FROM people WHERE name <> ';--';",
    'WITH x AS (SELECT * FROM people) SELECT * FROM x',
    'SELECT * FROM people ORDER BY id DESC LIMIT 1000',
  ])('%s', async (sql) => {
    const { table } = await joined({ sql });
    expect(table.rows).toBe(90);
    expect(table.columns.map((column) => column.name)).toEqual(['id', 'name', 'y']);
  });

  it('a source may have the name of a keyword or of our own table', async () => {
    const { table } = await data.join(
      { joined: people, order: people },
      {
        sql: 'SELECT a.id FROM joined AS a JOIN "order" AS b USING (id)',
      },
    );
    expect(table.rows).toBe(100);
  });
});

describe('rows set aside', () => {
  it('are counted under the first reason that holds, and those without a target under their own', async () => {
    const { table, setAside } = await joined({
      rowFilter: [
        { where: 'id < 20', reason: 'early' },
        { where: 'id < 30', reason: 'a little later' },
        { where: "name = 'nobody'", reason: "it's nobody" },
      ],
    });
    expect(setAside).toEqual([
      { reason: 'early', rows: 20 },
      { reason: 'a little later', rows: 10 },
      { reason: "it's nobody", rows: 0 },
      { reason: 'the target y is missing', rows: 7 },
    ]);
    expect(table.rows).toBe(63);
    const rows = await data.rows(table);
    expect(rows.every((row) => Number(row.id) >= 30 && row.y !== null)).toBe(true);
    expect(Object.keys(rows[0] ?? {})).toEqual(['id', 'name', 'y']);
  });

  it('a condition that is neither true nor false keeps the row', async () => {
    const { table, setAside } = await joined({ rowFilter: [{ where: 'y > 5', reason: 'large' }] });
    expect([table.rows, setAside[0]?.rows]).toEqual([90, 0]);
  });

  it('a table without the target loses none', async () =>
    expect((await joined({ sql: 'SELECT id FROM people' }, 'absent')).table.rows).toBe(100));

  it('may speak of errors', async () => {
    const { table } = await joined({
      sql: `SELECT *, '"function_name":"error" error(name)' AS text FROM people`,
    });
    expect(table.rows).toBe(90);
  });

  it('the order of a single source stays', async () => {
    const { table } = await joined({ rowFilter: [{ where: 'id % 3 = 0', reason: 'third' }] });
    const ids = (await data.rows(table)).map((row) => Number(row.id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  });
});

it('a join of more than 400,000 rows gives the same bytes each time', { timeout: 120_000 }, async () => {
  const big = (
    await data.table('SELECT i AS id, i % 1000 AS k, md5(i::VARCHAR) AS h FROM range(420000) r(i)')
  ).table;
  const small = (await data.table('SELECT i AS k, i * 0.5 AS w FROM range(900) r(i)')).table;
  const sql = 'SELECT big.*, small.w FROM big LEFT JOIN small USING (k)';
  const first = await data.join({ big, small }, { sql });
  const second = await data.join({ big, small }, { sql });
  expect(first.table.rows).toBe(420_000);
  expect(second).toEqual(first);
});

describe('what only filters and derives', () => {
  let scrambled: TableRef;
  beforeAll(async () => {
    scrambled = (
      await data.table('SELECT (i * 7919) % 300007 AS id, i % 7 AS k, i AS place FROM range(300007) r(i)')
    ).table;
  });
  const places = async (table: TableRef) => (await data.rows(table)).map((row) => Number(row.place));

  it.each([
    ['SELECT *, id * 2 AS twice FROM s WHERE k <> 3', (place: number) => place % 7 !== 3, 1],
    ['WITH a AS (SELECT place, k FROM s) SELECT place FROM a', () => true, 1],
    ['SELECT * FROM s UNION ALL SELECT * FROM s', () => true, 2],
  ] as const)('keeps the order of the files: %s', { timeout: 60_000 }, async (sql, keeps, times) => {
    const first = await data.join({ s: scrambled }, { sql });
    const once = Array.from({ length: 300_007 }, (_, place) => place).filter(keeps);
    expect(await places(first.table)).toEqual(Array.from({ length: times }, () => once).flat());
    expect(await data.join({ s: scrambled }, { sql })).toEqual(first);
  });

  it('what groups is sorted by all columns', async () => {
    const { table } = await data.join({ s: scrambled }, { sql: 'SELECT k, count(*) AS n FROM s GROUP BY k' });
    expect((await data.rows(table)).map((row) => Number(row.k))).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('a snapshot of which no row is left out is the table itself', async () => {
    const { table } = await data.join(
      { s: scrambled },
      { rowFilter: [{ where: 'k > 7', reason: 'none' }] },
      'id',
    );
    expect(table).toEqual(scrambled);
  });

  it('a filter by chance counts the rows that it took', async () => {
    const { table, setAside } = await data.join(
      { s: scrambled },
      { rowFilter: [{ where: 'random() < 0.5', reason: 'chance' }] },
    );
    expect(table.rows).toBeGreaterThan(0);
    expect(table.rows + (setAside[0]?.rows ?? 0)).toBe(300_007);
  });
});

it('an aborted join stops', async () => {
  const spec = dataSpec.parse({
    sources: { people: 'people.csv' },
    sql: 'SELECT count(*) AS n FROM range(100000000) a(i), range(100000000) b(j) WHERE hash(i, j) = 7',
  });
  const abort = new AbortController();
  const scratchDir = await data.scratch();
  const work = joinSources(spec, [{ name: 'people', snapshot: people }], {
    store: data.store,
    scratchDir,
    signal: abort.signal,
  });
  setTimeout(() => abort.abort(), 300);
  // Before the query began, or while it ran.
  await expect(work).rejects.toThrow(/interrupt|abort/i);
});

it('every function of the engine that hangs on the moment keeps its SQL out of the step cache', async () => {
  // The same for everybody who asks the same database, or no answer at all.
  const HARMLESS =
    /^(current_(database|schema|schemas|connection_id)|in_search_path|error|stats|write_log|sleep_ms)$/;
  const rows = await data.database.rows(
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'",
  );
  const names = rows.map(({ name }) => String(name)).filter((name) => !HARMLESS.test(name));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !isVolatile(`SELECT ${name}()`))).toEqual([]);
});
