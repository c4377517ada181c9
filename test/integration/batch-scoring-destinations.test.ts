import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { batchOutput, type S3Output } from '../../contracts/batch-output.ts';
import { writeS3Output } from '../../lib/scoring/destination/s3.ts';
import {
  checkOutput as checked,
  type OutputPlace,
  writeOutput,
} from '../../lib/scoring/destination/write-output.ts';
import { Secrets } from '../../lib/secrets.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import { BatchGround } from '../support/batch-ground.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { S3Server } from '../support/s3-server.ts';

let ground: BatchGround;
let roots: string;
beforeAll(async () => {
  ground = await BatchGround.create();
  roots = join(ground.folder, 'out');
  await mkdir(roots);
});
afterAll(() => ground.close());
afterEach(() => void vi.unstubAllEnvs());

/** Three rows with what is hard to write. */
const QUERY = `SELECT * FROM (VALUES ('b1', 0::BIGINT, TIMESTAMP '2026-01-01 00:00:00.123456', NULL, 0.1::FLOAT, 'a,"b"'),
  ('b1', 1, TIMESTAMP '2026-01-01', '', 'nan'::FLOAT, E'two\nlines'), ('b1', 2, NULL, 'x', NULL, '\\.'))
  t(request_id, row, "at", entity, output_probability, note)`;

const place = (output: unknown, more: Partial<OutputPlace['config']> = {}, batchId = 'b1'): OutputPlace => ({
  config: {
    dataDir: join(ground.folder, 'data'),
    sourceRoots: [],
    outputRoots: [roots],
    outputHosts: ['127.0.0.1'],
    sourcePrivateHosts: ['127.0.0.1'],
    ...more,
  },
  output: batchOutput.parse(output),
  batchId,
  scratchDir: ground.folder,
  signal: new AbortController().signal,
});
const checkOutput = (at: OutputPlace) => checked(ground.database, at);
/** The rows of a batch that began at `since`. */
const write = (at: OutputPlace, query = QUERY, rows = 3, since = '2026-01-05T06:07:08.090Z') => {
  const timed = (time: string) =>
    `SELECT CAST('${time.replace('T', ' ').replace('Z', '')}' AS TIMESTAMP) AS "time", * FROM (${query})`;
  return writeOutput(ground.database, { query: timed, at: since, rows, chunks: [query] }, at);
};
/** The same batch is started again later. */
const LATER = '2026-01-05T19:00:00.000Z';

