import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSpec } from '../../client/spec-file.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { timedRows } from '../../lib/data/timed-rows.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { keyOf } from '../../lib/feature-store/entity-key.ts';
import { joinedAside } from '../../lib/feature-store/join-aside.ts';
import { materializedAside } from '../../lib/feature-store/materialize-aside.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { featureStoreAccess, openByAccess } from '../../lib/feature-store/open-feature-store.ts';
import { plannedView } from '../../lib/feature-store/served-views.ts';
import { storeIdOf } from '../../lib/feature-store/stored-view.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';

const FLIGHTS = fileURLToPath(new URL('../../examples/flights/pipeline.yaml', import.meta.url));
const DATA = fileURLToPath(new URL('../../examples/flights/data', import.meta.url));
const SOURCES = ['flights', 'weather', 'planes', 'airports'];
/** A day of September. */
const DAY = '2013-09-12';

let folder: string;
let database: Database;
let spec: PipelineSpec;
let plans: ViewPlan[];
let store: OnlineFeatures;
let joined: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-parity-'));
  database = await Database.create({ tempDir: join(folder, 'spill') });
  ({ spec } = await loadSpec(FLIGHTS));
  const sources: { name: string; files: string[] }[] = [];
  for (const name of SOURCES) {
    const path = join(folder, `${name}.parquet`);
    await database.copyToParquet(
      `SELECT * FROM read_csv(${quoteLiteral(join(DATA, `${name}.csv`))}, nullstr = ['', 'NA'])`,
      path,
    );
    await database.view(name, `read_parquet(${quoteLiteral(path)})`);
    sources.push({ name, files: [path] });
  }
  const table = join(folder, 'departures.parquet');
  await database.copyToParquet(
    `SELECT * FROM (${spec.data.sql}\n) WHERE CAST(departure AS DATE) = ${quoteLiteral(DAY)} ORDER BY ALL`,
    table,
  );
  joined = join(folder, 'joined.parquet');
  ({ plans } = await joinedAside({
    ...{
      sources,
      views: spec.featureViews,
      tablePath: table,
      moment: { column: 'departure' },
      outPath: joined,
    },
    spillDir: join(folder, 'join-spill'),
  }));
  const artifacts = await ArtifactStore.create(join(folder, 'artifacts'));
  const access = await featureStoreAccess({ dataDir: folder }, artifacts);
  for (const plan of plans)
    await materializedAside({
      ...{ plan, sources, access, pipeline: spec.name, personal: false },
      until: Date.parse('2013-09-13T12:00:00Z'),
      from: Date.parse('2013-09-05T00:00:00Z'),
      spillDir: join(folder, 'store-spill'),
    });
  store = await openByAccess(access);
}, 120_000);
afterAll(async () => {
  await store?.close();
  database.close();
  await rm(folder, { recursive: true, force: true });
});

it('a server looks up what the model was trained on, bit for bit, for every flight of a day', async () => {
  const rows = await database.rows(
    `SELECT *, epoch_ms(departure) AS moment FROM read_parquet(${quoteLiteral(joined)})`,
  );
  expect(rows.length).toBeGreaterThan(500);
  for (const plan of plans) {
    const view = plannedView(storeIdOf(spec.name, plan), plan);
    let known = 0;
    for (const row of rows) {
      const key = keyOf(plan.entity.map((column) => String(row[column])));
      const { values } = await store.lookUp(view, [key], Number(row.moment));
      const online = [...values].map((value) => (Number.isNaN(value) ? null : value));
      expect(online).toEqual(plan.columns.map(({ name }) => row[name]));
      known += online.filter((value) => value !== null).length;
    }
    expect([plan.name, known]).toEqual([plan.name, expect.toSatisfy((count) => count > rows.length)]);
  }
});

it('rows that are replayed name the keys and none of the looked-up columns, and find what training got', async () => {
  const stretch = { from: `${DAY}T00:00:00Z`, before: '2013-09-13T00:00:00Z' };
  const setting = { config: { dataDir: folder, sourceRoots: [DATA] }, tempDir: folder };
  const calls = await timedRows(spec, stretch, setting);
  const looked = plans.flatMap(({ columns }) => columns.map(({ name }) => name));
  const trained = await database.rows(
    `SELECT epoch_ms(departure) AS at, tailnum, carrier, origin, ${looked.join(', ')} FROM read_parquet(${quoteLiteral(joined)}) WHERE late IS NOT NULL`,
  );
  const of = (at: number, row: Record<string, unknown>): string =>
    [at, row.tailnum, row.carrier, row.origin].join(' ');
  const expected = new Map(trained.map((row) => [of(Number(row.at), row), looked.map((name) => row[name])]));
  expect(expected.size).toBeGreaterThan(500);
  const found = new Map<string, unknown[]>();
  for (const { at, inputs } of calls) {
    expect(Object.keys(inputs)).toEqual(
      expect.arrayContaining(['tailnum', 'carrier', 'origin', 'dep_delay']),
    );
    expect(Object.keys(inputs)).not.toEqual(expect.arrayContaining(['plane_delay_1h']));
    const values: unknown[] = [];
    for (const plan of plans) {
      const view = plannedView(storeIdOf(spec.name, plan), plan);
      const key = keyOf(plan.entity.map((column) => String(inputs[column])));
      const known = await store.lookUp(view, [key], Date.parse(at));
      values.push(...[...known.values].map((value) => (Number.isNaN(value) ? null : value)));
    }
    found.set(of(Date.parse(at), inputs), values);
  }
  for (const [key, values] of expected) expect([key, found.get(key)]).toEqual([key, values]);
});

it('keys are sent as text, and only those of views that the model takes something of', async () => {
  const path = join(folder, 'visits.csv');
  await writeFile(
    path,
    'visitor,shop,at,spent,back\n9007199254740993,1,2026-01-01 10:00:00,3,1\n,2,2026-01-01 11:00:00,4,0\n',
  );
  const view = {
    events: 'SELECT * FROM visits',
    timestamp: 'at',
    windows: ['1h'],
    features: { n: 'count(*)' },
  };
  const visits = pipelineSpec.parse({
    name: 'visits',
    task: 'binary',
    data: { sources: { visits: { path } } },
    columns: { target: 'back', timestamp: 'at', features: ['spent', 'person_n_1h'] },
    split: { method: 'random' },
    featureViews: { person: { ...view, entity: 'visitor' }, place: { ...view, entity: 'shop' } },
    candidates: ['logistic'],
  });
  const stretch = { from: '2026-01-01', before: '2026-01-02' };
  const calls = await timedRows(visits, stretch, {
    config: { dataDir: folder, sourceRoots: [folder] },
    tempDir: folder,
  });
  expect(calls.map(({ inputs }) => inputs)).toEqual([
    { spent: 3, visitor: '9007199254740993' },
    { spent: 4, visitor: null },
  ]);
});
