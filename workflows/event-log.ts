import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type Appended,
  type AppendVerdict,
  appendSignal,
  type EventBatch,
  type EventLogHead,
  type EventLogInput,
  type EventLogStatus,
  eventLogInput,
} from '../contracts/events.ts';
import { eventLogWorkflowId } from '../contracts/names.ts';
import { appendEventBatches, openEventLog } from './activities.ts';
import { handlers } from './handlers.ts';
import { parseInput, parseSignal } from './parse.ts';

/** Batches that one activity takes: with their ids they stay far below the limit of a payload. */
const AT_ONCE = 200;
const MAX_REFUSED = 20;

const EMPTY: EventLogHead = { manifest: null, format: null, batches: 0, rows: 0 };

/**
 * The only writer of one event log: the ordered list of batches of rows that were pushed to it. Signals and updates
 * bring references to stored rows; each batch id counts once, however often and by whomever it is sent. Lives for
 * ever, by continue-as-new.
 *
 * @throws ApplicationFailure `InputInvalid`, also under any other workflow id than the log's own: a second workflow
 *   would be a second writer
 */
export async function eventLog(argument: unknown): Promise<void> {
  const input = parseInput(eventLogInput, argument, 'the argument of workflow eventLog');
  const own = eventLogWorkflowId(input.log);
  if (workflowInfo().workflowId !== own)
    throw ApplicationFailure.nonRetryable(
      `the workflow of event log ${input.log} has the id ${own} and no other; start it under that id`,
      'InputInvalid',
    );
  const entity = new EventLog(input.log, input.head ?? EMPTY, input.pending, input.refused);
  try {
    if (input.head === undefined) await entity.open();
    await entity.live(input.continueAfter);
  } catch (error) {
    // A cancelled log has no next run.
    await CancellationScope.nonCancellable(() => entity.quiet(0));
    throw error;
  }
  await CancellationScope.nonCancellable(() => entity.quiet(AT_ONCE));
  await continueAsNew<typeof eventLog>({ ...entity.carriedOver, continueAfter: input.continueAfter });
}

class EventLog {
  readonly #log: string;
  #head: EventLogHead;
  #inbox: EventBatch[];
  readonly #refused: EventLogStatus['refused'];
  /** Updates that wait for what becomes of their batch, which is in the inbox. */
  readonly #waiting = new Map<EventBatch, (verdict: AppendVerdict) => void>();
  #appendedHere = 0;
  /** Set when it is time to continue as new: an update that came now would keep this run going. */
  #leaving = false;

  constructor(
    name: string,
    head: EventLogHead,
    pending: readonly EventBatch[],
    refused: EventLogStatus['refused'],
  ) {
    this.#log = name;
    this.#head = head;
    this.#inbox = [...pending];
    this.#refused = [...refused];
    setHandler(handlers.batches, () => this.#status);
    setHandler(handlers.append, (signal) => this.#onSignal(signal));
    setHandler(handlers.appendUpdate, (update) => this.#onUpdate(update), {
      validator: (update) => this.#checkUpdate(update),
    });
  }

  get #status(): EventLogStatus {
    return { log: this.#log, head: this.#head, pending: this.#inbox, refused: this.#refused };
  }

  /** What the next run of this workflow begins with: nothing that was sent is lost. */
  get carriedOver(): EventLogInput {
    return { log: this.#log, head: this.#head, pending: this.#inbox, refused: this.#refused };
  }

  /** A workflow that was terminated and started afresh finds the log as it was. */
  async open(): Promise<void> {
    this.#head = (await openEventLog({ log: this.#log })).head;
  }

  /** Appends what comes until it is time to continue as new. */
  async live(continueAfter: number): Promise<void> {
    const over = (): boolean => this.#appendedHere >= continueAfter || workflowInfo().continueAsNewSuggested;
    while (!over()) {
      await condition(() => this.#inbox.length > 0 || over());
      if (this.#inbox.length > 0) await CancellationScope.nonCancellable(() => this.#settle());
    }
  }

  /**
   * Answers every update. What signals brought last may go over to the next run, as far as that fits into a payload.
   *
   * @param left how many batches may stay in the inbox
   */
  async quiet(left: number): Promise<void> {
    this.#leaving = true;
    while (this.#inbox.length > left || !allHandlersFinished()) {
      if (this.#inbox.length > 0) await this.#settle();
      else await condition(allHandlersFinished);
    }
  }

  #onSignal(signal: unknown): void {
    const parsed = parseSignal(appendSignal, signal);
    if ('refusal' in parsed) this.#refuse(null, `signal append: ${parsed.refusal}`);
    else this.#inbox.push(parsed.value);
  }

  #checkUpdate(update: unknown): void {
    parseInput(appendSignal, update, 'update append');
    if (this.#leaving)
      throw ApplicationFailure.retryable(
        `event log ${this.#log} takes over to a new run of its workflow; send the update again`,
        'ServerUnavailable',
      );
  }

  async #onUpdate(update: unknown): Promise<Appended> {
    const batch: EventBatch = parseInput(appendSignal, update, 'update append');
    let verdict: AppendVerdict | undefined;
    this.#waiting.set(batch, (given) => {
      verdict = given;
    });
    this.#inbox.push(batch);
    await condition(() => verdict !== undefined);
    if (verdict === undefined || verdict.state === 'refused')
      throw ApplicationFailure.nonRetryable(
        `batch ${batch.batchId} was not appended to event log ${this.#log}: ${verdict?.reason ?? 'unknown'}`,
        'InputInvalid',
      );
    const { batchId, offset, rows, state } = verdict;
    return { log: this.#log, batchId, offset, rows, duplicate: state === 'duplicate' };
  }

  /** Appends the oldest batches of the inbox. They leave it when it is known what became of them. */
  async #settle(): Promise<void> {
    const batches = this.#inbox.slice(0, AT_ONCE);
    const verdicts = await this.#append(batches);
    this.#inbox = this.#inbox.slice(batches.length);
    for (const [index, batch] of batches.entries()) {
      const verdict = verdicts[index] ?? {
        state: 'refused',
        batchId: batch.batchId,
        reason: 'no verdict',
      };
      const answer = this.#waiting.get(batch);
      this.#waiting.delete(batch);
      if (verdict.state === 'refused' && !answer) this.#refuse(batch.batchId, verdict.reason);
      answer?.(verdict);
    }
  }

  async #append(batches: EventBatch[]): Promise<AppendVerdict[]> {
    try {
      const { head, verdicts } = await appendEventBatches({ log: this.#log, head: this.#head, batches });
      this.#head = head;
      this.#appendedHere += batches.length;
      return verdicts;
    } catch (error) {
      // What trying again cannot mend must not stop the log: the senders hear of it and may send again.
      const reason =
        error instanceof Error ? (error.cause instanceof Error ? error.cause : error).message : '';
      this.#appendedHere += batches.length;
      return batches.map(({ batchId }) => ({ state: 'refused', batchId, reason }));
    }
  }

  #refuse(batchId: string | null, reason: string): void {
    log.warn(
      `event log ${this.#log}: ${batchId === null ? 'a signal' : `batch ${batchId}`} does not count: ${reason}`,
    );
    this.#refused.push({ batchId, reason: reason.slice(0, 500), at: new Date().toISOString() });
    if (this.#refused.length > MAX_REFUSED) this.#refused.shift();
  }
}
