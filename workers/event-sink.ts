import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { PerennialError } from '../contracts/errors.ts';
import { type Appended, appended, type EventBatch, eventLogStart } from '../contracts/events.ts';
import { SIGNALS, UPDATES, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { PerennialConfig } from '../lib/config.ts';
import { storeRows } from '../lib/events/intake.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { EventSink } from '../serving/http/event-routes.ts';

/** Longer than an append takes, shorter than a client waits. */
const ANSWER_MS = 20_000;

/**
 * Where the model server puts pushed rows: into the artifact store, and a reference to them to the log's workflow.
 *
 * @param client the connection to Temporal; it comes and goes
 */
export function eventSink(
  config: PerennialConfig,
  store: ArtifactStore,
  client: () => Client | undefined,
): EventSink {
  const connected = (): Client => {
    const found = client();
    if (found) return found;
    throw unavailable(
      'Temporal cannot be reached now; send the rows again later: the same batch counts once',
    );
  };
  return {
    store: (rows, format, batchId) => {
      connected(); // nothing is stored that nobody can be told of
      return storeRows(rows, format, { store, dataDir: config.dataDir, batchId });
    },

    append: async (log, batch) => {
      const { workflow, connection } = connected();
      try {
        return appended.parse(
          await connection.withDeadline(Date.now() + ANSWER_MS, () =>
            workflow.executeUpdateWithStart<() => Promise<void>, Appended, [EventBatch]>(UPDATES.append, {
              args: [batch],
              startWorkflowOperation: new WithStartWorkflowOperation(
                WORKFLOW_TYPES.eventLog,
                eventLogStart(log, config.taskQueue),
              ),
            }),
          ),
        );
      } catch (error) {
        throw refusalOf(error, log);
      }
    },

    send: async (log, batch) => {
      await connected()
        .workflow.signalWithStart(WORKFLOW_TYPES.eventLog, {
          ...eventLogStart(log, config.taskQueue),
          signal: SIGNALS.append,
          signalArgs: [batch],
        })
        .catch((error: unknown) => {
          throw refusalOf(error, log);
        });
    },
  };
}

const unavailable = (message: string): PerennialError =>
  new PerennialError('ServerUnavailable', message, true);

/** The log's own refusal is the sender's to mend; anything else may pass. */
function refusalOf(error: unknown, log: string): PerennialError {
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === 'InputInvalid')
    return new PerennialError('InputInvalid', cause.message);
  const why =
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError
      ? 'did not answer in time'
      : 'cannot be reached now';
  return unavailable(`the event log ${log} ${why}; send the rows again: the same batch counts once`);
}
