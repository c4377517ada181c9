import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PerennialClient } from '../../client/perennial-client.ts';
import type { CachePolicy } from '../../contracts/cache.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { IngestOutput } from '../../contracts/stages.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { type FinishedRun, runDataPart, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { SourceServer } from '../support/source-server.ts';
import { TestBucket } from '../support/stores.ts';

const USE: CachePolicy = { mode: 'use', ttl: '1d' };
const SECRET = 'PERENNIAL_SECRET_SOURCES_LIFECYCLE';
const SQL = `SELECT trips.id, distance, age, rain, happy
  FROM trips
  JOIN people ON people.id = trips.person
  JOIN weather USING (day)
  JOIN ratings ON ratings.trip = trips.id`;

let bucket: TestBucket;
let database: PostgresServer;
let web: SourceServer;
let platform: TestPlatform;
let spec: PipelineSpec;

beforeAll(async () => {
  [bucket, database, web] = await Promise.all([
    TestBucket.start('trips'),
    PostgresServer.start(),
    SourceServer.start(),
  ]);
  process.env[SECRET] = PostgresServer.password;
  const own = { sourceHosts: ['127.0.0.1'], sourcePrivateHosts: ['127.0.0.1'] };
  platform = await TestPlatform.start(own);
  await platform.takeLease();
  spec = pipelineSpec.parse({
    name: 'trips',
    task: 'binary',
    data: {
      sources: {
        trips: {
          s3: 's3://trips/days/*',
          format: 'csv',
          endpoint: bucket.server.endpoint,
          incremental: { newFiles: true },
        },
        people: {
          postgres: { url: database.url, password: `\${env:${SECRET}}`, table: 'people' },
          incremental: { watermark: 'changed_at', lateness: '2d' },
        },
        weather: { url: `${web.url}/weather.csv` },
        ratings: { events: 'ratings' },
      },
      sql: SQL,
    },
    columns: { target: 'happy', entity: 'id' },
    candidates: [{ trainer: 'lightgbm', maxIterations: 10 }],
  });
}, 900_000);
afterAll(async () => {
  delete process.env[SECRET];
  await platform?.close();
  await Promise.all([web?.close(), database?.close(), bucket?.close()]);
}, 60_000);

/** Trips from one number up to another, each with a person and one of seven days. */
const trips = (from: number, to: number, personOf: (id: number) => number): string =>
  `id,person,day,distance\n${Array.from({ length: to - from }, (_, i) => from + i)
    .map((id) => `${id},${personOf(id)},2026-01-0${1 + (id % 7)},${(id * 37) % 100}`)
    .join('\n')}\n`;

const ratings = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => from + i)
    .map((trip) => `${JSON.stringify({ trip, happy: (trip * 37) % 100 < 50 ? 'yes' : 'no' })}\n`)
    .join('');

/** A web page that says when it changed. */
function weather(version: number): void {
  const days = Array.from({ length: 7 }, (_, day) => `2026-01-0${1 + day},${day * version}.5\n`);
  web.answer((request, response) => {
    response.setHeader('etag', `"v${version}"`);
    if (request.headers['if-none-match'] === `"v${version}"`) response.writeHead(304).end();
    else response.end(request.method === 'HEAD' ? '' : `day,rain\n${days.join('')}`);
  });
}

const put = (Key: string, Body: string | Uint8Array) =>
  bucket.client.send(new PutObjectCommand({ Bucket: 'trips', Key, Body }));

async function push(rows: string): Promise<void> {
  const store = await platform.deps.store();
  const { dataDir } = platform.config;
  const batch = await storeRows(Readable.from([Buffer.from(rows)]), 'jsonl', { store, dataDir });
  await new PerennialClient(platform.client, platform.config.taskQueue).append('ratings', batch);
}

const hits = ({ ingest, validate, protect, split, prepared }: Awaited<ReturnType<typeof runDataPart>>) =>
  [ingest, validate, protect, split, prepared].map(({ cache }) => cache?.hit);
const ALL = (hit: boolean) => Array.from({ length: 5 }, () => hit);

const sourceOf = ({ sources }: IngestOutput, name: string) => {
  const found = sources.find((source) => source.name === name);
  if (!found) throw new Error(`there is no source ${name}`);
  return found;
};

