import { createHash } from 'node:crypto';
import { collect, type MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';

/** The tag that makes creating a run idempotent. */
const KEY_TAG = 'perennial.key';

/**
 * The value of a key tag: the SHA-256 of its text in hex. MLflow's filters have no escape for a quote, so a key as it
 * is might never be found again.
 */
export const keyOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What a new run is called and tagged with. */
export interface RunDescription {
  name: string;
  tags: Record<string, string>;
}

/**
 * The run with a key: found where an earlier attempt created it, else created. `runs/create` itself is not
 * idempotent.
 */
export async function findOrCreateRun(
  mlflow: MlflowClient,
  experimentId: string,
  key: string,
  description: RunDescription,
): Promise<string> {
  const [found] = await collect(
    mlflow.runs.search({
      experimentIds: [experimentId],
      filter: `tags.\`${KEY_TAG}\` = '${keyOf(key)}'`,
      limit: 1,
    }),
  );
  if (found) return found.info.runId;
  const run = await mlflow.runs.create({
    experimentId,
    runName: description.name,
    startTime: Date.now(),
    tags: { ...description.tags, [KEY_TAG]: keyOf(key) },
  });
  return run.info.runId;
}
