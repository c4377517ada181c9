/**
 * Fills an online store and looks up in it, in a process of its own, as a worker and a server with their own environment
 * would: `feature-store-client.ts FOLDER PARQUET KEY AT`. Prints the values, or the words of the error.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../lib/duckdb/database.ts';
import { materializedAside } from '../../lib/feature-store/materialize-aside.ts';
import { featureStoreAccess, openByAccess } from '../../lib/feature-store/open-feature-store.ts';
import { plannedView } from '../../lib/feature-store/served-views.ts';
import { featureStoreSettings } from '../../lib/feature-store/settings.ts';
import { storeIdOf } from '../../lib/feature-store/stored-view.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { PIPELINE, WORLD_VIEW } from '../support/feature-world.ts';

const [folder = '', parquet = '', key = '', at = ''] = process.argv.slice(2);
const artifacts = await ArtifactStore.create(join(folder, 'artifacts'));
const config = { dataDir: folder, ...featureStoreSettings(process.env, folder) };
const access = await featureStoreAccess(config, artifacts);
const database = await Database.create({ tempDir: folder, threads: 1 });
await database.view('payments', `read_parquet('${parquet}')`);
const plan = await planView(database, 'payer', WORLD_VIEW);
database.close();

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const filled = await materializedAside({
  ...{ plan, access, pipeline: PIPELINE, until: Number(at), personal: false },
  ...{ sources: [{ name: 'payments', files: [parquet] }], spillDir: join(folder, 'spill') },
}).then(({ events }) => events, wordsOf);
const store = await openByAccess(access);
const lookUp = async () => store.lookUp(plannedView(storeIdOf(PIPELINE, plan), plan), [key], Number(at));
const valuesOrWords = () => lookUp().then((found) => [...found.values].map(String), wordsOf);
let values = await valuesOrWords();
// A server that only just begins to connect: requests do not wait for it.
for (let tries = 0; tries < 300 && typeof values === 'string' && !values.includes('certificate'); tries++) {
  await sleep(50);
  values = await valuesOrWords();
}
await store.close();
process.stdout.write(JSON.stringify({ filled, values }));
// The process that materialises waits for more.
process.exit(0);
