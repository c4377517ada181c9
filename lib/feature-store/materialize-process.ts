/** The program beside `materialize-aside.ts`: materialises one view after the other, or writes a store anew. */
import { PerennialError } from '../../contracts/errors.ts';
import type { MaterializedView } from '../../contracts/feature-store.ts';
import { Database } from '../duckdb/database.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { snapshotRelation } from '../incremental/snapshots.ts';
import { answering } from '../processes/aside.ts';
import { materializeView } from './materialize.ts';
import { type AnewJob, anewJob, type MaterializeJob, materializeJob } from './materialize-job.ts';
import { OnlineStoreError } from './online-store.ts';
import { openByAccess } from './open-feature-store.ts';

async function materialized(
  job: MaterializeJob,
  progress: (value: unknown) => void,
): Promise<MaterializedView> {
  const store = await openByAccess(job.access);
  try {
    const database = await Database.create({
      tempDir: job.spillDir,
      memoryLimit: job.memoryLimit,
      onlyPaths: [...job.sources.flatMap(({ files }) => files), job.spillDir],
    });
    try {
      for (const { name, files } of job.sources) await database.view(name, snapshotRelation(files));
      return await materializeView(database, job.plan, store, {
        pipeline: job.pipeline,
        until: job.until,
        ...(job.from === undefined ? {} : { from: job.from }),
        personal: job.personal,
        progress: (complete, changed) => progress({ complete, changed }),
      });
    } finally {
      database.close();
    }
  } finally {
    await store.close();
  }
}

async function writtenAnew({ anew }: AnewJob): Promise<null> {
  const store = await openByAccess(anew);
  try {
    await store.writeAnew();
    return null;
  } finally {
    await store.close();
  }
}

answering(async (question, progress) => {
  try {
    const anew = anewJob.safeParse(question);
    return await (anew.success
      ? writtenAnew(anew.data)
      : materialized(materializeJob.parse(question), progress));
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    if (error instanceof OnlineStoreError)
      throw new PerennialError('FeaturesUnavailable', error.message, true);
    // The words of an engine may quote rows.
    const words = withoutValues(error instanceof Error ? error.message : String(error))
      .split('\n', 1)
      .join('');
    throw new PerennialError('StageFailed', `the online feature store cannot be written: ${words}`);
  }
});