describe('a file', () => {
  it.each([
    ['parquet', (path: string) => `read_parquet('${path}')`],
    ['csv', (path: string) => `read_csv('${path}', header = true, all_varchar = true)`],
    ['jsonl', (path: string) => `read_json('${path}', format = 'newline_delimited')`],
  ] as const)('%s has all rows', async (format, read) => {
    const path = join(roots, `all.${format}`);
    const written = await write(place(path));
    expect(written).toMatchObject({ kind: 'file', destination: path, format, rows: 3 });
    const rows = await ground.database.rows(`SELECT row, note, entity FROM ${read(path)} ORDER BY row`);
    expect(rows.map(({ row, note }) => [Number(row), note])).toEqual([
      [0, 'a,"b"'],
      [1, 'two\nlines'],
      [2, '\\.'],
    ]);
    await checkOutput(place(path));
    expect(await write(place(path), QUERY, 3, LATER)).toEqual(written);
    await expect(checkOutput(place(path, {}, 'b2'))).rejects.toMatchObject({ code: 'OutputExists' });
    await expect(write(place(path), `${QUERY} LIMIT 2`, 2, LATER)).rejects.toMatchObject({
      code: 'OutputExists',
    });
  });

  it('of JSON lines holds JSON, whatever the numbers are', async () => {
    const path = join(roots, 'numbers.jsonl');
    const numbers = `SELECT 'b1' AS request_id, 'nan'::FLOAT AS a, ['inf'::DOUBLE, 2.5] AS b, {"x y": '-inf'::DOUBLE, z: [{k: 'nan'::FLOAT}]} AS c,
      MAP {'NaN': 'nan'::DOUBLE} AS d, array_value('inf'::FLOAT) AS e, NULL::STRUCT(q DOUBLE) AS f, 0.1::DOUBLE AS g, 'NaN' AS h`;
    await write(place(path), numbers, 1);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      time: '2026-01-05 06:07:08.09',
      request_id: 'b1',
      ...{ a: null, b: [null, 2.5], c: { 'x y': null, z: [{ k: null }] }, d: { NaN: null } },
      ...{ e: [null], f: null, g: 0.1, h: 'NaN' },
    });
  });

  it('of a folder is called like the batch, and the same batch finds its own', async () => {
    const folder = `${roots}/daily/`;
    const first = await write(place(folder));
    expect(first.destination).toBe(`${roots}/daily/b1.parquet`);
    await checkOutput(place(folder));
    expect(await write(place(folder), QUERY, 3, LATER)).toEqual(first);
    await write(place(folder, {}, 'b2'));
    await expect(write(place(folder), `${QUERY} LIMIT 2`, 2)).rejects.toMatchObject({ code: 'OutputExists' });
    expect((await readdir(folder)).sort()).toEqual(['b1.parquet', 'b2.parquet']);
  });

  it('that is there already stays as it is, unless it may be replaced', async () => {
    const path = join(roots, 'mine.csv');
    await writeFile(path, 'mine');
    await expect(checkOutput(place(path))).rejects.toMatchObject({ code: 'OutputExists' });
    await expect(write(place(path))).rejects.toMatchObject({ code: 'OutputExists' });
    expect(await readFile(path, 'utf8')).toBe('mine');
    await write(place({ path, overwrite: true }));
    expect(await readFile(path, 'utf8')).toContain('time,request_id,row');
  });

  it('is there as a whole or not at all', async () => {
    const folder = join(roots, 'whole');
    const failing = `SELECT CASE WHEN i = 900000 THEN error('x') ELSE i END AS row FROM range(1000000) r(i)`;
    await expect(write(place(join(folder, 'a.csv')), failing, 1_000_000)).rejects.toMatchObject({
      code: 'OutputUnwritable',
    });
    await expect(write(place(join(folder, 'a.csv')), QUERY, 4)).rejects.toThrow('of 4 rows 3 were written');
    expect(await readdir(folder)).toEqual([]);
    // What a killed attempt of the same batch left is taken away.
    await writeFile(join(folder, '.a.csv.b1.0000.partial'), 'half');
    await write(place(join(folder, 'a.csv')));
    expect(await readdir(folder)).toEqual(['a.csv']);
  });

  it('is written only where the worker allows it', async () => {
    await mkdir(join(ground.folder, 'elsewhere'));
    await symlink(join(ground.folder, 'elsewhere'), join(roots, 'way-out'));
    await symlink(join(ground.folder, 'nowhere.csv'), join(roots, 'to-nowhere.csv'));
    const denied = async (output: unknown, more: Partial<OutputPlace['config']> = {}) => {
      await expect(checkOutput(place(output, more))).rejects.toMatchObject({ code: 'OutputDenied' });
    };
    await denied(join(ground.folder, 'elsewhere', 'a.csv'));
    await denied(`${roots}/../elsewhere/a.csv`);
    await denied(`${roots}/way-out/a.csv`);
    await denied({ path: `${roots}/.bashrc`, format: 'csv' });
    await denied(`${roots}/a.csv`, { outputRoots: [] });
    await denied(`${ground.folder}/data/artifacts/a.csv`, { outputRoots: [ground.folder] });
    await expect(checkOutput(place(`${roots}/to-nowhere.csv`))).rejects.toThrow();
    await checkOutput(place(`${roots}/new/folder/a.csv`));
    await checkOutput(place('relative.csv'));
  });
});

