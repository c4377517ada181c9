import { gzipSync } from 'node:zlib';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { s3Source } from '../../contracts/spec/sources.ts';
import { Secrets } from '../../lib/secrets.ts';
import { identifySource } from '../../lib/sources/acquire.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import type { SourceOptions } from '../../lib/sources/source.ts';
import { DataFixture } from '../support/integration-data.ts';
import { S3Server } from '../support/s3-server.ts';

let data: DataFixture;
let server: S3Server;
let client: S3Client;
let secrets: Secrets;
const put = (Key: string, Body: string | Uint8Array) =>
  client.send(new PutObjectCommand({ Bucket: 'data', Key, Body }));

beforeAll(async () => {
  data = await DataFixture.create();
  server = await S3Server.start();
  const { endpoint, region, credentials } = server;
  client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  secrets = new Secrets({
    PERENNIAL_SECRET_ID: credentials.accessKeyId,
    PERENNIAL_SECRET_KEY: credentials.secretAccessKey,
  });
  await client.send(new CreateBucketCommand({ Bucket: 'data' }));
  await put('people.csv', 'a,b\n1,x\n');
  await put('logs/year=2023/b.csv', 'a\n1\n');
  await put('logs/year=2024/a.csv.gz', gzipSync('a\n2\n'));
  await put('logs/year=2024/c.csv', Buffer.from('\uFEFFa\n3\n', 'utf16le'));
  await put('logs/readme.txt', 'a\n9\n');
  await put('page.csv', '<!doctype html><html></html>');
  for (let i = 0; i < 1_100; i += 100)
    await Promise.all(
      Array.from({ length: 100 }, (_, j) =>
        put(`many/${String(i + j).padStart(4, '0')}.csv`, `n\n${i + j}\n`),
      ),
    );
}, 600_000);
afterAll(async () => {
  client.destroy();
  await server.close();
  await data.close();
});

const source = (s3: string, options: object = {}) =>
  s3Source.parse({
    s3,
    endpoint: server.endpoint,
    credentials: {
      accessKeyId: '${env:PERENNIAL_SECRET_ID}',
      secretAccessKey: '${env:PERENNIAL_SECRET_KEY}',
    },
    ...options,
  });
const take = (s3: string, options: object = {}, more: Partial<SourceOptions> = {}) =>
  data.take(source(s3, options), { secrets, ...more });
const refusal = (s3: string, options: object = {}, more: Partial<SourceOptions> = {}) =>
  take(s3, options, more).then(
    () => undefined,
    (error: unknown) => error,
  );
const failure = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

describe('objects', () => {
  it('by their key', async () => {
    const { table, acquired } = await take('s3://data/people.csv');
    expect(await data.rows(table)).toEqual([{ a: 1, b: 'x' }]);
    expect(acquired).toMatchObject({
      kind: 's3',
      origin: 's3://data/people.csv',
      identity: expect.stringMatching(/^etag:/),
    });
  });

  it('by a glob, packed and encoded as they come, with folders as columns', async () => {
    const { table } = await take('s3://data/logs/**/*.csv*');
    expect(await data.rows(table)).toEqual([
      { a: 1, year: 2023 },
      { a: 2, year: 2024 },
      { a: 3, year: 2024 },
    ]);
    const plain = await take('s3://data/logs/**/*.csv*', { hivePartitioning: false });
    expect(plain.table.columns.map(({ name }) => name)).toEqual(['a']);
  });

  it('more of them than one page lists, in the order of their keys', async () => {
    const { table } = await take('s3://data/many/*.csv', { rowNumber: 'line' });
    expect(table.rows).toBe(1_100);
    const path = await data.store.path(table.artifact);
    const wrong = `SELECT count(*) FILTER (WHERE n <> line - 1) AS wrong FROM read_parquet('${path}')`;
    expect(await data.database.row(wrong)).toEqual({ wrong: 0 });
  });

  it('say whether they changed without being read', async () => {
    const options = await data.options({ secrets });
    const before = await identifySource(
      data.database,
      'people',
      source('s3://data/changing*'),
      options,
    ).catch(() => null);
    expect(before).toBeNull();
    await put('changing.csv', 'a\n1\n');
    const first = await identifySource(data.database, 'people', source('s3://data/changing*'), options);
    expect((await take('s3://data/changing*')).acquired.identity).toBe(first);
    await put('changing.csv', 'a\n2\n');
    expect(await identifySource(data.database, 'people', source('s3://data/changing*'), options)).not.toBe(
      first,
    );
  });
});

describe('refused', () => {
  it.each<[string, string, object, string, RegExp]>([
    ['a key that is not there', 's3://data/gone.csv', {}, 'SourceNotFound', /no such object or bucket/],
    [
      'a glob that matches nothing',
      's3://data/gone/*.csv',
      {},
      'SourceNotFound',
      /no object matches; looked at keys that begin with gone\//,
    ],
    ['a bucket that is not there', 's3://nowhere/*.csv', {}, 'SourceNotFound', /no such bucket/],
    ['a web page', 's3://data/page.csv', {}, 'SourceUnreadable', /page\.csv: it is an HTML page/],
    ['too much', 's3://data/many/*.csv', { maxBytes: 1_000 }, 'SourceUnreadable', /more than 1000 bytes/],
    ['another region', 's3://data/*.csv', { region: 'eu-west-9' }, 'SourceDenied', /region/],
    [
      'an unknown key',
      's3://data/*.csv',
      { credentials: { accessKeyId: 'nobody', secretAccessKey: '${env:PERENNIAL_SECRET_KEY}' } },
      'SourceDenied',
      /refuses the request/,
    ],
    [
      'a wrong secret',
      's3://data/people.csv',
      {
        credentials: {
          accessKeyId: '${env:PERENNIAL_SECRET_ID}',
          secretAccessKey: '${env:PERENNIAL_SECRET_ID}',
        },
      },
      'SourceDenied',
      /refuses the request/,
    ],
  ])('%s', async (_what, s3, options, code, words) => {
    expect(await refusal(s3, options)).toEqual(failure(code, words));
  });

  it('endpoints that the worker does not name, or not as private', async () => {
    const rules = (hosts: string[], privateHosts: string[]) => ({
      hosts: new HostRules(hosts, privateHosts),
    });
    expect(await refusal('s3://data/people.csv', {}, rules([], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_HOSTS/),
    );
    expect(await refusal('s3://data/people.csv', {}, rules(['127.0.0.1'], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/),
    );
    const endpoint = server.endpoint.replace('127.0.0.1', 'localhost');
    expect(await refusal('s3://data/people.csv', { endpoint }, rules(['localhost'], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/),
    );
    expect(await refusal('s3://data/people.csv', { endpoint: undefined }, rules(['localhost'], []))).toEqual(
      failure('SourceDenied', /data\.s3\.us-east-1\.amazonaws\.com:443/),
    );
  });

  it('a store that is not there, to be tried again', async () => {
    const error = await refusal('s3://data/people.csv', { endpoint: 'http://127.0.0.1:1' });
    expect(error).toMatchObject({ code: 'SourceUnavailable', retryable: true });
  });
});
