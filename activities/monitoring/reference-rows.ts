import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import type { ReferenceRows } from '../../lib/monitoring/domain-classifier.ts';
import { ANSWERED } from '../../lib/monitoring/prediction-windows.ts';
import { LOG_COLUMNS_OF } from '../../lib/monitoring/window-statistics.ts';
import { openPredictions } from '../../lib/predictions/prediction-log.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';
import { lineageOfVersion } from '../version-lineage.ts';
import { withDatabase } from '../with-database.ts';

/** Whose rows are looked for. */
interface Question {
  endpoint: string;
  version: string;
  monitoring: MonitoringSpec;
}

/**
 * Works with the rows of the reference at hand, in a database of their own, where the domain classifier is asked for:
 * nothing else of monitoring needs rows.
 */
export async function withReferenceRows<T>(
  deps: ActivityDependencies,
  { endpoint, version, monitoring: { drift, reference } }: Question,
  frame: ActivityFrame,
  work: (rows: ReferenceRows | undefined) => Promise<T>,
): Promise<T> {
  if (drift === false || drift.classifier === false) return work(undefined);
  const scratchDir = await frame.scratch();
  if (reference === 'training') {
    const { data } = await lineageOfVersion(deps.mlflow(), endpoint, version);
    const store = (await deps.store()).within(scratchDir);
    const path = await store.path(data.split.train.artifact);
    const relation = `read_parquet(${quoteLiteral(path)})`;
    return withDatabase(frame, (database) => work({ database, relation, columnOf: (name) => name }), [path]);
  }
  const log = await openPredictions(deps.config, endpoint, {
    since: new Date(reference.from),
    until: new Date(reference.before),
    scratchDir,
    memoryLimit: frame.duckdbMemory,
    signal: frame.signal,
  });
  try {
    return await work({
      database: log.database,
      relation: `(SELECT * FROM predictions WHERE ${ANSWERED})`,
      columnOf: LOG_COLUMNS_OF.featureOf,
    });
  } finally {
    await log.close();
  }
}
