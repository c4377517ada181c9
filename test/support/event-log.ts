import { WithStartWorkflowOperation, type WorkflowHandle } from '@temporalio/client';
import {
  type Appended,
  type AppendInput,
  type EventBatch,
  type EventLogInput,
  type EventLogStatus,
  eventLogStart,
} from '../../contracts/events.ts';
import { eventLogWorkflowId, QUERIES, SIGNALS, UPDATES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { artifact } from './samples.ts';
import type { Scenario } from './scenario.ts';
import { eventually, type WorkflowBench } from './workflow-bench.ts';

/** A batch whose rows are `text`; the same text gives the same rows. */
export const batchOf = (batchId: string, text = batchId, changes: Partial<EventBatch> = {}): EventBatch => ({
  batchId,
  artifact: { ...artifact(text), mediaType: 'application/x-ndjson' },
  rows: 2,
  format: 'jsonl',
  ...changes,
});

/** The event log of a scenario, as those who send to it see it. */
export class EventLogUnderTest {
  readonly handle: WorkflowHandle;

  constructor(
    private readonly bench: WorkflowBench,
    private readonly scenario: Scenario,
  ) {
    this.handle = bench.client.workflow.getHandle(eventLogWorkflowId(scenario.id));
  }

  /** Starts the workflow with settings of the test's own. */
  async start(input: Partial<EventLogInput> = {}): Promise<void> {
    await this.bench.client.workflow.start(WORKFLOW_TYPES.eventLog, {
      ...eventLogStart(this.scenario.id, this.bench.taskQueue),
      args: [{ log: this.scenario.id, ...input }],
    });
  }

  /** Sends a signal, whatever it holds. */
  async signal(argument: unknown): Promise<void> {
    await this.bench.client.workflow.signalWithStart(WORKFLOW_TYPES.eventLog, {
      ...eventLogStart(this.scenario.id, this.bench.taskQueue),
      signal: SIGNALS.append,
      signalArgs: [argument],
    });
  }

  /** Sends the update `append` and waits for its answer. */
  update(argument: AppendInput): Promise<Appended> {
    return this.bench.client.workflow.executeUpdateWithStart<() => Promise<void>, Appended, [AppendInput]>(
      UPDATES.append,
      {
        args: [argument],
        startWorkflowOperation: new WithStartWorkflowOperation(
          WORKFLOW_TYPES.eventLog,
          eventLogStart(this.scenario.id, this.bench.taskQueue),
        ),
      },
    );
  }

  status(): Promise<EventLogStatus> {
    return this.handle.query<EventLogStatus>(QUERIES.batches);
  }

  /** The ids of all batches, when nothing is pending any more. */
  async ids(): Promise<string[]> {
    const { head } = await eventually(async () => {
      const status = await this.status();
      return status.pending.length === 0 ? status : undefined;
    }, 'the inbox to be empty');
    return this.scenario.eventLog.batches(head).map(({ batchId }) => batchId);
  }
}
