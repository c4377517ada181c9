import type { OpenAlert } from '../../contracts/alerts.ts';
import type { BacktestPolicy, BacktestRun, BacktestStep } from '../../contracts/backtest.ts';
import type { ObservedWindow, Verdict } from '../../contracts/monitoring.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import { trigger } from '../../contracts/retraining.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { nextAlerts } from '../monitoring/alerts.ts';
import { servedAfter } from '../monitoring/served.ts';
import { triggersOf } from '../monitoring/triggers.ts';
import { withLabelled } from '../monitoring/windows.ts';
import { type DueRun, RetrainingBook } from '../retraining/book.ts';
import type { EndedRun } from '../retraining/runs.ts';

/** What is to be measured at the end of a window. */
export interface PolicyQuestion {
  window: ObservedWindow;
  /** The model in production. */
  model: string;
  /** The part of the past whose truth has come, with the models that answered then. */
  labelled: { window: ObservedWindow; model: string } | null;
}

/** A model that is to be trained as of a moment, to be judged against the one in production. */
export interface PolicyTraining {
  due: DueRun;
  champion: string;
}

/**
 * One policy on its way through recorded time: which model serves, what was told by when, and when it is trained anew. By
 * the rules of the live workflows, at the ends of windows and whenever a rule of time lets a run begin; a model that comes
 * into production serves from the next window on.
 */
export class PolicyRun {
  readonly steps: BacktestStep[] = [];
  readonly runs: BacktestRun[] = [];
  readonly #book: RetrainingBook | null;
  readonly #monitoring: MonitoringSpec;
  #model: string;
  #served: { version: string; since: string } | null = null;
  readonly #windows: ObservedWindow[] = [];
  readonly #models = new Map<number, string>();
  #judgedThrough: string | null = null;
  #open: OpenAlert[] = [];
  /** Ends of periods of the policy's schedule that have not come yet. */
  #scheduled: string[];

  /**
   * @param model the first model in production
   * @param scheduled when the policy's schedule starts a run, the earliest first
   */
  constructor(
    readonly policy: BacktestPolicy,
    monitoring: MonitoringSpec,
    model: string,
    scheduled: readonly string[],
  ) {
    this.#monitoring = monitoring;
    this.#model = model;
    this.#scheduled = [...scheduled];
    this.#book = policy.retraining ? new RetrainingBook(policy.retraining) : null;
  }

  get model(): string {
    return this.#model;
  }

  /** What is to be measured at the ends of the next windows as long as the model stays. */
  foresee(windows: readonly ObservedWindow[]): PolicyQuestion[] {
    const due = withLabelled(
      windows,
      { earlier: this.#windows, judgedThrough: this.#judgedThrough },
      this.#monitoring.groundTruthDelay,
    );
    const model = this.#model;
    return due.map(({ window, labelled }) => ({
      window,
      model,
      labelled: labelled && { window: labelled, model: this.#models.get(labelled.index) ?? model },
    }));
  }

  /**
   * Takes in what was measured at the end of the next window.
   *
   * @returns the run that begins now, where one does
   */
  take({ window, labelled, model }: PolicyQuestion, verdicts: readonly Verdict[]): PolicyTraining | null {
    this.#models.set(window.index, model);
    this.#windows.push(window);
    if (labelled) this.#judgedThrough = labelled.window.before;
    const { open, events } = nextAlerts(this.#monitoring.alerts, this.#open, [], verdicts, window);
    this.#open = open;
    this.#served = servedAfter(this.#served, { version: model, window });
    // What is only for information calls nobody.
    const raised = events
      .filter(({ kind, severity }) => kind === 'raised' && severity !== 'info')
      .map(({ key }) => key);
    const decided = this.#decide(window, labelled?.window ?? null);
    this.steps.push({
      window,
      model,
      rows: 0,
      quality: {},
      bad: null,
      raised,
      decision: decided ? `${decided.decision.decision}: ${decided.decision.why}` : '',
    });
    return decided?.due ? { due: decided.due, champion: model } : null;
  }

  /** Takes in how a run ended. @param model what it trained, and what serves from now on if it was deployed */
  ended(ended: EndedRun, model: string | null, { due }: PolicyTraining): void {
    if (ended.outcome === 'deployed' && model !== null) this.#model = model;
    this.#book?.end(ended, due.asOf);
    this.runs.push({
      asOf: due.asOf,
      reasons: due.reasons.map(({ kind, reason }) => (reason ? `${kind}: ${reason}` : kind)),
      outcome: ended.outcome,
      message: ended.message,
      model,
      seconds: ended.seconds,
      cost: ended.cost,
    });
  }

  #decide(
    window: ObservedWindow,
    labelled: ObservedWindow | null,
  ): { decision: RetrainingDecision; due: DueRun | null } | null {
    const book = this.#book;
    if (!book || !this.#served) return null;
    const asOf = window.before;
    book.tick({ asOf, champion: this.#served }, asOf);
    const triggers = triggersOf(this.#open, {
      window,
      labelled,
      version: this.#served.version,
      championSince: this.#served.since,
    });
    while (this.#scheduled[0] !== undefined && this.#scheduled[0] <= asOf) {
      triggers.push({ kind: 'schedule', reason: '', at: this.#scheduled[0] });
      this.#scheduled.shift();
    }
    for (const one of triggers) book.trigger(trigger.parse(one), asOf);
    return this.#untilDecided(
      book,
      asOf,
      Date.parse(asOf) + Date.parse(window.before) - Date.parse(window.from),
    );
  }

  /** Time goes on to where a rule lets a run begin, but not beyond the next window. */
  #untilDecided(
    book: RetrainingBook,
    asOf: string,
    before: number,
  ): { decision: RetrainingDecision; due: DueRun | null } {
    let now = asOf;
    for (;;) {
      const found = book.decide(now, () => `${this.policy.name}@${now}`);
      const waits = found.decision.decision === 'wait' && found.until !== null;
      if (found.due || !waits || Date.parse(found.until ?? now) >= before || (found.until ?? now) <= now)
        return found;
      now = found.until ?? now;
    }
  }
}
