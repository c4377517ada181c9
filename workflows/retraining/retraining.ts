import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { z } from 'zod';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import type { NoticeOfRun } from '../../contracts/notices.ts';
import {
  type RetrainingDecision,
  type RetrainingInput,
  type RetrainingSettings,
  type RetrainingStatus,
  retrainingAnswer,
  retrainingInput,
  retrainingRetirement,
  retrainingSettings,
  retrainingTick,
  type ToldTrigger,
  triggers,
} from '../../contracts/retraining.ts';
import { type DueRun, RetrainingBook } from '../../domain/retraining/book.ts';
import type { EndedRun } from '../../domain/retraining/runs.ts';
import { notify } from '../activities.ts';
import { AuditTrail } from '../audit-trail.ts';
import { handlers } from '../handlers.ts';
import { parseInput, parseSignal } from '../parse.ts';
import { cancelled, endOf, trainedAnew } from './training-run.ts';
import { detailsOf, entryOf, lineOf, noticeOf, runIdOf } from './words.ts';

/**
 * Decides when the model of one pipeline is trained anew: gathers the reasons, merges them, lets one run go on at a time,
 * and asks a person when training does not help. Lives until the spec in production asks for no retraining, by
 * continue-as-new. The rules are those of
 * domain/retraining, which a back-test uses as well.
 *
 * @param argument see `retrainingInput` in contracts/retraining.ts
 * @throws ApplicationFailure `InputInvalid`, also under any other workflow id than the pipeline's own: a second workflow
 *   would start a second run
 */
export async function retraining(argument: unknown): Promise<void> {
  const input = parseInput(retrainingInput, argument, 'the argument of workflow retraining');
  const own = retrainingWorkflowId(input.settings.pipeline);
  if (workflowInfo().workflowId !== own)
    throw ApplicationFailure.nonRetryable(
      `the workflow of the retraining of ${input.settings.pipeline} has the id ${own} and no other; start it under that id`,
      'InputInvalid',
    );
  const entity = new Retraining(input);
  try {
    if ((await entity.live(input.continueAfter)) === 'retired') return;
  } catch (error) {
    // A cancelled workflow has no next run; the run that it started goes on.
    await entity.settled();
    throw error;
  }
  await continueAsNew<typeof retraining>({ ...entity.carriedOver, continueAfter: input.continueAfter });
}

class Retraining {
  #settings: RetrainingSettings;
  readonly #book: RetrainingBook;
  readonly #trail: AuditTrail;
  /** Event time, where the clock is that; `null` before anything told it. */
  #eventTime: string | null;
  /** When to look again if nothing happens, in milliseconds since 1970; moves with every look. */
  #wake: { at: number | null } = { at: null };
  /** What happened in this run of the workflow. */
  #events = 0;
  /** Notices under way. */
  #notices = 0;
  /** Runs that are about to begin. */
  #beginning = 0;
  /** Since the spec in production asks for no retraining. */
  #retired = false;
  #gaveUpAt: string | null;

  constructor({ settings, state, decisions, asOf, audit }: z.output<typeof retrainingInput>) {
    this.#settings = settings;
    this.#eventTime = asOf ?? null;
    this.#trail = new AuditTrail(retrainingWorkflowId(settings.pipeline), audit);
    this.#book = new RetrainingBook(settings.retraining, state, decisions, (decision) =>
      this.#trail.note(entryOf(decision)),
    );
    this.#gaveUpAt = this.#book.state.gaveUpAt;
    // Before anything that was sent meanwhile is handled, which may start a run.
    const { running } = this.#book;
    if (running) void endOf(running.workflowId).then((ended) => this.#onEnd(ended));
    this.#listen();
    this.#look();
  }

