/** A process that materialises a view, and may be killed meanwhile or kill itself. */
import { join } from 'node:path';
import { z } from 'zod';
import { Database } from '../../lib/duckdb/database.ts';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { interrupted } from '../support/feature-interruptions.ts';
import { PIPELINE, WORLD_VIEW } from '../support/feature-world.ts';

const task = z.object({
  folder: z.string(),
  featureStore: z.union([
    z.object({ kind: z.literal('lmdb'), folder: z.string() }),
    z.object({ kind: z.literal('redis'), url: z.string() }),
  ]),
  parquet: z.string(),
  until: z.number(),
  personal: z.boolean(),
  /** Before or after which change it kills itself. */
  die: z.object({ change: z.number(), made: z.boolean() }).optional(),
});
export type WriterTask = z.infer<typeof task>;

const { folder, featureStore, parquet, until, personal, die } = task.parse(JSON.parse(process.argv[2] ?? ''));
const artifacts = await ArtifactStore.create(join(folder, 'artifacts'));
const store = await openFeatureStore({ dataDir: folder, featureStore }, artifacts);
const database = await Database.create({ tempDir: folder, threads: 2 });
await database.view('payments', `read_parquet('${parquet}')`);
const plan = await planView(database, 'payer', WORLD_VIEW);
const watched = interrupted(store, (change, made) => {
  if (change === 0) process.stdout.write('writing\n');
  if (die && change === die.change && made === die.made) process.kill(process.pid, 'SIGKILL');
});
await materializeView(database, plan, watched, { pipeline: PIPELINE, until, personal });
process.stdout.write('done\n');
database.close();
await store.close();
