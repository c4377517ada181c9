import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { openPlanOf, storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { Person } from '../../lib/erasure/person.ts';
import type { SearchTools } from '../../lib/erasure/personal-store.ts';
import { openArchive } from '../../lib/predictions/archive.ts';
import { type CompactionOptions, compactPredictions } from '../../lib/predictions/compaction.ts';
import { LogSources } from '../../lib/predictions/log-sources.ts';
import { PredictedRows } from '../../lib/predictions/predicted-rows.ts';
import { removeExpiredPredictions } from '../../lib/predictions/retention.ts';
import { segmentFiles } from '../../lib/predictions/segments.ts';
import { archiveLocation, segmentsFolder } from '../../lib/predictions/settings.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import { secrets } from '../support/erasure-fixture.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { ServingWithLog } from '../support/serving-with-log.ts';
import { TestBucket } from '../support/stores.ts';

const COMPACTOR = fileURLToPath(new URL('./prediction-compaction-process.ts', import.meta.url));
/** Today is settled then. */
const LATER = Date.now() + 4 * 86_400_000;

let fixture: PredictionLogFixture;
let tools: SearchTools;
beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
  tools = await fixture.searchTools();
});
afterEach(() => fixture.close());

let asked = 0;
/** One segment with predictions and truth, archived as files of its own. */
async function segment(people: readonly string[], on = fixture, roll = true): Promise<void> {
  const serving = await ServingWithLog.create(on, {}, { generation: ++asked });
  const key = await serving.log.entityKey();
  for (const name of people) {
    const id = `${name}-${asked}`;
    await serving.ask(id, ['Ulm', 'Bonn'], name);
    await serving.log.recordTruths([truthOf('churn', { requestId: id, label: 'yes' }, key)]);
  }
  await serving.log.close();
  await serving.host.close();
  if (roll) await on.roll();
}

const compact = (options: Partial<CompactionOptions> = {}, on = fixture) =>
  compactPredictions(on.config, { asOf: LATER, ...options });

const places = async (on = fixture): Promise<string[]> => {
  const keys = new Set<string>();
  for await (const key of (await openArchive(archiveLocation(on.config))).list('')) keys.add(key);
  return [...keys]
    .map((key) => key.replace(/date=[\d-]+/, 'day').replace(/@merged-.+\.parquet/, '@merged'))
    .sort();
};
const MERGED = ['predictions', 'truth'].flatMap((kind) => [
  `churn/${kind}/day/@merged`,
  `churn/${kind}/day/@merged.json`,
]);

/** All that is on record, with its order in each request. */
const content = async (on = fixture) => ({
  predictions: await on.rows('FROM predictions ORDER BY time, request_id, row'),
  truth: await on.rows('FROM truth ORDER BY received_at'),
  labelled: await on.rows(
    "SELECT request_id, row, truth_label FROM labelled WHERE truth_by = 'request' ORDER BY ALL",
  ),
});
const ids = async (view: string, on = fixture): Promise<unknown[]> =>
  (await on.rows(`SELECT DISTINCT request_id AS id FROM ${view} ORDER BY 1`)).map(({ id }) => id);

