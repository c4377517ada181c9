import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { postgresSource } from '../../contracts/spec/sources.ts';
import { Secrets } from '../../lib/secrets.ts';
import { identifySource } from '../../lib/sources/acquire.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import { sampleSource } from '../../lib/sources/sample.ts';
import type { SourceOptions } from '../../lib/sources/source.ts';
import { DataFixture } from '../support/integration-data.ts';
import { PostgresServer } from '../support/postgres-server.ts';

let data: DataFixture;
let server: PostgresServer;
beforeAll(async () => {
  data = await DataFixture.create();
  server = await PostgresServer.start();
  await server.client.query(`
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE DOMAIN positive AS integer CHECK (value > 0);
    CREATE TABLE typed (
      i2 smallint, i4 integer, i8 bigint, n numeric(12, 3), free numeric, f4 real, f8 double precision, b boolean,
      t text, v varchar(20), d date, ts timestamp, tz timestamptz, tm time, u uuid, j jsonb, a integer[], m mood, p positive
    );
    INSERT INTO typed VALUES
      (1, -2, 9007199254740993, 123456789.125, 1e-20, 1.5, 0.1, true, 'a,"b"' || chr(10) || 'ü', '', '2024-02-29',
       '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56+02', '23:59:59.5', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
       '{"k": [1, null]}', '{1,NULL,3}', 'glad', 7),
      (NULL, NULL, NULL, NULL, 'NaN', 'NaN', 'Infinity', NULL, NULL, NULL, 'infinity', '-infinity', 'infinity', NULL, NULL,
       NULL, NULL, NULL, NULL);
    CREATE TABLE people (id integer PRIMARY KEY, name text);
    INSERT INTO people SELECT (i * 7919) % 10007, 'name ' || i FROM generate_series(1, 10000) AS s(i);
    CREATE TABLE binary_data (id integer, photo bytea);
    CREATE TABLE nothing (id integer);
    CREATE TABLE ancient (d date);
    INSERT INTO ancient VALUES ('0044-03-15 BC');
    CREATE TABLE "Odd.Schema ""x" (id integer);
    CREATE ROLE reader LOGIN PASSWORD 'reader';
  `);
});
afterAll(async () => {
  await server.close();
  await data.close();
});

const secrets = new Secrets({
  PERENNIAL_SECRET_PG: PostgresServer.password,
  PERENNIAL_SECRET_WRONG: 'wrong one',
});
const source = (postgres: object, options: object = {}) =>
  postgresSource.parse({
    postgres: { url: server.url, password: '${env:PERENNIAL_SECRET_PG}', ...postgres },
    ...options,
  });
const take = (postgres: object, options: object = {}, more: Partial<SourceOptions> = {}) =>
  data.take(source(postgres, options), { secrets, ...more });
const refusal = (postgres: object, options: object = {}, more: Partial<SourceOptions> = {}) =>
  take(postgres, options, more).then(
    () => undefined,
    (error: unknown) => error,
  );
const failure = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

