import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TakenSource, takeSource } from '../../activities/source-snapshot.ts';
import { source as sourceSchema } from '../../contracts/spec/sources.ts';
import { snapshotFiles, snapshotRelation } from '../../lib/incremental/snapshots.ts';
import { Secrets } from '../../lib/secrets.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import { DataFixture } from '../support/integration-data.ts';
import { PostgresServer } from '../support/postgres-server.ts';

let data: DataFixture;
let runs = 0;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** Takes a source for a new run, as `ingest` does. */
async function take(pipeline: string, spec: object): Promise<TakenSource & { ids: unknown[] }> {
  const scratchDir = await data.scratch();
  const store = data.store.within(scratchDir);
  const options = {
    roots: [data.root],
    hosts: new HostRules(['127.0.0.1'], ['127.0.0.1']),
    secrets: new Secrets({
      PERENNIAL_SECRET_DATABASE: PostgresServer.password,
      PERENNIAL_SECRET_SHARE: 'hush-hush',
    }),
    scratchDir,
  };
  const context = { database: data.database, store, options };
  const taken = await takeSource(context, pipeline, `run-${runs++}`, 'trips', sourceSchema.parse(spec));
  const relation = snapshotRelation(await snapshotFiles(store, taken.snapshot));
  const rows = await data.database.rows(`SELECT id FROM ${relation} ORDER BY id`);
  return { ...taken, ids: rows.map(({ id }) => id) };
}

const csv = (...rows: (readonly [number, string])[]): string =>
  `id,at\n${rows.map(([id, day]) => `${id},2026-01-${day}\n`).join('')}`;

describe('a file that grows', () => {
  it('gives what is new; late rows are counted, not lost; an old snapshot can be had again', async () => {
    const spec = { path: 'grows.csv', incremental: { watermark: 'at' } };
    await data.write('grows.csv', csv([1, '01'], [2, '05']));
    const first = await take('grows', spec);
    expect(first).toMatchObject({ kind: 'file', ids: [1, 2], increment: { new: 2, late: 0 } });
    await data.write('grows.csv', csv([1, '01'], [2, '05'], [3, '03'], [4, '06']));
    const second = await take('grows', spec);
    expect(second).toMatchObject({ ids: [1, 2, 3, 4], increment: { new: 1, late: 1, seenBefore: 2 } });
    const third = await take('grows', spec);
    expect(third).toMatchObject({ sourceSha256: second.sourceSha256, increment: { new: 0, late: 0 } });
    const pinned = await take('grows', { ...spec, pin: first.snapshot.artifact.sha256 });
    expect(pinned).toMatchObject({ snapshot: first.snapshot, ids: [1, 2] });
    expect(pinned.increment).toBeUndefined();
  });
});

describe('an error of a source', () => {
  it('tells no secret, also where its files are only looked for', async () => {
    const spec = { path: '${env:PERENNIAL_SECRET_SHARE}/*.csv', incremental: { newFiles: true } };
    const error = await take('secret', spec).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'SourceNotFound', message: expect.stringContaining('…') });
    expect(error).not.toMatchObject({ message: expect.stringContaining('hush') });
  });
});

describe('a source that is not incremental', () => {
  it('can be pinned to what an earlier run read', async () => {
    await data.write('plain.csv', csv([1, '01']));
    const before = await take('plain', { path: 'plain.csv' });
    await data.write('plain.csv', csv([7, '01']));
    const after = await take('plain', { path: 'plain.csv' });
    expect([before.ids, after.ids]).toEqual([[1], [7]]);
    const pin = before.snapshot.artifact.sha256;
    expect(await take('plain', { path: 'plain.csv', pin })).toMatchObject({
      ids: [1],
      origin: `pinned to ${pin}`,
      sourceSha256: before.snapshot.artifact.sha256,
    });
  });
});

describe('a folder of files', () => {
  it('gives the rows of files that no run has read', async () => {
    const spec = { path: 'days/*.csv', incremental: { newFiles: true } };
    await data.write('days/1.csv', csv([1, '01']));
    expect(await take('days', spec)).toMatchObject({ ids: [1], increment: { newFiles: 1, new: 1 } });
    await data.write('days/2.csv', csv([2, '02']));
    await data.write('days/3.csv', csv([3, '03'], [4, '03']));
    const second = await take('days', spec);
    expect(second).toMatchObject({ ids: [1, 2, 3, 4], increment: { newFiles: 2, new: 3, segments: 2 } });
    expect(await take('days', spec)).toMatchObject({ increment: { newFiles: 0, rows: 4 } });
  });

  it('keeps columns that are folders', async () => {
    const spec = { path: 'parts/*/rows.csv', incremental: { newFiles: true } };
    await data.write('parts/year=2025/rows.csv', csv([1, '01']));
    const first = await take('parts', spec);
    expect(first.snapshot.columns.map(({ name }) => name)).toEqual(['id', 'at', 'year']);
    await data.write('parts/year=2026/rows.csv', csv([2, '01']));
    expect((await take('parts', spec)).snapshot.columns.map(({ name }) => name)).toEqual([
      'id',
      'at',
      'year',
    ]);
  });
});

