import {
  CancellationScope,
  condition,
  isCancellation,
  log,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { jsonBytes, MAX_MESSAGE_BYTES } from '../../contracts/payload-limits.ts';
import { defaultSpace } from '../../contracts/spec/default-spaces.ts';
import type { TrainingInput } from '../../contracts/training-activities.ts';
import { budgetUpdate, rungUpdate, type SearchReport } from '../../contracts/trials.ts';
import { type PlannedTrial, Search } from '../../domain/search/search.ts';
import { trialValue } from '../../domain/search/trial-value.ts';
import { proposeTrials } from '../activities.ts';
import { words } from '../failure-words.ts';
import { handlers } from '../handlers.ts';
import { parseInput } from '../parse.ts';
import { SEARCH_GRACE_MS } from '../policies.ts';
import type { Trials } from './trials.ts';

/** Drives a search: starts its trials, takes what becomes of them, and what people ask of it while it runs. */
export class SearchRun {
  readonly search: Search;
  readonly #input: TrainingInput;
  readonly #trials: Trials;
  readonly #scopes = new Set<CancellationScope>();
  /** Counts what has happened, so that the loop sees that it has to look again. */
  #events = 0;
  /** Trials of this run of the workflow. */
  #begun = 0;
  /** Activities that may start at once: those of one workflow task travel in one message. */
  readonly atOnce: number;

  constructor(input: TrainingInput, trials: Trials) {
    const { candidates, metric, training, task } = input;
    this.#input = input;
    this.#trials = trials;
    this.search = new Search(
      { candidates, metric, training, spaces: (trainer) => defaultSpace(trainer, task) },
      Date.now(),
      input.progress,
    );
    const each = jsonBytes({ ...input, progress: {}, split: trials.problem });
    this.atOnce = Math.max(1, Math.floor(MAX_MESSAGE_BYTES / each));
    setHandler(handlers.search, () => this.report);
    setHandler(handlers.budget, (update) => this.#onBudget(update), {
      validator: (update) => void parseBudget(update),
    });
    setHandler(handlers.stop, () => this.#onStop());
    setHandler(handlers.rung, (update) => {
      const { rung, loss, ...trial } = parseInput(rungUpdate, update, 'the argument of update rung');
      return this.search.goesOn(trial, rung, loss);
    });
  }

  get report(): SearchReport {
    return this.search.report(Date.now());
  }

  /** Trains until it is enough. @returns `false` where the history has grown long: go on as new */
  async live(): Promise<boolean> {
    for (let started = 0; ; ) {
      const leaving =
        workflowInfo().continueAsNewSuggested ||
        this.#begun >= (this.#input.continueAfter ?? Number.POSITIVE_INFINITY);
      if (leaving && this.search.running === 0) return false;
      if (started >= this.atOnce) {
        await sleep(1);
        started = 0;
        continue;
      }
      const step = leaving ? ({ kind: 'wait' } as const) : this.search.next(Date.now());
      if (step.kind === 'done') return true;
      if (step.kind === 'train') {
        started++;
        this.#begun++;
        void this.#train(step.trial);
        continue;
      }
      if (step.kind === 'ask') {
        void this.#ask(step.candidate, step.question);
        continue;
      }
      started = 0;
      await this.#change();
    }
  }

  /** Waits until something has happened, or the time is used up. */
  async #change(): Promise<void> {
    const seen = this.#events;
    const changed = () => this.#events !== seen;
    const left = this.search.timeLeft(Date.now());
    if (!Number.isFinite(left)) return condition(changed);
    // Trials end by themselves when the time is used up; those that do not are ended a little later.
    if (await condition(changed, Math.max(1, left + SEARCH_GRACE_MS))) return;
    this.#giveUp();
    await condition(changed);
  }

  async #train(trial: PlannedTrial): Promise<void> {
    const scope = new CancellationScope();
    this.#scopes.add(scope);
    try {
      const outcomes = await scope.run(() => this.#trials.train(trial));
      this.search.trained(trial, outcomes, trialValue(outcomes, this.#input.metric));
    } catch (error) {
      // A cancellation of the whole run is noticed by the loop.
      const state = isCancellation(error) ? 'stopped' : 'failed';
      this.search.failed(trial, state, words(error), Date.now());
    } finally {
      this.#scopes.delete(scope);
      this.#events++;
      if (this.search.stopped) this.#giveUp();
    }
  }

  async #ask(name: string, question: Parameters<typeof proposeTrials>[0]): Promise<void> {
    try {
      const { proposals } = await proposeTrials(question);
      this.search.answered(name, proposals, question.count);
    } catch (error) {
      this.search.answered(name, undefined, question.count);
      if (isCancellation(error)) return;
      log.warn('the estimator did not answer; the next trials are random', { error });
      this.search.note(
        `${name}: the estimator did not answer, trials were drawn at random (${words(error)})`,
      );
    } finally {
      this.#events++;
    }
  }

  #onBudget(update: unknown): SearchReport {
    this.search.change(parseBudget(update));
    if (this.search.overspent(Date.now())) this.#giveUp();
    this.#events++;
    return this.report;
  }

  /** With a model no further trial begins, and those that run are ended; without one the search goes on to the first. */
  #onStop(): SearchReport {
    this.search.stop();
    this.#giveUp();
    this.#events++;
    return this.report;
  }

  #giveUp(): void {
    if (!this.search.hasModel) return;
    for (const scope of this.#scopes) scope.cancel();
  }
}

function parseBudget(update: unknown) {
  return parseInput(budgetUpdate, update, 'the argument of update budget');
}