describe('a table', () => {
  it('keeps its types and values, with empty texts and missing ones apart', async () => {
    const { table } = await take({ table: 'typed', orderBy: ['i2'] });
    expect(table.columns.map(({ name, type }) => [name, type])).toEqual([
      ['i2', 'SMALLINT'],
      ['i4', 'INTEGER'],
      ['i8', 'BIGINT'],
      ['n', 'DECIMAL(12,3)'],
      ['free', 'DOUBLE'],
      ['f4', 'FLOAT'],
      ['f8', 'DOUBLE'],
      ['b', 'BOOLEAN'],
      ['t', 'VARCHAR'],
      ['v', 'VARCHAR'],
      ['d', 'DATE'],
      ['ts', 'TIMESTAMP'],
      ['tz', 'TIMESTAMP WITH TIME ZONE'],
      ['tm', 'TIME'],
      ['u', 'UUID'],
      ['j', 'VARCHAR'],
      ['a', 'VARCHAR'],
      ['m', 'VARCHAR'],
      ['p', 'INTEGER'],
    ]);
    const path = await data.store.path(table.artifact);
    const rows = await data.database.rows(
      `SELECT COLUMNS(*)::VARCHAR FROM read_parquet('${path}') ORDER BY i2 NULLS LAST`,
    );
    expect(rows[0]).toEqual({
      i2: '1',
      i4: '-2',
      i8: '9007199254740993',
      n: '123456789.125',
      free: '1e-20',
      f4: '1.5',
      f8: '0.1',
      b: 'true',
      t: 'a,"b"\nü',
      v: '',
      d: '2024-02-29',
      ts: '2024-02-29 12:34:56.789012',
      tz: '2024-02-29 10:34:56+00',
      tm: '23:59:59.5',
      u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      j: '{"k": [1, null]}',
      a: '{1,NULL,3}',
      m: 'glad',
      p: '7',
    });
    expect(rows[1]).toMatchObject({
      i2: null,
      free: 'nan',
      f4: 'nan',
      f8: 'inf',
      t: null,
      v: null,
      d: 'infinity',
      ts: '-infinity',
      tz: 'infinity',
    });
  });

  it('is sorted, so that the order in the server does not count', async () => {
    const before = await take({ table: 'public.people' });
    await server.client.query('CREATE TABLE turned AS SELECT * FROM people ORDER BY name DESC');
    const after = await take({ table: 'turned' });
    expect(after.table).toEqual(before.table);
    expect(after.acquired.sha256).toBe(before.acquired.sha256);
    expect(before.acquired).toMatchObject({ kind: 'postgres', identity: null });
    expect(before.acquired.origin).toBe(`postgres://127.0.0.1:${server.port}/postgres table public.people`);
    const named = await take({ table: 'turned', orderBy: ['name'] }, { rowNumber: 'line' });
    expect((await data.rows(named.table)).slice(0, 2)).toEqual([
      { id: 7919, name: 'name 1', line: 1 },
      { id: 9141, name: 'name 10', line: 2 },
    ]);
  });

  it('or a query', async () => {
    const { table } = await take({ query: 'SELECT count(*) AS n, min(id) FROM people -- all' });
    expect(await data.rows(table)).toEqual([{ n: 10_000, min: 1 }]);
  });

  it('is described without being read', async () => {
    const options = await data.options({ secrets });
    const sample = await sampleSource(
      data.database,
      'people',
      source({ table: 'people' }, { rowNumber: 'line' }),
      options,
    );
    expect(sample?.columns).toEqual([
      { name: 'id', type: 'INTEGER' },
      { name: 'name', type: 'VARCHAR' },
      { name: 'line', type: 'BIGINT' },
    ]);
    expect(await identifySource(data.database, 'people', source({ table: 'people' }), options)).toBeNull();
  });
});

describe('a query can do nothing but read', () => {
  it.each([
    'DELETE FROM people',
    'DELETE FROM people RETURNING id',
    'WITH gone AS (DELETE FROM people RETURNING id) SELECT * FROM gone',
    'SELECT 1; DROP TABLE people',
    'SELECT 1; COMMIT; DROP TABLE people; SELECT 1',
    "SELECT 1) TO PROGRAM 'touch /tmp/perennial-was-here' --",
    "SELECT 1) TO '/tmp/perennial-was-here' --",
    'SELECT 1) AS a, (SELECT 2',
    'SELECT 1 AS a /*',
    'SELECT * INTO stolen FROM people',
    'CREATE TABLE stolen AS SELECT 1 AS a',
    "SELECT set_config('transaction_read_only', 'off', false), lo_create(0)",
    "SELECT nextval(pg_get_serial_sequence('counted', 'id'))",
    'TABLE nowhere',
    'VACUUM',
    '',
    '-- nothing',
  ])('%s', async (query) => {
    const error = await refusal(query === '' ? { query: ' ' } : { query });
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(SqlInvalid|SourceUnreadable|SourceNotFound)$/),
      retryable: false,
    });
    const { rows } = await server.client.query('SELECT count(*)::integer AS n FROM people');
    expect(rows).toEqual([{ n: 10_000 }]);
  });
});

