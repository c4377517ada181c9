import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PredictionsQuestion } from '../../contracts/prediction-questions.ts';
import { routeTable } from '../../contracts/serving.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { askPredictions } from '../../lib/predictions/ask.ts';
import { PredictionRoller } from '../../lib/predictions/roller.ts';
import { Segment, segmentFiles, serverFolder, writerName } from '../../lib/predictions/segments.ts';
import { segmentsFolder } from '../../lib/predictions/settings.ts';
import { Spool } from '../../lib/predictions/spool.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import { importTruth } from '../../lib/predictions/truth-import.ts';
import { RoutesFile } from '../../serving/routes-file.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { ServingWithLog } from '../support/serving-with-log.ts';
import { churnServed } from './serving-models.ts';

let fixture: PredictionLogFixture;
let serving: ServingWithLog;
let folder: string;
beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
  serving = await ServingWithLog.create(fixture);
  folder = join(fixture.config.dataDir, 'files');
  await mkdir(folder);
  for (let i = 0; i < 5; i++) await serving.ask(`r-${i}`, 2, `e-${i}`);
  await serving.log.flush();
});
afterEach(() => fixture.close());

const ask = (changes: Partial<PredictionsQuestion> = {}) =>
  askPredictions(
    fixture.config,
    { endpoint: 'churn', since: null, until: null, limit: 3, sql: null, out: null, ...changes },
    fixture.scratchDir,
  );

const tell = (name: string, endpoint = 'churn', newEndpoint = false) =>
  importTruth(
    fixture.config,
    {
      endpoint,
      newEndpoint,
      file: join(folder, name),
      format: name.endsWith('csv') ? 'csv' : name.endsWith('parquet') ? 'parquet' : 'jsonl',
    },
    fixture.scratchDir,
  );

const truths = () => fixture.rows('SELECT * EXCLUDE (received_at, endpoint, entity) FROM truth ORDER BY ALL');

describe('a question about predictions', () => {
  it('shows the latest, or what a SELECT says', async () => {
    const latest = await ask();
    expect(latest).toMatchObject({
      more: true,
      rows: [{ request_id: 'r-4', row: 0 }, { row: 1 }, { request_id: 'r-3' }],
    });
    expect(await ask({ sql: 'SELECT count(*) AS n FROM predictions; -- all' })).toEqual({
      rows: [{ n: 10 }],
      more: false,
      unreadable: 0,
    });
    expect(await ask({ until: '2020-01-01' })).toEqual({ rows: [], more: false, unreadable: 0 });
  });

  it.each(['csv', 'json', 'parquet'] as const)('writes all of it as %s, and over nothing', async (format) => {
    const path = join(folder, `out.${format}`);
    expect(await ask({ out: { path, format } })).toEqual({ written: 10, unreadable: 0 });
    const database = await Database.create({ tempDir: folder });
    const [row] = await database.rows(
      `SELECT count(*) AS n, count(DISTINCT request_id) AS ids FROM '${path}'`,
    );
    database.close();
    expect(row).toEqual({ n: 10, ids: 5 });
    await expect(ask({ out: { path, format } })).rejects.toThrow(/there already/);
    expect(await readdir(folder)).toEqual([`out.${format}`]);
  });

  it('reads nothing else, changes nothing, and tells no values', async () => {
    const secret = join(folder, 'secret.csv');
    await writeFile(secret, 'a\n1\n');
    for (const sql of [
      `SELECT * FROM '${secret}'`,
      `SELECT * FROM read_text('/etc/passwd')`,
      'DROP VIEW predictions',
      `COPY predictions TO '${join(folder, 'x.csv')}'`,
      "SET allowed_paths = ['/']",
      'SELECT 1; SELECT 2',
      'SELECT nothing FROM predictions',
    ])
      await expect(ask({ sql })).rejects.toMatchObject({ code: 'SqlInvalid' });
    const error = await ask({ sql: 'SELECT CAST(input_city AS INTEGER) FROM predictions' }).catch(
      (one) => one,
    );
    expect(error).toMatchObject({ code: 'SqlInvalid' });
    expect(String(error.message)).not.toContain('Ulm');
    await expect(ask({ since: 'yesterday' })).rejects.toThrow(/--since: expected ISO 8601/);
    expect(await readdir(folder)).toEqual(['secret.csv']);
  });
});

