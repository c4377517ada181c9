import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSpec } from '../../client/spec-file.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
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
