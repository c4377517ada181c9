import { appendFile, mkdtemp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { windowFeatures } from '../../activities/monitoring/window-features.ts';
import { Schedules } from '../../client/schedules.ts';
import { valuesAnswer } from '../../contracts/feature-questions.ts';
import { featuresScheduleId } from '../../contracts/names.ts';
import { monitoringSpec } from '../../contracts/spec/monitoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { askFeatures } from '../../lib/feature-store/ask.ts';
import { FeatureRecords } from '../../lib/feature-store/feature-records.ts';
import { plannedView } from '../../lib/feature-store/served-views.ts';
import { testFrame } from '../support/activity-frame.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { artifact } from '../support/samples.ts';

const PIPELINE = 'fraud';
const UNTIL = '2026-11-02T00:00:00.000Z';
const HEADER = 'card,paid,amount,fraud\n';

let platform: TestPlatform;
let file: string;

beforeAll(async () => {
  platform = await TestPlatform.start();
  file = join(platform.folder, 'payments.csv');
  await writeFile(
    file,
    `${HEADER}a,2026-11-01 10:00:00,5,0\na,2026-11-01 23:30:00,7,0\nb,2026-11-01 12:00:00,11,1\n`,
  );
}, 120_000);
afterAll(() => platform?.close(), 60_000);

function specOf(more: object = {}): PipelineSpec {
  return pipelineSpec.parse({
    name: PIPELINE,
    task: 'binary',
    data: { sources: { payments: { path: file } } },
    columns: { target: 'fraud', timestamp: 'paid', ignored: ['card'] },
    featureViews: {
      spending: {
        events: 'SELECT card, paid, amount FROM payments',
        entity: 'card',
        timestamp: 'paid',
        windows: ['1h', '1d'],
        features: { total: 'sum(amount)', payments: 'count(*)' },
        online: { every: '10m' },
      },
    },
    ...more,
  });
}

/** What `perennial features get` says of a card, column by column. */
async function valuesOf(card: string): Promise<(number | null)[]> {
  const answer = await askFeatures(platform.config, {
    ...{ ask: 'values', pipeline: PIPELINE, view: 'spending', key: [card], at: UNTIL },
  });
  return valuesAnswer.parse(answer).values.map(({ value }) => value);
}

const refresh = (more: object = {}) =>
  platform.run('materializeFeatures', { pipeline: PIPELINE, until: UNTIL, ...more });

it('a candidate’s views are there, and its schedule with them', async () => {
  const { views } = await refresh({ spec: specOf() });
  await platform.pauseFeatures(PIPELINE);
  expect(views).toMatchObject([{ view: 'spending', events: 3, until: UNTIL }]);
  expect(await valuesOf('a')).toEqual([7, 12, 1, 2]);
  expect(await valuesOf('nobody')).toEqual([null, null, 0, 0]);
  expect(await new Schedules(platform.client).show(featuresScheduleId(PIPELINE))).toMatchObject({
    starts: 'materialization',
    when: 'every 10m',
    overlap: 'SKIP',
  });
});

it('nothing new writes nothing; a late event counts once, however often it is looked for', async () => {
  expect((await refresh()).views).toMatchObject([{ changed: 0, written: 0 }]);
  await appendFile(file, 'a,2026-11-01 09:00:00,100,0\n');
  expect((await refresh()).views).toMatchObject([{ events: 4, changed: 1, written: 1 }]);
  expect((await refresh()).views).toMatchObject([{ changed: 0, written: 0 }]);
  expect(await valuesOf('a')).toEqual([7, 112, 1, 3]);
});

it('a corrected and a deleted event are what they are now', async () => {
  await writeFile(file, `${HEADER}a,2026-11-01 23:30:00,8,0\nb,2026-11-01 12:00:00,11,1\n`);
  expect((await refresh()).views).toMatchObject([{ events: 2 }]);
  expect(await valuesOf('a')).toEqual([8, 8, 1, 1]);
});

it('refuses views and pipelines that it does not know, with those that it does', async () => {
  await expect(refresh({ views: ['spendings'] })).rejects.toThrow(/spendings.*spending/);
  await expect(platform.run('materializeFeatures', { pipeline: 'other', until: UNTIL })).rejects.toThrow(
    /no feature views of pipeline other/,
  );
  await expect(
    askFeatures(platform.config, {
      ask: 'values',
      pipeline: PIPELINE,
      view: 'spendin',
      key: ['a'],
      at: null,
    }),
  ).rejects.toThrow(/did you mean fraud spending/);
  await expect(
    askFeatures(platform.config, {
      ask: 'values',
      pipeline: PIPELINE,
      view: 'spending',
      key: ['a', 'b'],
      at: null,
    }),
  ).rejects.toThrow(/expected 1 value/);
});

it('the monitor holds what was looked up against the sources, and tells where it cannot', async () => {
  const record = await new FeatureRecords((await platform.deps.store()).documents).find(PIPELINE);
  const [id = ''] = record?.current ?? [];
  const plan = record?.definitions[id]?.plan;
  if (!plan) throw new Error('nothing is kept online');
  const onnx = artifact('model.onnx');
  const scratch = await mkdtemp(join(platform.folder, 'parity-'));
  const log = await Database.create({ tempDir: join(scratch, 'spill') });
  const looked = (request: string, payments: number): string =>
    `SELECT '${request}' AS request_id, 0 AS row, TIMESTAMP '2026-11-02' AS time, 'champion' AS role, '1' AS version,
      '${onnx.sha256}' AS digest, 'a' AS entity_card, 'looked_up' AS feature_source_spending,
      TIMESTAMP '2026-11-02' AS feature_until_spending, 8::FLOAT AS input_spending_total_1h, 8::FLOAT AS input_spending_total_1d,
      1::FLOAT AS input_spending_payments_1h, ${payments}::FLOAT AS input_spending_payments_1d`;
  await log.run(`CREATE TABLE predictions AS ${looked('right', 1)} UNION ALL ${looked('wrong', 3)}`);
  const question = {
    spec: specOf(),
    monitoring: monitoringSpec.parse({}),
    model: {
      ...{ version: '1', onnx, signature: { inputs: [], outputs: [] }, views: [plannedView(id, plan)] },
      ...{ task: 'binary' as const, classNames: [], positiveClass: null },
    },
  };
  const told = (more: object = {}) =>
    windowFeatures(platform.deps, { ...question, ...more }, log, testFrame(scratch));
  try {
    expect(await told()).toEqual({
      features: [{ view: 'spending', rows: 2, stale: 0, differing: 1, largest: 2 }],
    });
    expect(await told({ monitoring: monitoringSpec.parse({ features: false }) })).toEqual({});
    const other = { ...question.model, views: [plannedView('other/spending/0', plan)] };
    expect(await told({ model: other })).toEqual({
      warning: expect.stringContaining('no view of the version is kept online'),
    });
    await rename(file, `${file}.away`);
    expect(await told()).toEqual({ warning: expect.stringContaining('payments') });
  } finally {
    await rename(`${file}.away`, file).catch(() => undefined);
    log.close();
  }
});

it('the monitor reads the sources of each view as the spec has them that the view is of', async () => {
  const refunds = join(platform.folder, 'refunds.csv');
  await writeFile(refunds, 'card,paid,amount\na,2026-11-01 23:40:00,3\n');
  const { spending } = specOf().featureViews;
  const returns = { ...spending, events: 'SELECT card, paid, amount FROM refunds' };
  const sources = { payments: { path: file }, refunds: { path: refunds } };
  const data = { sources, sql: 'SELECT * FROM payments' };
  await refresh({ spec: specOf({ data, featureViews: { spending, returns } }) });
  // The next version has only one of the two, and no refunds.
  await refresh({ spec: specOf() });
  const record = await new FeatureRecords((await platform.deps.store()).documents).find(PIPELINE);
  const views = Object.entries(record?.definitions ?? {}).map(([id, { plan }]) => plannedView(id, plan));
  expect(views.map(({ name }) => name).sort()).toEqual(['returns', 'spending']);
  const onnx = artifact('model.onnx');
  const scratch = await mkdtemp(join(platform.folder, 'parity-'));
  const log = await Database.create({ tempDir: join(scratch, 'spill') });
  const looked = (view: string, amount: number): string =>
    `'looked_up' AS feature_source_${view}, TIMESTAMP '2026-11-02' AS feature_until_${view},
      ${amount}::FLOAT AS input_${view}_total_1h, ${amount}::FLOAT AS input_${view}_total_1d,
      1::FLOAT AS input_${view}_payments_1h, 1::FLOAT AS input_${view}_payments_1d`;
  await log.run(`CREATE TABLE predictions AS SELECT 'r' AS request_id, 0 AS row, TIMESTAMP '2026-11-02' AS time,
    'champion' AS role, '1' AS version, '${onnx.sha256}' AS digest, 'a' AS entity_card,
    ${looked('spending', 8)}, ${looked('returns', 4)}`);
  const question = {
    ...{ spec: specOf(), monitoring: monitoringSpec.parse({}) },
    model: {
      ...{ version: '1', onnx, signature: { inputs: [], outputs: [] }, views },
      ...{ task: 'binary' as const, classNames: [], positiveClass: null },
    },
  };
  try {
    const { features, warning } = await windowFeatures(platform.deps, question, log, testFrame(scratch));
    expect(warning).toBeUndefined();
    expect(features?.toSorted((a, b) => a.view.localeCompare(b.view))).toEqual([
      { view: 'returns', rows: 1, stale: 0, differing: 1, largest: 1 },
      { view: 'spending', rows: 1, stale: 0, differing: 0, largest: 0 },
    ]);
  } finally {
    log.close();
  }
});

it('another definition takes the place of one that no version with traffic uses', async () => {
  const { spending } = specOf().featureViews;
  const spec = specOf({ featureViews: { spending: { ...spending, windows: ['2h'] } } });
  const { views, forgotten } = await refresh({ spec });
  expect(views).toMatchObject([{ view: 'spending', columns: ['spending_total_2h', 'spending_payments_2h'] }]);
  expect(forgotten).toHaveLength(1);
  expect(await valuesOf('a')).toEqual([8, 1]);
});

it('a deployed spec without views ends it: the store and the schedule are gone', async () => {
  await platform.run('watchEndpoint', { spec: specOf({ featureViews: {} }), since: UNTIL });
  const { views, forgotten } = await refresh();
  expect([views, forgotten.length]).toEqual([[], 1]);
  await expect(new Schedules(platform.client).show(featuresScheduleId(PIPELINE))).rejects.toThrow(
    /no schedule/,
  );
  expect(await askFeatures(platform.config, { ask: 'views' })).toMatchObject({ views: [] });
});
