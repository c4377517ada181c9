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
import type { EventRelay } from '../serving/process/event-relay.ts';

/** Longer than an append takes, shorter than a client waits. */
const ANSWER_MS = 20_000;

/**
 * Tells the log's workflow of rows that a serving process has put into the artifact store.
 */
export function eventRelay(
  config: Pick<PerennialConfig, 'taskQueue'>,
  { workflow, connection }: Client,
): EventRelay {
  return {
    check: () => undefined,

    append: async (log, batch) => {
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
      await workflow
        .signalWithStart(WORKFLOW_TYPES.eventLog, {
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
