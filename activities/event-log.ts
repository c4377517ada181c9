import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { EventActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type EventBatch, type EventLogHead, eventLogStatus } from '../contracts/events.ts';
import { eventLogWorkflowId, QUERIES } from '../contracts/names.ts';
import { EventManifests } from '../lib/events/event-manifests.ts';
import { readableRows } from '../lib/events/readable-rows.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { withDatabase } from './with-database.ts';

/** Activities of event logs. */
export function eventActivities(deps: ActivityDependencies): EventActivities {
  let manifests: EventManifests | undefined;
  const opened = async (): Promise<EventManifests> => {
    const store = await deps.store();
    manifests ??= new EventManifests(store, store.documents);
    return manifests;
  };
  return {
    openEventLog: framed(deps.config, async ({ log }) => {
      const head = await (await opened()).latest(log).catch((error: unknown) => {
        // A log must neither begin anew beside what it holds nor end: it waits until somebody has mended the store.
        if (error instanceof PerennialError) throw new PerennialError(error.code, error.message, true);
        throw error;
      });
      return { head };
    }),

    appendEventBatches: framed(deps.config, async ({ log, head, batches }, frame) => {
      const manifests_ = await opened();
      const known = await manifests_.known(head);
      const unknown = batches.filter(({ batchId }) => !known.has(batchId));
      const problems = await problemsOf(deps, unknown, frame);
      return manifests_.append(log, head, batches, problems);
    }),
  };
}

/** Why batches cannot be read, by id: one that is taken unread would make the whole log unreadable for ever. */
async function problemsOf(
  deps: ActivityDependencies,
  batches: readonly EventBatch[],
  frame: ActivityFrame,
): Promise<Map<string, string>> {
  const store = (await deps.store()).within(await frame.scratch());
  const problems = new Map<string, string>();
  if (batches.length === 0) return problems;
  await withDatabase(frame, async (database) => {
    for (const { batchId, artifact, rows, format } of batches) {
      frame.signal.throwIfAborted();
      try {
        const found = await readableRows(database, await store.path(artifact), format);
        // Rows of people who were erased since the batch was stored are gone from it.
        const erased = (await store.resolve(artifact)).sha256 !== artifact.sha256;
        if (erased ? found > rows || found === 0 : found !== rows)
          problems.set(batchId, `it has ${found} rows and not ${rows}`);
      } catch (error) {
        if (!(error instanceof PerennialError) || error.retryable) throw error;
        problems.set(batchId, error.message);
      }
    }
  });
  return problems;
}

/**
 * Where an event log stands now, as its workflow says.
 *
 * @throws PerennialError `SourceNotFound` where there is no such log
 */
export async function eventLogNow(client: Client, log: string): Promise<EventLogHead> {
  try {
    const answer = await client.workflow.getHandle(eventLogWorkflowId(log)).query(QUERIES.batches);
    return eventLogStatus.parse(answer).head;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw new PerennialError(
      'SourceNotFound',
      `there is no event log ${log}; push rows to it with \`perennial ingest ${log} --file ROWS\``,
      false,
      { cause: error },
    );
  }
}

/**
 * The batches of an event log in order, for `acquireEvents` of lib/events.
 *
 * @throws PerennialError `SourceNotFound`
 */
export async function readEventLog(deps: ActivityDependencies, log: string): Promise<EventBatch[]> {
  const store = await deps.store();
  return new EventManifests(store, store.documents).batches(await eventLogNow(deps.client(), log));
}
