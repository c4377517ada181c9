import type { OpenAlert } from '../../contracts/alerts.ts';
import type { BacktestPolicy, BacktestRun, BacktestStep } from '../../contracts/backtest.ts';
import type { ObservedWindow, Verdict } from '../../contracts/monitoring.ts';
import type { RetrainingDecision, RetrainingState } from '../../contracts/retraining.ts';
import { trigger } from '../../contracts/retraining.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { nextAlerts } from '../monitoring/alerts.ts';
import { triggersOf } from '../monitoring/triggers.ts';
import { withLabelled } from '../monitoring/windows.ts';
import { type DueRun, RetrainingBook } from '../retraining/book.ts';
import type { EndedRun } from '../retraining/runs.ts';
import { type DeployedModel, type LabelledPart, newest, partsOf, servingIn } from './served-models.ts';

/** What is to be measured at the end of a window. */
export interface PolicyQuestion {
  window: ObservedWindow;
  /** The model in production. */
  model: string;
  /** The part of the past whose truth has come, and who answered then, in the order of time. */
  labelled: { window: ObservedWindow; parts: LabelledPart[] } | null;
}

/** A model that is to be trained as of a moment, to be judged against the one in production. */
export interface PolicyTraining {
  due: DueRun;
  champion: string;
}

/** What a policy is held to. */
export interface PolicyWorld {
  policy: BacktestPolicy;
  monitoring: MonitoringSpec;
  /** All windows, the earliest first. */
  windows: readonly ObservedWindow[];
  /** Indexes of the windows in which the policy's schedule starts a run, ascending. */
  scheduled: readonly number[];
}

/** Where a policy stands; plain data. */
export interface PolicyState {
  /** Windows that it has gone through. */
  done: number;
  /** The models that came into production, the earliest first; the first one was there from the beginning. */
  deployed: DeployedModel[];
  judgedThrough: string | null;
  open: OpenAlert[];
  /** `null`: nothing was taken in yet, or the policy never trains. */
  book: RetrainingState | null;
  runs: BacktestRun[];
}

/** Before the first window. @param from as of when the first model was trained */
export const policyBegin = (model: string, from: string): PolicyState => ({
  done: 0,
  deployed: [{ model, since: from }],
  judgedThrough: null,
  open: [],
  book: null,
  runs: [],
});

/**
 * One policy on its way through recorded time: which model serves, what was told by when, and when it is trained anew. By
 * the rules of the live workflows, at the ends of windows and whenever a rule of time lets a run begin. A model that comes
 * into production serves from the first window on that begins at or after the moment as of which it was trained: nothing
 * that it was trained on, or that another one was judged by, is counted for it.
 *
 * The reasons of one window are told together, at its end: there is nothing to wait for, and debounce counts as none.
 */
export class PolicyRun {
  /** The windows that it went through here. */
  readonly steps: BacktestStep[] = [];
  readonly #world: PolicyWorld;
  readonly #book: RetrainingBook | null;
  #state: PolicyState;

  /** @param state where it goes on: {@link policyBegin}, or that of another run */
  constructor(world: PolicyWorld, state: PolicyState) {
    this.#world = world;
    this.#state = state;
    const { retraining } = world.policy;
    this.#book = retraining && new RetrainingBook({ ...retraining, debounce: '0s' }, state.book ?? undefined);
  }

  get state(): PolicyState {
    return { ...this.#state, book: this.#book?.state ?? null };
  }

  /** What is to be measured at the ends of the next windows as long as no other model comes. */
  foresee(most: number): PolicyQuestion[] {
    const { windows } = this.#world;
    const { done, deployed, judgedThrough } = this.#state;
    const due = withLabelled(
      windows.slice(done, done + most),
      { earlier: windows.slice(0, done), judgedThrough },
      this.#world.monitoring.groundTruthDelay,
    );
    return due.map(({ window, labelled }) => ({
      window,
      model: servingIn(deployed, window),
      labelled: labelled && { window: labelled, parts: partsOf(deployed, windows, labelled) },
    }));
  }

  /**
   * Takes in what was measured at the end of the next window.
   *
   * @returns the run that begins now, where one does
   */
  take({ window, labelled, model }: PolicyQuestion, verdicts: readonly Verdict[]): PolicyTraining | null {
    const { monitoring } = this.#world;
    const { open, events } = nextAlerts(monitoring.alerts, this.#state.open, [], verdicts, window);
    this.#state = {
      ...this.#state,
      done: this.#state.done + 1,
      judgedThrough: labelled?.window.before ?? this.#state.judgedThrough,
      open,
    };
    // What is only for information calls nobody.
    const raised = events
      .filter(({ kind, severity }) => kind === 'raised' && severity !== 'info')
      .map(({ key }) => key);
    const decided = this.#decide(window, labelled?.window ?? null, model);
    this.steps.push({
      window,
      model,
      rows: 0,
      quality: {},
      bad: null,
      raised,
      decision: decided ? `${decided.decision.decision}: ${decided.decision.why}` : '',
    });
    return decided?.due ? { due: decided.due, champion: newest(this.#state.deployed).model } : null;
  }

  /** Takes in how a run ended. @param model what it trained, and what is in production from now on if it was deployed */
  ended(ended: EndedRun, model: string | null, { due }: PolicyTraining): void {
    const { deployed, runs } = this.#state;
    const isNew = ended.outcome === 'deployed' && model !== null;
    this.#book?.end(ended, due.asOf);
    this.#state = {
      ...this.#state,
      deployed: isNew ? [...deployed, { model, since: due.asOf }] : deployed,
      runs: [
        ...runs,
        {
          asOf: due.asOf,
          reasons: due.reasons.map(({ kind, reason }) => (reason ? `${kind}: ${reason}` : kind)),
          outcome: ended.outcome,
          message: ended.message,
          model,
          seconds: ended.seconds,
          cost: ended.cost,
        },
      ],
    };
  }

  #decide(
    window: ObservedWindow,
    labelled: ObservedWindow | null,
    model: string,
  ): { decision: RetrainingDecision; due: DueRun | null } | null {
    const book = this.#book;
    if (!book) return null;
    const asOf = window.before;
    // What is in production may have come after the window began: what the window says of the former one is out of date.
    const { model: version, since } = newest(this.#state.deployed);
    book.tick({ asOf, champion: { version, since } }, asOf);
    const triggers = triggersOf(this.#state.open, { window, labelled, version: model, championSince: since });
    if (this.#world.scheduled.includes(window.index))
      triggers.push({ kind: 'schedule', reason: '', at: asOf });
    for (const one of triggers) book.trigger(trigger.parse(one), asOf);
    return this.#untilDecided(book, asOf);
  }

  /** Time goes on to where a rule lets a run begin, but not to the end of the next window, which may say more. */
  #untilDecided(book: RetrainingBook, asOf: string): { decision: RetrainingDecision; due: DueRun | null } {
    const next = this.#world.windows[this.#state.done];
    const before = Date.parse(next?.before ?? asOf);
    let now = asOf;
    for (;;) {
      const found = book.decide(now, () => `${this.#world.policy.name}@${now}`);
      const waits = found.decision.decision === 'wait' && found.until !== null;
      if (found.due || !waits || Date.parse(found.until ?? now) >= before || (found.until ?? now) <= now)
        return found;
      now = found.until ?? now;
    }
  }
}