describe('the files of a day', () => {
  it('become one, with all rows in their order, and new ones join it later', async () => {
    await segment(['ann', 'bob']);
    await segment(['carl']);
    await segment(['dora']);
    const before = await content();
    expect(before.predictions).toHaveLength(8);
    expect(before.labelled).toHaveLength(8);
    expect(await compact()).toEqual({ days: 2, files: 6, stopped: false });
    expect(await places()).toEqual(MERGED);
    expect(await content()).toEqual(before);
    // The rows of a request stand together, in their order.
    const merged = await fixture.rows('SELECT request_id AS id, row FROM predictions');
    expect(merged.map(({ row }) => row)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    for (let i = 0; i < merged.length; i += 2) expect(merged[i]?.id).toBe(merged[i + 1]?.id);
    expect(await compact()).toEqual({ days: 0, files: 0, stopped: false });

    await segment(['emil']);
    expect((await content()).predictions).toHaveLength(10);
    const whole = await content();
    expect(await compact()).toEqual({ days: 2, files: 4, stopped: false });
    expect(await places()).toEqual(MERGED);
    expect(await content()).toEqual(whole);
    const scratch = await readdir(join(fixture.config.dataDir, 'scratch'), { recursive: true });
    expect(scratch.filter((name) => /compact-/.test(name))).toEqual([]);
  });

  it('stay as they are while the day is not settled', async () => {
    await segment(['ann']);
    await segment(['bob']);
    const ends = Date.parse(new Date().toISOString().slice(0, 10)) + 86_400_000;
    expect(await compact({ asOf: ends + 2 * 86_400_000 - 1 })).toMatchObject({ days: 0 });
    expect(await compact({ asOf: ends + 2 * 86_400_000 })).toMatchObject({ days: 2 });
  });

  it('of versions with other columns have all of them', async () => {
    await segment(['ann']);
    // Without features.
    const policy = { sample: 1, features: false };
    const blind = await ServingWithLog.create(fixture, { policy: () => policy }, { generation: ++asked });
    await blind.ask('blind', 2);
    await blind.log.close();
    await fixture.roll();
    const before = await content();
    await compact();
    expect(await content()).toEqual(before);
    expect(before.predictions.filter(({ input_age: age }) => age === null)).toHaveLength(2);
  });

  it('are encrypted as before, and in clear where there is no keyring', async () => {
    const clear = await PredictionLogFixture.create({
      dataDir: join(fixture.config.dataDir, 'clear'),
      artifactStore: { kind: 'file', root: join(fixture.config.dataDir, 'shared') },
    });
    for (const on of [fixture, clear]) {
      const ask = async (id: string) => {
        const serving = await ServingWithLog.create(on, {}, { generation: ++asked });
        await serving.ask(id);
        await serving.log.close();
        await on.roll();
      };
      await ask('one');
      await ask('two');
      const before = await on.rows('FROM predictions ORDER BY time');
      await compact({}, on);
      expect(await on.rows('FROM predictions ORDER BY time')).toEqual(before);
      const { root } = await openArchive(archiveLocation(on.config));
      const [day = ''] = await readdir(join(root, 'churn/predictions'));
      const folder = join(root, 'churn/predictions', day);
      const file = (await readdir(folder)).find((name) => name.endsWith('.parquet')) ?? '';
      const rows = tools.database.rows(`SELECT count(*) AS n FROM read_parquet('${join(folder, file)}')`);
      if (on === clear) expect(await rows).toEqual([{ n: 2 }]);
      else await expect(rows).rejects.toThrow();
    }
    await clear.close();
  });

  it('go with the day when it is not kept any longer', async () => {
    await segment(['ann']);
    await segment(['bob']);
    await compact();
    expect(await removeExpiredPredictions(fixture.config, Date.now() + 92 * 86_400_000)).toBe(2);
    expect(await places()).toEqual([]);
    expect((await content()).predictions).toEqual([]);
  });

  it('that cannot be read stay beside', async () => {
    await segment(['ann']);
    await segment(['bob']);
    await segment(['carl']);
    const { root } = await openArchive(archiveLocation(fixture.config));
    const [day = ''] = await readdir(join(root, 'churn/predictions'));
    const folder = join(root, 'churn/predictions', day);
    const [first = ''] = (await readdir(folder)).sort();
    await copyFile(COMPACTOR, join(folder, first));
    expect(await compact()).toMatchObject({ days: 2, files: 5 });
    expect((await readdir(folder)).sort()).toContain(first);
    expect(await ids('predictions')).toHaveLength(2);
  });
});

describe('a compaction that is killed', () => {
  const killed = async (step: string, times = 1): Promise<void> => {
    const child = spawn(
      process.execPath,
      [
        '--import',
        import.meta.resolve('tsx'),
        COMPACTOR,
        fixture.config.dataDir,
        String(LATER),
        step,
        String(times),
      ],
      { stdio: 'ignore' },
    );
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  };

  it.each([
    ['read', 1],
    ['merged', 1],
    ['committed', 1],
    ['removed', 1],
    ['removed', 2],
    ['removed', 3],
    ['read', 2],
    ['merged', 2],
    ['committed', 2],
  ])('after step %s (%i) doubles and loses no row, and the next one finishes', async (step, times) => {
    await segment(['ann']);
    await segment(['bob']);
    await segment(['carl']);
    const before = await content();
    await killed(step, times);
    expect(await content()).toEqual(before);
    // It held the place of erasures; one that comes takes it.
    expect(await openPlanOf(fixture.store)).toBeDefined();
    await erase('nobody');
    expect(await openPlanOf(fixture.store)).toBeUndefined();
    await segment(['dora']);
    const whole = await content();
    expect(whole.predictions).toHaveLength(8);
    await compact();
    expect(await content()).toEqual(whole);
    expect(await places()).toEqual(MERGED);
  });

  it('is done again by the next one an hour later, where no erasure came', async () => {
    await segment(['ann']);
    await segment(['bob']);
    await killed('merged');
    expect(await compact()).toMatchObject({ stopped: true });
    const { documents } = fixture.store;
    const open = await openPlanOf(fixture.store);
    await documents.write('erasure/open', {
      ...open,
      certificate: `housekeeping ${Date.now() - 3_700_000} x`,
    });
    expect(await compact()).toEqual({ days: 2, files: 4, stopped: false });
    expect(await places()).toEqual(MERGED);
  });
});

async function erase(name: string, on = fixture) {
  const person = Person.of({ entity: name, column: null, pipelines: null }, secrets);
  const store = new PredictedRows(on.store, on.config);
  for (let round = 0; round < 5; round++) {
    // Files that were merged while it looked through them are looked through again, as Temporal would have it.
    const planned = await store.plan(person, tools).catch((error: unknown) => {
      if (error instanceof PerennialError && error.retryable) return undefined;
      throw error;
    });
    if (!planned) continue;
    const certificate = randomUUID();
    const steps = planned.steps.map((step) => ({ store: 'predictions', step }));
    const plan = await storePlan(on.store, { certificate, steps });
    if (await takeSteps(on.store, [store], { plan, certificate }, tools)) return planned;
  }
  throw new Error('the erasure never fitted');
}

describe('an erasure', () => {
  it('takes a person out of a merged file, and what is merged later does not bring them back', async () => {
    await segment(['ann', 'bob']);
    await segment(['ann', 'carl']);
    await compact();
    const { found } = await erase('ann');
    expect(found.map(({ places, rows }) => ({ places, rows }))).toEqual([
      { places: 1, rows: 4 },
      { places: 1, rows: 2 },
    ]);
    const left = await ids('predictions');
    expect(left.map((id) => String(id).split('-')[0])).toEqual(['bob', 'carl']);
    await segment(['dora']);
    await compact();
    expect(await ids('predictions')).toEqual([...left, expect.stringMatching(/^dora/)]);
    expect(await places()).toEqual(MERGED);
  });

  it('whose plan was made before the files were merged is planned again', async () => {
    await segment(['ann', 'bob']);
    await segment(['ann']);
    const store = new PredictedRows(fixture.store, fixture.config);
    const person = Person.of({ entity: 'ann', column: null, pipelines: null }, secrets);
    const planned = await store.plan(person, tools);
    expect(await Promise.all(planned.steps.map((step) => store.isCurrent(step)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    await compact();
    const steps = planned.steps.map((step) => ({ store: 'predictions', step }));
    const certificate = randomUUID();
    const plan = await storePlan(fixture.store, { certificate, steps });
    expect(await takeSteps(fixture.store, [store], { plan, certificate }, tools)).toBe(false);
    await erase('ann');
    expect(await ids('predictions')).toEqual([expect.stringMatching(/^bob/)]);
    expect(await ids('truth')).toEqual([expect.stringMatching(/^bob/)]);
  });

  it('that is under way keeps files from being merged, and one that comes meanwhile is not undone', async () => {
    await segment(['ann', 'bob']);
    await segment(['ann']);
    const own = { plan: await storePlan(fixture.store, { certificate: 'c', steps: [] }), certificate: 'c' };
    await fixture.store.documents.write('erasure/open', own);
    expect(await compact()).toEqual({ days: 0, files: 0, stopped: true });
    await fixture.store.documents.remove('erasure/open');

    let erasing: Promise<unknown> | undefined;
    const onStep = (step: string): void => {
      if (step === 'read') erasing ??= erase('ann');
    };
    // The merge waits for nobody; what it read before the erasure must not come to count after it.
    const merging = compact({ onStep });
    await merging;
    await erasing;
    await erase('ann');
    await compact();
    expect(await ids('predictions')).toEqual([expect.stringMatching(/^bob/)]);
    expect(await places()).toEqual(MERGED);
  });
});

it('a segment that was archived before and not deleted makes no row twice, before and after it is archived again', async () => {
  await segment(['ann'], fixture, false);
  const [file] = await segmentFiles(segmentsFolder(fixture.config));
  const path = file?.path ?? '';
  const copy = join(fixture.config.dataDir, 'copy');
  await copyFile(path, copy);
  await fixture.roll();
  await segment(['bob']);
  await compact();
  const before = await content();
  await copyFile(copy, path);
  expect(await content()).toEqual(before);
  expect(await fixture.roll()).toMatchObject({ segments: 1, files: 0, rows: 0 });
  expect(await content()).toEqual(before);
  expect(await places()).toEqual(MERGED);
});

it('readers see every row once while files are merged', async () => {
  for (let i = 0; i < 12; i++) await segment(['ann']);
  const counted = async () =>
    (
      await fixture.rows('SELECT (SELECT count(*) FROM predictions) AS p, (SELECT count(*) FROM truth) AS t')
    )[0];
  let going = true;
  const seen: unknown[] = [];
  const readers = [0, 1].map(async () => {
    while (going || seen.length < 3) seen.push(await counted());
  });
  for (let i = 0; i < 2; i++) expect(await compact()).toMatchObject({ stopped: false });
  going = false;
  await Promise.all(readers);
  expect(seen.length).toBeGreaterThan(2);
  expect(new Set(seen.map((row) => JSON.stringify(row)))).toEqual(
    new Set([JSON.stringify({ p: 24, t: 12 })]),
  );
});

it('a reader that listed files which were merged then reads the merged one', async () => {
  await segment(['ann']);
  await segment(['bob']);
  const scratch = fixture.scratchDir;
  await mkdir(scratch, { recursive: true });
  const sources = await LogSources.open(fixture.config, async () => tools.database, scratch);
  const get = sources.archive.get.bind(sources.archive);
  const asking = vi.spyOn(sources.archive, 'get').mockImplementationOnce(async (key, copy) => {
    const found = await get(key, copy);
    await compact();
    return found;
  });
  const paths = await sources.paths('churn', 'predictions');
  expect(asking).toHaveBeenCalled();
  const rows = await tools.database.rows(
    `SELECT request_id, row FROM read_parquet([${paths.map(quoteLiteral).join(', ')}]) GROUP BY ALL HAVING count(*) = 1`,
  );
  expect(rows).toHaveLength(4);
});

describe('an archive in a bucket', () => {
  let s3: TestBucket;
  beforeAll(async () => {
    s3 = await TestBucket.start();
  }, 900_000);
  afterAll(() => s3?.close());

  it('is merged as well, and a person goes from it', async () => {
    const archive = s3.location(`predictions-${randomUUID()}`);
    const on = await PredictionLogFixture.create({
      dataDir: join(fixture.config.dataDir, 'machine'),
      predictions: { archive },
    });
    await segment(['ann', 'bob'], on);
    await segment(['ann'], on);
    const before = await content(on);
    expect(await compact({}, on)).toEqual({ days: 2, files: 4, stopped: false });
    expect(await places(on)).toEqual(MERGED);
    expect(await content(on)).toEqual(before);
    await erase('ann', on);
    expect(await ids('predictions', on)).toEqual([expect.stringMatching(/^bob/)]);
    await on.close();
  });
});
