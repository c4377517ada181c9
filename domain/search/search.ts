import type { Candidate } from '../../contracts/spec/candidates.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';
import type { Parameters } from '../../contracts/spec/search.ts';
import { resourceOf, type TrainingSpec } from '../../contracts/spec/training.ts';
import type {
  BudgetUpdate,
  ProposalQuestion,
  SearchEnd,
  SearchProgress,
  SearchReport,
  TrialName,
  TrialOutcome,
} from '../../contracts/trials.ts';
import { Budget } from './budget.ts';
import { CandidateSearch, type TrialEnd } from './candidate-search.ts';
import { type Spaces, spaceOf } from './candidate-space.ts';
import { reportedTrials } from './reported-trials.ts';
import { whoseTurn } from './turns.ts';

/** Trials that all candidates together remember: what travels to the next run of the workflow is bounded. */
const REMEMBERED = 1_000;
const REMEMBERED_EACH = { least: 20, most: 250 } as const;
/** What is noted of a search at the most. */
const [MOST_NOTES, NOTE_CHARACTERS] = [20, 500];

/** What is searched, and within what. */
export interface SearchPlan {
  candidates: readonly Candidate[];
  metric: MetricName;
  training: Pick<TrainingSpec, 'seed' | 'parallelism' | 'budget' | 'resources' | 'ensemble'>;
  /** The default space of each trainer. */
  spaces: Spaces;
}

/** A trial that is to be trained. */
export interface PlannedTrial extends TrialName {
  plan: Candidate;
  /** Fixed and searched ones. */
  parameters: Parameters;
  /** `undefined`: no limit. */
  maxSeconds: number | undefined;
  rungs: number[];
}

/** A trial that may win, with what each pair of training and validation rows gave: one, or one for each fold. */
export interface RatedTrial extends TrialName {
  /** That the trainer was given. */
  parameters: Parameters;
  value: number;
  outcomes: TrialOutcome[];
}

/** What a search does next. */
export type Step =
  | { kind: 'train'; trial: PlannedTrial }
  | { kind: 'ask'; candidate: string; question: ProposalQuestion }
  | { kind: 'wait' }
  | { kind: 'done'; why: SearchEnd };

/**
 * The search for the best model: which trial is next, what became of each, and when it is enough. Pure: whoever drives
 * it tells the time.
 */
export class Search {
  readonly #plan: SearchPlan;
  readonly #candidates: CandidateSearch[];
  readonly #budget: Budget;
  readonly #running = new Map<string, { candidate: CandidateSearch; number: number; startedAt: number }>();
  readonly #errors: Map<string, string>;
  readonly #notes: Set<string>;
  #kept: RatedTrial[];
  #parallelism: number;
  #stopped: boolean;
  #ended: SearchEnd | undefined;

