import { createHash } from 'node:crypto';
import { collect, type MlflowClient, type Run } from '../packages/mlflow-client-ts/src/index.ts';

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

/** A run of MLflow; times in milliseconds since 1970. */
export interface OpenRun {
  runId: string;
  startTime: number;
}

/**
 * The run with a key: found where an earlier attempt created it, else created. `runs/create` itself is not
 * idempotent. A run that is found counts as running again.
 *
 * @param mayBeThere `false` where nothing can have created it: a search of hundreds of trials begins as many runs
 */
export async function findOrCreateRun(
  mlflow: MlflowClient,
  experimentId: string,
  key: string,
  description: RunDescription,
  mayBeThere = true,
): Promise<OpenRun> {
  const found = mayBeThere ? await runWithKey(mlflow, experimentId, key) : undefined;
  if (found && found.info.status !== 'RUNNING')
    await mlflow.runs.update({ runId: found.info.runId, status: 'RUNNING' });
  const { info } =
    found ??
    (await mlflow.runs.create({
      experimentId,
      runName: description.name,
      startTime: Date.now(),
      tags: { ...description.tags, [KEY_TAG]: keyOf(key) },
    }));
  return { runId: info.runId, startTime: info.startTime ?? 0 };
}

/** The run with a key, where an earlier attempt created one. */
export async function runWithKey(
  mlflow: MlflowClient,
  experimentId: string,
  key: string,
): Promise<Run | undefined> {
  const filter = `tags.\`${KEY_TAG}\` = '${keyOf(key)}'`;
  const [found] = await collect(mlflow.runs.search({ experimentIds: [experimentId], filter, limit: 1 }));
  return found;
}