describe('feedback from a file', () => {
  it('is taken from JSON Lines, CSV and Parquet alike; again it changes nothing', async () => {
    await writeFile(
      join(folder, 'a.jsonl'),
      '{"requestId":"r-0","row":1,"label":"yes","metrics":{"revenue":1.5}}\n\n{"entity":"e-2","at":"2100-01-01T00:00:00Z","value":1}\n',
    );
    await writeFile(
      join(folder, 'a.csv'),
      'request_id,row,entity,at,value,label,metric_revenue\nr-0,1,,,,yes,1.5\n,,e-2,2100-01-01T00:00:00Z,1,,\n',
    );
    const database = await Database.create({ tempDir: folder });
    await database.copyToParquet(
      `SELECT * FROM (VALUES ('r-0', 1, NULL, NULL, NULL, 'yes', 1.5), (NULL, NULL, 'e-2', TIMESTAMP '2100-01-01', 1, NULL, NULL))
       t(request_id, row, entity, "at", value, label, metric_revenue)`,
      join(folder, 'a.parquet'),
    );
    database.close();
    let first: unknown;
    for (const name of ['a.jsonl', 'a.csv', 'a.parquet']) {
      expect(await tell(name)).toBe(2);
      const distinct = await fixture.rows(
        'SELECT DISTINCT * EXCLUDE (received_at, endpoint) FROM truth ORDER BY ALL',
      );
      first ??= distinct;
      expect(distinct).toEqual(first);
      expect(distinct).toHaveLength(2);
    }
    expect(await segmentFiles(segmentsFolder(fixture.config))).toMatchObject([{ open: true }]);
    const sql =
      'SELECT request_id, row, truth_label, truth_by, metrics FROM labelled WHERE truth_label IS NOT NULL';
    expect(await ask({ sql })).toMatchObject({
      rows: [{ request_id: 'r-0', row: 1, truth_label: 'yes', truth_by: 'row', metrics: { revenue: 1.5 } }],
    });
  });

  it('keeps a label as it is written, and takes nothing of a file with a wrong record', async () => {
    await writeFile(join(folder, 'labels.csv'), 'requestId,label\nr-1,007\nr-2,true\n');
    await tell('labels.csv');
    expect((await truths()).map(({ label }) => label)).toEqual(['007', 'true']);
    const many = Array.from({ length: 3_000 }, (_, i) => `r-${i},1`).join('\n');
    await writeFile(join(folder, 'wrong.csv'), `request_id,value\n${many}\nr-9,secret-word\n`);
    const error = await tell('wrong.csv').catch((one) => one);
    expect(error).toMatchObject({ code: 'InputInvalid' });
    expect(String(error.message)).toMatch(/^record 3001, value: .*nothing of the file was recorded$/);
    expect(String(error.message)).not.toContain('secret');
    await writeFile(join(folder, 'column.csv'), 'request_id,lable\nr-1,x\n');
    await expect(tell('column.csv')).rejects.toThrow(/lable is not known.*did you mean label/);
    await writeFile(join(folder, 'broken.jsonl'), '{"requestId":"r-1","label":"x"}\n{');
    await expect(tell('broken.jsonl')).rejects.toThrow(/line 2 is not JSON/);
    expect(await truths()).toHaveLength(2);
    expect(
      (await segmentFiles(segmentsFolder(fixture.config))).filter(({ origin }) =>
        origin.startsWith('import'),
      ),
    ).toEqual([]);
  });
});

describe('feedback for a name that is not known', () => {
  beforeEach(() => writeFile(join(folder, 'a.csv'), 'request_id,value\nr-1,1\n'));

  it('is refused with the name that is probably meant, and taken where that is wanted', async () => {
    await expect(tell('a.csv', 'chrun')).rejects.toThrow(/no endpoint chrun is known.*did you mean churn\?/);
    expect(await fixture.rows('SELECT * FROM truth', {}, 'chrun')).toEqual([]);
    expect(await tell('a.csv', 'chrun', true)).toBe(1);
    expect(await fixture.rows('SELECT * FROM truth', {}, 'chrun')).toHaveLength(1);
    // It is no better for having been told once.
    await expect(tell('a.csv', 'chrun')).rejects.toThrow(/did you mean churn\?/);
  });

  it('is taken of an endpoint that is served, before its first prediction', async () => {
    const server = join(fixture.config.dataDir, 'servers', 's2');
    const table = routeTable.parse({
      endpoint: 'fresh',
      generation: 1,
      routes: [{ model: await churnServed(fixture.store, '3'), weight: 100 }],
    });
    await new RoutesFile(join(server, 'routes.json')).write([table]);
    expect(await tell('a.csv', 'fresh')).toBe(1);
  });
});

describe('an import that is killed', () => {
  it('leaves nothing that is read, or that stays', async () => {
    const segments = segmentsFolder(fixture.config);
    const importing = serverFolder(segments, 'import');
    const writer = writerName();
    const segment = await Segment.begin(importing, writer, 0, undefined, true);
    const spool = new Spool();
    spool.addTruth(truthOf('churn', { requestId: 'r-1', label: 'half of a file' }, undefined));
    const block = spool.take();
    await segment.append(block?.buffer.written() ?? Buffer.alloc(0));
    await fixture.roll();
    expect(await truths()).toEqual([]);
    const [name = ''] = await readdir(importing);
    // As it is after its process has ended: another one's that was begun in its place.
    const [where, pid, , ...rest] = name.split('.');
    await rename(join(importing, name), join(importing, [where, pid, '1', ...rest].join('.')));
    await fixture.roll();
    expect(await readdir(importing)).toEqual([]);
    await segment.discard();
  });
});

describe('the roller', () => {
  // It lets all others go first.
  it('archives closed segments by a process of its own', { timeout: 600_000 }, async () => {
    await serving.log.close();
    const said: object[] = [];
    const roller = PredictionRoller.start({
      config: fixture.config,
      everyMs: 20,
      logger: { warn: (facts) => said.push(facts) },
    });
    try {
      while ((await segmentFiles(segmentsFolder(fixture.config))).length > 0)
        await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await roller.close();
    }
    expect(said).toEqual([]);
    expect(await ask({ sql: 'SELECT count(*) AS n FROM predictions' })).toMatchObject({ rows: [{ n: 10 }] });
    const archived = await readdir(join(fixture.config.dataDir, 'predictions', 'archive'), {
      recursive: true,
    });
    expect(archived.filter((name) => name.endsWith('.parquet'))).toHaveLength(1);
    expect(
      (
        await readFile(
          join(
            fixture.config.dataDir,
            'predictions',
            'archive',
            archived.find((name) => name.endsWith('.parquet')) ?? '',
          ),
          'latin1',
        )
      ).slice(0, 7),
    ).toBe('PRNSEAL');
  });
});