  constructor(plan: SearchPlan, now: number, earlier?: SearchProgress) {
    this.#plan = plan;
    const each = Math.floor(REMEMBERED / plan.candidates.length);
    const memory = Math.max(REMEMBERED_EACH.least, Math.min(REMEMBERED_EACH.most, each));
    this.#candidates = plan.candidates.map(
      (candidate) =>
        new CandidateSearch(
          {
            candidate,
            space: spaceOf(candidate, plan.spaces),
            metric: plan.metric,
            seed: plan.training.seed,
            memory,
          },
          earlier?.candidates[candidate.name],
        ),
    );
    this.#budget = new Budget(
      earlier?.limits ?? plan.training.budget,
      plan.candidates.length,
      earlier?.startedAt ?? now,
      earlier?.used,
    );
    this.#errors = new Map(Object.entries(earlier?.errors ?? {}));
    this.#notes = new Set(earlier?.notes);
    this.#kept = [...(earlier?.kept ?? [])];
    this.#parallelism = earlier?.parallelism ?? plan.training.parallelism;
    this.#stopped = earlier?.stopped ?? false;
  }

  /** How many trials run. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether there is a model already. */
  get hasModel(): boolean {
    return this.#kept.length > 0;
  }

  /** Milliseconds until the time is used up; infinite where it is not limited. */
  timeLeft(now: number): number {
    return this.#budget.timeLeft(now);
  }

  /** What to do next; ask again after each change. */
  next(now: number): Step {
    const over = this.#stopped ? 'stopped' : this.#budget.exhausted(now);
    // At the least one model there must be, whatever the budget: a run without any is of no use.
    const enough = over !== undefined && (this.hasModel || this.#allStarted);
    if (enough) return this.#settle(over);
    if (this.running >= this.#parallelism) return { kind: 'wait' };
    const open = this.#candidates
      .filter((candidate) => this.#hasRoom(candidate))
      .map((candidate) => ({ candidate, next: candidate.next(Math.max(2, this.#parallelism)) }));
    const ready = open.flatMap(({ candidate, next }) =>
      'parameters' in next || 'question' in next ? [{ candidate, next }] : [],
    );
    const chosen =
      ready[
        whoseTurn(
          ready.map(({ candidate: { started, best } }) => ({ started, best })),
          this.#plan.metric,
        )
      ];
    if (!chosen) {
      const exhausted = this.#candidates.every((candidate) => 'exhausted' in candidate.next(1));
      return exhausted ? this.#settle('space') : { kind: 'wait' };
    }
    const { candidate, next } = chosen;
    if ('question' in next) {
      candidate.asked();
      return { kind: 'ask', candidate: candidate.name, question: next.question };
    }
    return { kind: 'train', trial: this.#begin(candidate, next.parameters, now) };
  }

  /** The estimator's answer; `undefined` where it could not answer: the next trials are random then. */
  answered(name: string, proposals: readonly Parameters[] | undefined, wanted: number): void {
    this.#of(name)?.answered(proposals ?? [], wanted);
  }

  /** A trial has given models, one for each pair of rows. @param value of the metric that chooses */
  trained(
    { candidate, number, parameters }: Pick<PlannedTrial, 'candidate' | 'number' | 'parameters'>,
    outcomes: TrialOutcome[],
    value: number | undefined,
  ): void {
    const trial = { candidate, number };
    const [first] = outcomes;
    const stopped = outcomes.some(({ state }) => state === 'stopped');
    const state = stopped ? 'stopped' : value === undefined ? 'failed' : 'trained';
    this.#end(trial, {
      state,
      value: value ?? null,
      iterations: Math.max(0, ...outcomes.map(({ iterations }) => iterations)),
      seconds: outcomes.reduce((sum, { seconds }) => sum + seconds, 0),
      parameters: first?.parameters ?? {},
      mlflowRunId: first?.mlflowRunId,
    });
    if (state === 'failed') this.#note(trial, `${this.#plan.metric} has no value on the validation rows`);
    if (state === 'trained' && value !== undefined) this.#keep({ ...trial, parameters, value, outcomes });
  }

  /** A trial failed, or was given up before its end. */
  failed(trial: TrialName, state: 'failed' | 'stopped', error: string, now: number): void {
    const startedAt = this.#running.get(key(trial))?.startedAt ?? now;
    if (state === 'failed') this.#note(trial, error);
    this.#end(trial, { state, value: null, iterations: 0, seconds: (now - startedAt) / 1_000 });
  }

  /** What is to be known of the search; the same is noted once. */
  note(text: string): void {
    if (this.#notes.size < MOST_NOTES) this.#notes.add(text.slice(0, NOTE_CHARACTERS));
  }

  /** Whether a trial goes on after a rung. */
  goesOn({ candidate, number }: TrialName, rung: number, loss: number): boolean {
    return this.#of(candidate)?.goesOn(number, rung, loss) ?? true;
  }

  /** A trial of a candidate was trained once more, after the search: on the split, after folds. */
  trainedAgain(candidate: string, seconds: number): void {
    const search = this.#of(candidate);
    if (search) this.#budget.spend(seconds, this.#resourceOf(search));
  }

  /** Whether time or cost are used up, with what the trials that run have cost so far. */
  overspent(now: number): boolean {
    const { cost } = this.#budget.limits;
    if (this.#budget.timeLeft(now) <= 0) return true;
    const running = [...this.#running.values()].map(
      ({ candidate, startedAt }) => ((now - startedAt) / 3_600_000) * this.#resourceOf(candidate).price,
    );
    return cost !== undefined && running.reduce((sum, one) => sum + one, this.#budget.used(now).cost) >= cost;
  }

  /** Trials that run side by side. */
  get parallelism(): number {
    return this.#parallelism;
  }

  change({ parallelism, ...budget }: BudgetUpdate): void {
    this.#budget.change(
      Object.fromEntries(Object.entries(budget).filter(([, value]) => value !== undefined)),
    );
    this.#parallelism = parallelism ?? this.#parallelism;
  }

  /** Whether it was told to end. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** No further trial begins, once there is a model. */
  stop(): void {
    this.#stopped = true;
  }

  /** The best trial of each candidate that has one, in the spec's order. */
  get winners(): { candidate: Candidate; trial: RatedTrial }[] {
    return this.#candidates.flatMap(({ name, plan: { candidate } }) => {
      const [trial] = this.best(1, name);
      return trial ? [{ candidate, trial }] : [];
    });
  }

  /** The best trials, of one candidate or of all. */
  best(count: number, name?: string): RatedTrial[] {
    const sign = lowerIsBetter(this.#plan.metric) ? 1 : -1;
    return this.#kept
      .filter(({ candidate }) => name === undefined || candidate === name)
      .sort((a, b) => sign * (a.value - b.value) || a.number - b.number)
      .slice(0, count);
  }

  /** The first error of a candidate. */
  errorOf(name: string): string | undefined {
    return this.#errors.get(name);
  }

  report(now: number): SearchReport {
    return {
      metric: this.#plan.metric,
      ended: this.#ended ?? null,
      used: this.#budget.used(now),
      candidates: this.#candidates.map(({ name, counts, best }) => ({ name, ...counts, best })),
      trials: reportedTrials(
        this.#candidates.flatMap(({ records }) => records),
        this.#plan.metric,
      ),
      notes: [...this.#notes],
    };
  }

  /** For the next run of the workflow, when no trial runs. */
  get progress(): SearchProgress {
    return {
      startedAt: this.#budget.startedAt,
      used: this.#budget.used(this.#budget.startedAt),
      limits: this.#budget.limits,
      parallelism: this.#parallelism,
      stopped: this.#stopped,
      candidates: Object.fromEntries(this.#candidates.map(({ name, state }) => [name, state])),
      kept: this.#kept,
      errors: Object.fromEntries(this.#errors),
      notes: [...this.#notes],
    };
  }

  get #allStarted(): boolean {
    return this.#candidates.every((candidate) => candidate.started > 0);
  }

  #settle(why: SearchEnd): Step {
    if (this.running > 0) return { kind: 'wait' };
    this.#ended = why;
    return { kind: 'done', why };
  }

  #hasRoom(search: CandidateSearch): boolean {
    const resource = this.#resourceOf(search);
    const busy = [...this.#running.values()].filter(
      (one) => one.candidate.plan.candidate.resource === search.plan.candidate.resource,
    ).length;
    return busy < (resource.parallelism ?? Number.POSITIVE_INFINITY) && this.#budget.affords(resource);
  }

  #resourceOf({ plan: { candidate } }: CandidateSearch) {
    return resourceOf(this.#plan.training, candidate.resource);
  }

  #begin(search: CandidateSearch, searched: Parameters, now: number): PlannedTrial {
    const { candidate } = search.plan;
    const number = search.begin(searched, Math.max(0, now - this.#budget.startedAt) / 1_000);
    const name = { candidate: candidate.name, number };
    const lanes = Math.max(1, this.#parallelism - this.running);
    this.#running.set(key(name), { candidate: search, number, startedAt: now });
    return {
      ...name,
      plan: candidate,
      parameters: { ...searched, ...candidate.parameters },
      maxSeconds: this.#budget.begin(key(name), this.#resourceOf(search), lanes, now),
      rungs: search.rungs,
    };
  }

  #end(trial: TrialName, end: TrialEnd): void {
    const search = this.#of(trial.candidate);
    if (!this.#running.delete(key(trial)) || !search) return;
    search.end(trial.number, end);
    this.#budget.end(key(trial), end.seconds, this.#resourceOf(search));
  }

  /** Only what may still win is kept: the best of each candidate, and the best of all for an ensemble. */
  #keep(trial: RatedTrial): void {
    this.#kept.push(trial);
    const foremost = new Set([
      ...this.best(this.#plan.training.ensemble?.size ?? 1),
      ...this.winners.map((winner) => winner.trial),
    ]);
    this.#kept = this.#kept.filter((one) => foremost.has(one));
  }

  #note({ candidate }: TrialName, error: string): void {
    if (!this.#errors.has(candidate)) this.#errors.set(candidate, error);
  }

  #of(name: string): CandidateSearch | undefined {
    return this.#candidates.find((candidate) => candidate.name === name);
  }
}

const key = ({ candidate, number }: TrialName): string => `${candidate}\n${number}`;
