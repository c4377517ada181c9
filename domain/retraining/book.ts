import type {
  PendingReason,
  RetrainingAnswer,
  RetrainingDecision,
  RetrainingRun,
  RetrainingState,
  RetrainingTick,
  ToldTrigger,
} from '../../contracts/retraining.ts';
import type { RetrainingSpec } from '../../contracts/spec/retraining.ts';
import { ageTrigger, expiryOf } from './age.ts';
import { decide, emptyRetraining, givenUp, recordOf } from './decision.ts';
import { noted } from './journal.ts';
import { isoOf } from './limits.ts';
import { skipOf } from './reasons.ts';
import { answered, beginRun, type EndedRun, endRun, runningOf, settled } from './runs.ts';
import { type Taken, takeSpec, takeTick, takeTrigger } from './triggers.ts';

/** A run that is to be started now. */
export interface DueRun {
  workflowId: string;
  reasons: PendingReason[];
  asOf: string;
}

/**
 * The book of a pipeline's retraining: takes in what happens, decides by the rules, and puts on record what it decided.
 * It neither starts runs nor knows the time; the workflow and the back-test do both.
 *
 * @example
 * const book = new RetrainingBook(spec, emptyRetraining(), []);
 * book.trigger({ kind: 'degradation', reason: 'Brier 0.29', version: '3' }, asOf);
 * const { due } = book.decide(asOf, () => 'run-1');
 */
export class RetrainingBook {
  #spec: RetrainingSpec;
  #state: RetrainingState;
  #decisions: RetrainingDecision[];
  readonly #record: (decision: RetrainingDecision) => void;
  /** The giving-up that is on record. */
  #gaveUpAt: string | null;

  /** @param record told of every decision that is put on record */
  constructor(
    spec: RetrainingSpec,
    state: RetrainingState = emptyRetraining(),
    decisions: readonly RetrainingDecision[] = [],
    record: (decision: RetrainingDecision) => void = () => undefined,
  ) {
    this.#spec = spec;
    this.#state = state;
    this.#decisions = [...decisions];
    this.#record = record;
    this.#gaveUpAt = state.gaveUpAt;
  }

  get state(): RetrainingState {
    return this.#state;
  }

  /** The latest decisions, the oldest first. */
  get decisions(): RetrainingDecision[] {
    return this.#decisions;
  }

  /** The run that goes on. */
  get running(): RetrainingRun | null {
    return runningOf(this.#state);
  }

  /** Takes a reason in. @returns the decision where it is none by the rules */
  trigger(trigger: ToldTrigger, asOf: string): RetrainingDecision | null {
    return this.#take(takeTrigger(this.#spec, this.#state, trigger, asOf));
  }

  /** Takes in what is in production. */
  tick(tick: RetrainingTick, asOf: string): void {
    this.#take(takeTick(this.#spec, this.#state, tick, asOf));
  }

  /** Goes on by another spec. */
  configure(spec: RetrainingSpec, asOf: string): void {
    this.#spec = spec;
    this.#take(takeSpec(spec, this.#state, asOf));
  }

  answer(answer: Pick<RetrainingAnswer, 'decision'>): void {
    this.#state = answered(this.#state, answer);
  }

  /** Nothing is trained any more: what waited is dropped, and said so. */
  retire(why: string, asOf: string): void {
    const { pending } = this.#state;
    this.#state = { ...this.#state, pending: [] };
    this.#note(skipOf(pending, why.slice(0, 1_000), asOf));
  }

  /** Puts something that was refused on record. */
  refuse(why: string, asOf: string): RetrainingDecision {
    const decision: RetrainingDecision = {
      at: asOf,
      decision: 'skip',
      reasons: [],
      why: why.slice(0, 1_000),
      until: null,
      run: null,
    };
    this.#note(decision);
    return decision;
  }

  /**
   * Decides about the reasons that wait.
   *
   * @param named gives a run its workflow id
   * @returns the decision, the run that is to be started for it, and when to look again if nothing happens
   */
  decide(
    asOf: string,
    named: () => string,
  ): { decision: RetrainingDecision; due: DueRun | null; until: string | null } {
    this.#state = settled(this.#spec, this.#state, asOf);
    this.#lookAtAge(asOf);
    const { pending } = this.#state;
    const verdict = decide(this.#spec, this.#state, this.running?.workflowId ?? null, asOf);
    if (verdict.decision === 'start') {
      const workflowId = named();
      const decision = recordOf(verdict, pending, asOf, workflowId);
      this.#state = beginRun(this.#state, workflowId, asOf);
      this.#note(decision);
      return { decision, due: { workflowId, reasons: pending, asOf }, until: this.#nextAge(asOf) };
    }
    const decision = recordOf(verdict, pending, asOf);
    const { gaveUpAt, failures } = this.#state;
    if (pending.length > 0) this.#note(decision);
    else if (gaveUpAt !== null && gaveUpAt !== this.#gaveUpAt)
      this.#note(recordOf(givenUp(failures), pending, asOf));
    this.#gaveUpAt = gaveUpAt;
    return { decision, due: null, until: earliest(verdict.until, this.#nextAge(asOf)) };
  }

  /** Takes in how a run ended. @returns what is on record about it */
  end(ended: EndedRun, asOf: string): RetrainingDecision | undefined {
    const { state, decisions } = endRun(this.#spec, this.#state, ended, asOf);
    this.#state = state;
    for (const decision of decisions) this.#note(decision);
    return decisions[0];
  }

  /** A model becomes too old without anybody telling. While a run goes on, it is about to be replaced. */
  #lookAtAge(asOf: string): void {
    const { champion, pending } = this.#state;
    if (this.running || pending.some(({ kind }) => kind === 'age')) return;
    const trigger = ageTrigger(this.#spec, champion, asOf);
    if (trigger) this.trigger(trigger, asOf);
  }

  #nextAge(asOf: string): string | null {
    const expiry = expiryOf(this.#spec, this.#state.champion);
    return expiry !== null && Date.parse(expiry) > Date.parse(asOf) ? expiry : null;
  }

  #take({ state, skip }: Taken): RetrainingDecision | null {
    this.#state = state;
    if (skip) this.#note(skip);
    return skip;
  }

  #note(decision: RetrainingDecision): void {
    const { decisions, isNew } = noted(this.#decisions, decision);
    this.#decisions = decisions;
    if (isNew) this.#record(decision);
  }
}

const earliest = (a: string | null, b: string | null): string | null =>
  a === null ? b : b === null ? a : isoOf(Math.min(Date.parse(a), Date.parse(b)));