let first: FinishedRun;

it('goes from an S3 store, a database, a web address and pushed rows to a model that answers', async () => {
  await put(
    'days/a.csv',
    trips(0, 250, (id) => id % 40),
  );
  await put('days/b.csv.gz', gzipSync(trips(250, 400, (id) => id % 40)));
  await database.client.query(`CREATE TABLE people (id int, age int, changed_at timestamptz);
    INSERT INTO people SELECT i, 20 + i, timestamptz '2026-01-10' - i * interval '1 hour' FROM generate_series(0, 39) AS s(i)`);
  weather(1);
  await push(ratings(0, 400));
  first = await runLifecycle(platform, spec, { commit: null, dirty: false }, { cache: USE });
  expect(hits(first)).toEqual(ALL(false));
  const { ingest } = first;
  expect(ingest.table.rows).toBe(400);
  expect(ingest.sources.map(({ kind, snapshot }) => [kind, snapshot.rows])).toEqual([
    ['s3', 400],
    ['postgres', 40],
    ['http', 7],
    ['events', 400],
  ]);
  expect(sourceOf(ingest, 'trips').increment).toMatchObject({ newFiles: 2, new: 400 });
  expect(sourceOf(ingest, 'people').increment).toMatchObject({ new: 40, late: 0 });
  const answer = await fetch(`${platform.server.url}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      dataframe_split: {
        columns: ['distance', 'age', 'rain'],
        data: [
          [10, 30, 1.5],
          [90, 30, 1.5],
        ],
      },
    }),
  });
  const { predictions } = Object(await answer.json());
  expect(predictions.map(({ label }: { label: string }) => label)).toEqual(['yes', 'no']);
});

it('is not run again where no source has anything new, and the web address sends nothing', async () => {
  web.asked.length = 0;
  const again = await runDataPart(platform, spec, USE);
  expect(hits(again)).toEqual(ALL(true));
  expect(again.ingest.digest).toBe(first.ingest.digest);
  expect(again.prepared.variants).toEqual(first.prepared.variants);
  expect(web.asked.map(({ method }) => method)).toEqual(['HEAD']);
});

it('takes what is new of each, counts what came late, and can be pinned to what there was', async () => {
  // Persons 40 and 41 are there, one of them late; 43 comes too late and 44 has no time.
  await put(
    'days/c.csv',
    trips(400, 500, (id) => [40, 41, 43, 44][id % 4] ?? 0),
  );
  await database.client.query(`INSERT INTO people VALUES
    (40, 60, '2026-01-12'), (41, 61, '2026-01-09 00:30'), (43, 63, '2026-01-02'), (44, 64, NULL)`);
  weather(2);
  await push(ratings(400, 500));
  const { ingest, ...later } = await runDataPart(platform, spec, USE);
  expect(hits({ ingest, ...later })).toEqual(ALL(false));
  expect(ingest.table.rows).toBe(450);
  expect(ingest.digest).not.toBe(first.ingest.digest);
  expect(sourceOf(ingest, 'trips').increment).toMatchObject({ newFiles: 1, new: 100, rows: 500 });
  expect(sourceOf(ingest, 'people').increment).toMatchObject({
    new: 1,
    late: 1,
    tooOld: 1,
    withoutWatermark: 1,
    rows: 42,
  });
  expect(sourceOf(ingest, 'ratings').snapshot.rows).toBe(500);
  for (const { name, snapshot } of ingest.sources)
    expect(snapshot.artifact.sha256, name).not.toBe(sourceOf(first.ingest, name).snapshot.artifact.sha256);

  web.asked.length = 0;
  const sources = Object.fromEntries(
    Object.entries(spec.data.sources).map(([name, source]) => [
      name,
      { ...source, pin: sourceOf(first.ingest, name).snapshot.artifact.sha256 },
    ]),
  );
  const pinned = await runDataPart(platform, { ...spec, data: { ...spec.data, sources } }, USE);
  expect(pinned.ingest.digest).toBe(first.ingest.digest);
  expect(pinned.ingest.table).toEqual(first.ingest.table);
  expect(hits(pinned)).toEqual(ALL(true));
  expect(web.asked).toEqual([]);
});