describe('a table of PostgreSQL', () => {
  let server: PostgresServer;
  let client: PostgresServer['client'];
  let url = '';
  beforeAll(async () => {
    server = await PostgresServer.start();
    ({ client, url } = server);
  }, 180_000);
  afterAll(() => server?.close());

  it.each([
    ['timestamp', 'timestamp'],
    ['timestamptz', 'timestamptz'],
    ['date', 'date'],
  ])(
    'by a %s: only rows from the bound on are asked for; late ones are counted, not lost',
    async (name, type) => {
      await client.query(`CREATE TABLE by_${name} (id int, at ${type})`);
      const insert = (id: number, at: string | null) =>
        client.query(`INSERT INTO by_${name} VALUES ($1, $2)`, [id, at]);
      const spec = {
        postgres: { url, password: '${env:PERENNIAL_SECRET_DATABASE}', table: `by_${name}` },
        incremental: { watermark: 'at', lateness: '2d' },
      };
      await insert(1, '2026-01-01');
      await insert(2, '2026-01-10');
      expect(await take(name, spec)).toMatchObject({ kind: 'postgres', ids: [1, 2], increment: { new: 2 } });
      await insert(3, '2026-01-11');
      await insert(4, '2026-01-09');
      await insert(5, '2026-01-08');
      await insert(6, '2026-01-07');
      const second = await take(name, spec);
      // Row 1 lies below the bound: it was not read again, and is there all the same.
      expect(second).toMatchObject({
        ids: [1, 2, 3, 4, 5],
        increment: { new: 1, late: 2, tooOld: 1, seenBefore: 1 },
      });
      expect(await take(name, spec)).toMatchObject({
        increment: { new: 0, late: 0, tooOld: 3 - 2, rows: 5 },
      });
    },
  );

  it('without a time, or below the bound: counted in every run, whatever was deleted or moved on', async () => {
    await client.query('CREATE TABLE counted (id int, at timestamp)');
    const insert = (rows: string) => client.query(`INSERT INTO counted VALUES ${rows}`);
    const spec = {
      postgres: { url, password: '${env:PERENNIAL_SECRET_DATABASE}', table: 'counted' },
      incremental: { watermark: 'at', lateness: '1d' },
    };
    const counts = async () => (await take('counted', spec)).increment;
    await insert("(1, '1969-12-31 23:30'), (2, '2026-01-02 12:00'), (3, '2026-01-10'), (4, NULL)");
    expect(await counts()).toMatchObject({ new: 3, withoutWatermark: 1, rows: 3 });
    await insert(
      "(5, NULL), (6, 'infinity'), (7, '-infinity'), (8, '2026-01-03'), (9, '1969-12-31 22:59:59.999999'), (10, '2026-01-09 10:00')",
    );
    const second = { new: 0, late: 1, tooOld: 2, seenBefore: 1, withoutWatermark: 4, rows: 4 };
    expect(await counts()).toMatchObject(second);
    // As many rows leave the part below the bound as came too late.
    await client.query("DELETE FROM counted WHERE id = 1; UPDATE counted SET at = '2026-01-11' WHERE id = 2");
    expect(await counts()).toMatchObject({ new: 1, late: 0, tooOld: 2, withoutWatermark: 4, rows: 5 });
  });

  it('with rows that come while it is read: they belong to the next run, all of them', async () => {
    await client.query(`CREATE TABLE busy (id int, at timestamptz);
      INSERT INTO busy VALUES (1, '2026-01-01'), (2, '2026-01-10')`);
    const gated =
      'SELECT busy.* FROM (SELECT pg_advisory_xact_lock_shared(4242) OFFSET 0) AS gate CROSS JOIN busy';
    const spec = {
      postgres: { url, password: '${env:PERENNIAL_SECRET_DATABASE}', query: gated },
      incremental: { watermark: 'at', lateness: '2d' },
    };
    await take('busy', spec);
    await client.query('SELECT pg_advisory_lock(4242)');
    const reading = take('busy', spec);
    for (;;) {
      const waiting = await client.query(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      );
      if (waiting.rows.length > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client.query(
      "INSERT INTO busy VALUES (3, '2026-01-11'), (4, '2026-01-09'), (5, '2026-01-02'), (6, NULL)",
    );
    await client.query('DELETE FROM busy WHERE id = 1');
    await client.query('SELECT pg_advisory_unlock(4242)');
    expect(await reading).toMatchObject({
      ids: [1, 2],
      increment: { new: 0, late: 0, tooOld: 0, seenBefore: 1, withoutWatermark: 0 },
    });
    expect(await take('busy', spec)).toMatchObject({
      ids: [1, 2, 3, 4],
      increment: { new: 1, late: 1, tooOld: 1, seenBefore: 1, withoutWatermark: 1 },
    });
  });

  it('of which nothing from the bound on is left', async () => {
    await client.query(`CREATE TABLE emptied (id int, at timestamptz);
      INSERT INTO emptied VALUES (1, '2026-01-01'), (2, '2026-01-10')`);
    const spec = {
      postgres: { url, password: '${env:PERENNIAL_SECRET_DATABASE}', table: 'emptied' },
      incremental: { watermark: 'at', lateness: '2d' },
    };
    const { sourceSha256 } = await take('emptied', spec);
    await client.query('DELETE FROM emptied WHERE id = 2');
    expect(await take('emptied', spec)).toMatchObject({
      sourceSha256,
      origin: `${url.replace('postgres@', '')} table emptied`,
      increment: { new: 0, tooOld: 0, rows: 2 },
    });
  });

  it('by a serial number, from a query', async () => {
    await client.query('CREATE TABLE serial (id bigserial, note text)');
    await client.query("INSERT INTO serial (note) VALUES ('a'), ('b')");
    const spec = {
      postgres: {
        url,
        password: '${env:PERENNIAL_SECRET_DATABASE}',
        query: 'SELECT id, note FROM serial -- all of them',
      },
      incremental: { watermark: 'id' },
    };
    expect(await take('serial', spec)).toMatchObject({ ids: [1, 2] });
    await client.query("INSERT INTO serial (note) VALUES ('c')");
    expect(await take('serial', spec)).toMatchObject({
      ids: [1, 2, 3],
      increment: { new: 1, seenBefore: 2 },
    });
  });
});