describe('refused', () => {
  it.each<[string, object, string, RegExp]>([
    [
      'a table that is not there',
      { table: 'nowhere' },
      'SourceNotFound',
      /relation "nowhere" does not exist/,
    ],
    [
      'a database that is not there',
      { url: 'URL/nowhere', table: 'x' },
      'SourceNotFound',
      /database "nowhere" does not exist/,
    ],
    [
      'a wrong password',
      { password: '${env:PERENNIAL_SECRET_WRONG}', table: 'people' },
      'SourceDenied',
      /refuses the user/,
    ],
    ['what the role may not read', { url: 'READER', table: 'people' }, 'SourceDenied', /refuses the user/],
    ['a table without rows', { table: 'nothing' }, 'SourceUnreadable', /there are no rows/],
    ['binary columns', { table: 'binary_data' }, 'SourceUnreadable', /column photo is binary/],
    ['years before 1', { table: 'ancient' }, 'SourceUnreadable', /column d holds a value that DATE cannot/],
    [
      'NaN in exact numbers',
      { query: "SELECT 'NaN'::numeric(5, 2) AS x" },
      'SourceUnreadable',
      /column x holds a value that DECIMAL/,
    ],
    [
      'two columns of one name',
      { query: 'SELECT 1 AS a, 2 AS "A"' },
      'SourceUnreadable',
      /two columns are called A/,
    ],
    [
      'a column to sort by that is not there',
      { table: 'people', orderBy: ['nane'] },
      'ColumnMissing',
      /did you mean name/,
    ],
    [
      'a query that takes too long',
      { query: 'SELECT pg_sleep(60)::text AS x', timeout: '100ms' },
      'SourceUnreadable',
      /longer than its timeout/,
    ],
    [
      'division by zero, without values',
      { query: 'SELECT 1 / (id - id) AS x FROM people' },
      'SourceUnreadable',
      /refuses the query \(22012\)/,
    ],
    [
      'parameters that read files of the worker',
      { url: 'URL/postgres?sslrootcert=/etc/passwd', table: 'people' },
      'SourceDenied',
      /parameter sslrootcert/,
    ],
    [
      'no user, whoever the worker is',
      { url: 'postgres://127.0.0.1:PORT/postgres', table: 'people' },
      'SourceUnreadable',
      /names no user/,
    ],
    [
      'falling back to no encryption',
      { url: 'URL/postgres?sslmode=prefer', table: 'people' },
      'SourceUnreadable',
      /sslmode is none of/,
    ],
    [
      'encryption that the server has not',
      { url: 'URL/postgres?sslmode=require', table: 'people' },
      'SourceDenied',
      /the server has no TLS/,
    ],
  ])('%s', async (_what, postgres, code, words) => {
    const url = 'url' in postgres ? String(postgres.url) : server.url;
    const whole = url
      .replace(/^URL/, `postgres://postgres@127.0.0.1:${server.port}`)
      .replace('PORT', String(server.port))
      .replace(/^READER$/, `postgres://reader@127.0.0.1:${server.port}/postgres`);
    const reader = url === 'READER' ? { secrets: new Secrets({ PERENNIAL_SECRET_PG: 'reader' }) } : {};
    expect(await refusal({ ...postgres, url: whole }, {}, reader)).toEqual(failure(code, words));
  });

  it('no password, whatever the environment of the worker holds', async ({ onTestFinished }) => {
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv('PGPASSWORD', PostgresServer.password);
    const open = postgresSource.parse({ postgres: { url: server.url, table: 'people' } });
    await expect(data.take(open)).rejects.toMatchObject({
      code: 'SourceDenied',
      message: expect.stringContaining('refuses the user'),
    });
  });

  it('more than maxBytes', async () =>
    expect(await refusal({ table: 'people' }, { maxBytes: 1_000 })).toEqual(
      failure('SourceUnreadable', /more than 1000 bytes/),
    ));

  it('hosts that the worker does not name, or not as private', async () => {
    const rules = (hosts: string[], privateHosts: string[]) => ({
      hosts: new HostRules(hosts, privateHosts),
    });
    expect(await refusal({ table: 'people' }, {}, rules([], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_HOSTS/),
    );
    expect(await refusal({ table: 'people' }, {}, rules(['127.0.0.1'], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/),
    );
    const url = `postgres://postgres@localhost:${server.port}/postgres`;
    expect(await refusal({ url, table: 'people' }, {}, rules(['localhost'], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/),
    );
  });

  it('a server that is not there, to be tried again', async () => {
    const url = 'postgres://postgres@127.0.0.1:1/postgres';
    expect(await refusal({ url, table: 'people' })).toMatchObject({
      code: 'SourceUnavailable',
      retryable: true,
    });
  });

  it('and no error tells the password', async () => {
    const all = new Secrets({
      PERENNIAL_SECRET_URL: `postgres://postgres:hush-hush@127.0.0.1:${server.port}/postgres?x=hush-hush`,
    });
    const error = await data
      .take(postgresSource.parse({ postgres: { url: '${env:PERENNIAL_SECRET_URL}', table: 'people' } }), {
        secrets: all,
      })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceDenied', message: expect.not.stringContaining('hush') });
  });
});

it('a cancelled query ends on the server too', async () => {
  const abort = new AbortController();
  const work = refusal(
    { query: 'SELECT pg_sleep(600)::text AS cancelled_here' },
    {},
    { signal: abort.signal },
  );
  const running = async (): Promise<number> => {
    const { rows } = await server.client.query<{ n: number }>(
      "SELECT count(*)::integer AS n FROM pg_stat_activity WHERE application_name = 'perennial' AND query LIKE 'COPY%cancelled_here%'",
    );
    return rows[0]?.n ?? 0;
  };
  while ((await running()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort(new Error('enough'));
  expect(await work).toMatchObject({ message: 'enough' });
  while ((await running()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
});