  #listen(): void {
    setHandler(handlers.retraining, () => this.#status);
    setHandler(handlers.trigger, (signal) => this.#onSignal(signal));
    setHandler(handlers.tick, (signal) => this.#onTick(signal));
    setHandler(
      handlers.triggerUpdate,
      (update) => this.#onTriggers(parseInput(triggers, update, 'update trigger')),
      { validator: (update) => void parseInput(triggers, update, 'update trigger') },
    );
    setHandler(
      handlers.configure,
      (update) => {
        this.#configure(this.#ownSettings(update));
        return this.#status;
      },
      { validator: (update) => void this.#ownSettings(update) },
    );
    setHandler(
      handlers.answer,
      (update) => {
        this.#onAnswer(parseInput(retrainingAnswer, update, 'update answer'));
        return this.#status;
      },
      { validator: (update) => void parseInput(retrainingAnswer, update, 'update answer') },
    );
    setHandler(
      handlers.retire,
      (update) => this.#onRetirement(parseInput(retrainingRetirement, update, 'update retire').reason),
      { validator: (update) => void parseInput(retrainingRetirement, update, 'update retire') },
    );
  }

  get #status(): RetrainingStatus {
    const { state, decisions } = this.#book;
    return { settings: this.#settings, state, decisions, asOf: this.#now };
  }

  /** What the next run of this workflow begins with. */
  get carriedOver(): RetrainingInput {
    const { settings, state, decisions } = this.#status;
    const time = this.#eventTime === null ? {} : { asOf: this.#eventTime };
    return { settings, state, decisions, audit: this.#trail.state, ...time };
  }

  /**
   * Looks again when it is time to, until it is time to continue as new, or retired. A run that goes on is no hindrance:
   * the next workflow asks after its end.
   */
  async live(continueAfter: number): Promise<'continue' | 'retired'> {
    const over = (): boolean =>
      (this.#retired || this.#events >= continueAfter || workflowInfo().continueAsNewSuggested) && this.#idle;
    while (!over()) {
      const wake = this.#wake;
      const moved = (): boolean => over() || this.#wake !== wake;
      if (wake.at === null) await condition(moved);
      else if (!(await condition(moved, Math.max(1, wake.at - Date.now())))) this.#look();
    }
    return this.#retired ? 'retired' : 'continue';
  }

  /** Waits until all that was decided is in the audit log. */
  async settled(): Promise<void> {
    await this.#trail.settled();
    await CancellationScope.nonCancellable(() => condition(() => this.#notices === 0));
  }

  get #idle(): boolean {
    return allHandlersFinished() && this.#trail.idle && this.#notices === 0 && this.#beginning === 0;
  }

  /** The time that counts: the clock's, or the latest that was told. */
  get #now(): string {
    return this.#settings.clock === 'wall'
      ? new Date().toISOString()
      : (this.#eventTime ?? new Date(0).toISOString());
  }

  /** Event time only goes on. */
  #advance(moment: string): void {
    const at = new Date(moment).toISOString();
    if (this.#eventTime === null || at > this.#eventTime) this.#eventTime = at;
  }

  #onSignal(signal: unknown): void {
    const parsed = parseSignal(triggers, signal);
    if ('value' in parsed) this.#onTriggers(parsed.value);
    else this.#refuse(`signal trigger does not count: ${parsed.refusal}`);
  }

  /** @returns what is decided now about all of them, also where it was decided and recorded before */
  #onTriggers(told: readonly ToldTrigger[]): RetrainingDecision {
    this.#events += 1;
    const skips = told.flatMap((one) => this.#taken(one) ?? []);
    const decision = this.#look();
    return skips.length === told.length ? (skips[0] ?? decision) : decision;
  }

  /** @returns the decision where it is no reason */
  #taken(told: ToldTrigger): RetrainingDecision | null {
    if (this.#settings.clock === 'event' && told.at !== undefined) this.#advance(told.at);
    if (this.#settings.clock === 'event' && this.#eventTime === null)
      return this.#refuse('a trigger before any event time is known; give at, or send a tick first');
    return this.#book.trigger(told, this.#now);
  }

  #onTick(signal: unknown): void {
    this.#events += 1;
    const parsed = parseSignal(retrainingTick, signal);
    if ('refusal' in parsed) {
      this.#refuse(`signal tick does not count: ${parsed.refusal}`);
      return;
    }
    if (this.#settings.clock === 'event') this.#advance(parsed.value.asOf);
    this.#book.tick(parsed.value, this.#now);
    this.#look();
  }

  #ownSettings(update: unknown): RetrainingSettings {
    const settings = parseInput(retrainingSettings, update, 'update configure');
    const { pipeline } = this.#settings;
    if (settings.pipeline !== pipeline)
      throw ApplicationFailure.nonRetryable(
        `update configure: this is the retraining of ${pipeline}, not of ${settings.pipeline}`,
        'InputInvalid',
      );
    return settings;
  }

  #configure(settings: RetrainingSettings): void {
    this.#events += 1;
    const before = this.#settings;
    this.#settings = settings;
    this.#book.configure(settings.retraining, this.#now);
    if (before.specRef.sha256 !== settings.specRef.sha256 || before.clock !== settings.clock)
      this.#trail.note({
        action: 'retraining.configured',
        outcome: 'done',
        by: 'policy',
        how: 'engine',
        endpoint: null,
        version: null,
        candidate: null,
        reason: `goes on by spec ${settings.specRef.sha256.slice(0, 12)}, commit ${settings.code.commit ?? 'unknown'}, clock ${settings.clock}`,
      });
    this.#look();
  }

  #onAnswer({ decision, by, reason }: z.output<typeof retrainingAnswer>): void {
    this.#events += 1;
    this.#book.answer({ decision });
    this.#trail.note({
      action: 'retraining.answered',
      outcome: 'done',
      by,
      how: 'named',
      endpoint: null,
      version: null,
      candidate: null,
      reason: reason === '' ? decision : `${decision}: ${reason}`,
    });
    this.#look();
  }

  /** The workflow ends, and with it the run that goes on: its model is of a spec that is not in production any more. */
  async #onRetirement(reason: string): Promise<RetrainingStatus> {
    this.#events += 1;
    const { running } = this.#book;
    const run = running ? `; run ${running.workflowId} is cancelled` : '';
    this.#book.retire(`the retraining ends: ${reason}${run}`, this.#now);
    this.#retired = true;
    this.#wake = { at: null };
    if (running) {
      await condition(() => this.#beginning === 0);
      await cancelled(running.workflowId);
    }
    return this.#status;
  }

  #refuse(why: string): RetrainingDecision {
    log.warn(`retraining of ${this.#settings.pipeline}: ${why}`);
    this.#events += 1;
    return this.#book.refuse(why, this.#now);
  }

  /** Decides by the rules, and begins what is decided. */
  #look(): RetrainingDecision {
    if (this.#retired) return this.#refuse('the retraining has come to its end');
    const { decision, due, until } = this.#book.decide(this.#now, () => runIdOf(this.#settings.pipeline));
    if (due) this.#begin(due, decision);
    const { gaveUpAt, failures } = this.#book.state;
    if (gaveUpAt !== null && gaveUpAt !== this.#gaveUpAt) this.#askPerson(failures);
    this.#gaveUpAt = gaveUpAt;
    // In event time nothing happens before the next tick.
    this.#wake = { at: until === null || this.#settings.clock === 'event' ? null : Date.parse(until) };
    setCurrentDetails(detailsOf(this.#book, decision));
    return decision;
  }

  #begin(due: DueRun, decision: RetrainingDecision): void {
    const { pipeline } = this.#settings;
    this.#tell('retraining.started', {
      text: `Retraining of ${pipeline} begins, run ${due.workflowId}. ${lineOf({ ...decision, run: null })}`,
      run: due.workflowId,
    });
    this.#beginning += 1;
    void trainedAnew(this.#settings, due, () => {
      this.#beginning -= 1;
    }).then((ended) => this.#onEnd(ended));
  }

  #onEnd(ended: EndedRun): void {
    if (this.#retired) return;
    const { workflowId, message, version } = ended;
    this.#events += 1;
    const told = this.#book.end(ended, this.#now);
    this.#tell('retraining.ended', {
      text: `Retraining of ${this.#settings.pipeline} has ended, run ${workflowId}. ${told?.why ?? message}`,
      run: workflowId,
      version,
    });
    this.#look();
  }

  #askPerson(failures: number): void {
    const { pipeline } = this.#settings;
    this.#tell('retraining.gave-up', {
      text: `Retraining of ${pipeline} has stopped: ${failures} run(s) in a row did not help. Look at them with \`perennial why ${pipeline}\`; let it go on with \`perennial retraining ${pipeline} resume\`.`,
    });
  }

  /** In the background, and no more than tried. */
  #tell(
    kind: Extract<NoticeOfRun['kind'], `retraining.${string}`>,
    about: Parameters<typeof noticeOf>[2],
  ): void {
    this.#notices += 1;
    void CancellationScope.nonCancellable(() => notify(noticeOf(kind, this.#settings.pipeline, about)))
      .catch((error: unknown) => log.warn('nobody could be told', { kind, error: String(error) }))
      .finally(() => {
        this.#notices -= 1;
      });
  }
}