describe('an object of S3', () => {
  let server: S3Server;
  let client: S3Client;
  beforeAll(async () => {
    server = await S3Server.start();
    const { endpoint, region, credentials } = server;
    client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'scores' }));
  }, 600_000);
  afterAll(async () => {
    client.destroy();
    await server.close();
  });
  const object = (s3: string, more: object = {}) => {
    vi.stubEnv('PERENNIAL_SECRET_ID', server.credentials.accessKeyId);
    vi.stubEnv('PERENNIAL_SECRET_KEY', server.credentials.secretAccessKey);
    return {
      s3,
      endpoint: server.endpoint,
      credentials: {
        accessKeyId: '${env:PERENNIAL_SECRET_ID}',
        secretAccessKey: '${env:PERENNIAL_SECRET_KEY}',
      },
      ...more,
    };
  };

  it('has all rows, once, and knows what it holds', async () => {
    const at = place(object('s3://scores/daily/', { format: 'csv' }));
    await checkOutput(at);
    const written = await write(at);
    expect(written).toMatchObject({
      kind: 's3',
      destination: 's3://scores/daily/b1.csv',
      format: 'csv',
      rows: 3,
    });
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'scores', Key: 'daily/b1.csv' }));
    expect((await Body?.transformToString())?.length).toBe(written.bytes);
    const head = () => client.send(new HeadObjectCommand({ Bucket: 'scores', Key: 'daily/b1.csv' }));
    const before = await head();
    await checkOutput(at);
    expect(await write(at, QUERY, 3, LATER)).toEqual(written);
    expect((await head()).LastModified).toEqual(before.LastModified);
    await expect(write(at, `${QUERY} LIMIT 2`, 2)).rejects.toMatchObject({ code: 'OutputExists' });
    await write(
      place(object('s3://scores/daily/', { format: 'csv', overwrite: true })),
      `${QUERY} LIMIT 2`,
      2,
    );
    expect((await head()).ContentLength).toBeLessThan(written.bytes ?? 0);
  });

  it('of another batch is seen before any row is scored', async () => {
    const at = (batchId: string) => place(object('s3://scores/one.csv'), {}, batchId);
    await write(at('b1'));
    await checkOutput(at('b1'));
    await expect(checkOutput(at('b2'))).rejects.toMatchObject({ code: 'OutputExists' });
    await checkOutput(place(object('s3://scores/one.csv', { overwrite: true }), {}, 'b2'));
  });

  it.each([
    ['one request', 'small.csv', 1],
    ['several parts', 'parts.csv', 17 << 20],
  ])('that comes while this batch is on its way stays: %s', async (_how, key, bytes) => {
    const output = batchOutput.parse(object(`s3://scores/${key}`)) as S3Output;
    const send = (batchId: string, before: () => Promise<unknown>) =>
      writeS3Output(
        output,
        {
          batchId,
          identity: batchId,
          rows: 1,
          write: async (path) => {
            await before();
            await writeFile(path, batchId.repeat(bytes));
            return 1;
          },
        },
        {
          hosts: new HostRules(['127.0.0.1'], ['127.0.0.1'], 'PERENNIAL_OUTPUT_HOSTS'),
          secrets: new Secrets(process.env),
          scratchDir: join(roots, batchId),
          signal: new AbortController().signal,
        },
      );
    for (const batchId of ['x', 'y']) await mkdir(join(roots, batchId), { recursive: true });
    const nothing = async () => undefined;
    await expect(send('x', () => send('y', nothing))).rejects.toMatchObject({ code: 'OutputExists' });
    const { Body } = await client.send(
      new GetObjectCommand({ Bucket: 'scores', Key: key, Range: 'bytes=0-0' }),
    );
    expect(await Body?.transformToString()).toBe('y');
    // A batch that finds its own on the way is done.
    await client.send(new DeleteObjectCommand({ Bucket: 'scores', Key: key }));
    expect(await send('x', () => send('x', nothing))).toMatchObject({ bytes });
  });

  it('of many parts is whole', async () => {
    const rows = 600_000;
    const query = `SELECT i AS row, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS note FROM range(${rows}) r(i)`;
    const written = await write(place(object('s3://scores/large.csv')), query, rows);
    expect(written.bytes).toBeGreaterThan(32 << 20);
    const head = await client.send(new HeadObjectCommand({ Bucket: 'scores', Key: 'large.csv' }));
    expect(head.ContentLength).toBe(written.bytes);
  });

  it('is refused where host, bucket or credentials are', async () => {
    await expect(checkOutput(place(object('s3://scores/a.csv'), { outputHosts: [] }))).rejects.toMatchObject({
      code: 'OutputDenied',
      message: expect.stringContaining('PERENNIAL_OUTPUT_HOSTS'),
    });
    await expect(write(place(object('s3://missing/a.csv')))).rejects.toMatchObject({
      code: 'OutputUnwritable',
    });
    const at = place(object('s3://scores/a.csv'));
    vi.stubEnv('PERENNIAL_SECRET_KEY', 'wrong');
    await expect(checkOutput(at)).rejects.toMatchObject({ code: 'OutputDenied' });
  });
});

describe('a table of PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  }, 120_000);
  afterAll(() => server.close());
  const table = (name: string) => {
    vi.stubEnv('PERENNIAL_SECRET_PG', PostgresServer.password);
    return { postgres: { url: server.url, password: '${env:PERENNIAL_SECRET_PG}', table: name } };
  };
  const rowsOf = async (name: string) =>
    (await server.client.query(`SELECT * FROM ${name} ORDER BY row`)).rows;

  it('is made, and takes each batch once, also from two at the same time', async () => {
    const at = place(table('scores'));
    await checkOutput(at);
    const [written] = await Promise.all([write(at), write({ ...at, scratchDir: roots })]);
    expect(written).toMatchObject({ kind: 'postgres', rows: 3, format: null });
    expect(written?.destination).toMatch(/^postgres:\/\/127\.0\.0\.1:\d+\/postgres table scores$/);
    await write(at);
    const rows = await rowsOf('scores');
    expect(rows).toHaveLength(3);
    expect(rows.map(({ entity, note, output_probability }) => [entity, note, output_probability])).toEqual([
      [null, 'a,"b"', 0.1],
      ['', 'two\nlines', Number.NaN],
      ['x', '\\.', null],
    ]);
    await write(place(table('scores'), {}, 'b2'), QUERY.replaceAll("'b1'", "'b2'"));
    expect(await rowsOf('scores')).toHaveLength(6);
    await expect(write(at, `${QUERY} LIMIT 2`, 2)).rejects.toMatchObject({ code: 'OutputExists' });
  });

  it('gets all rows or none', async () => {
    await server.client.query(
      'CREATE TABLE strict (time timestamp, request_id text, row bigint, at timestamp, entity text, output_probability real, note varchar(8))',
    );
    await expect(write(place(table('strict')))).rejects.toMatchObject({ code: 'OutputUnwritable' });
    expect(await rowsOf('strict')).toEqual([]);
    await expect(write(place(table('strict')))).rejects.not.toThrow('lines');
    await server.client.query('CREATE TABLE narrow (request_id text, row bigint)');
    await expect(write(place(table('narrow')))).rejects.toMatchObject({
      code: 'ColumnMissing',
      message: expect.stringContaining('at, entity, output_probability, note'),
    });
  });

  it('is refused where host, schema or password are', async () => {
    await expect(checkOutput(place(table('x'), { outputHosts: [] }))).rejects.toMatchObject({
      code: 'OutputDenied',
    });
    await expect(write(place(table('nowhere.x')))).rejects.toMatchObject({ code: 'OutputUnwritable' });
    const at = place(table('x'));
    vi.stubEnv('PERENNIAL_SECRET_PG', 'a wrong one');
    await expect(checkOutput(at)).rejects.toMatchObject({ code: 'OutputDenied' });
  });
});
