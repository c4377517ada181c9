import { isCancellation } from '@temporalio/workflow';
import type { BacktestProgress } from '../../contracts/backtest.ts';
import type { EndedTraining, NamedModel, PolicyAdvanced } from '../../contracts/backtest-activities.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { clipped } from '../../domain/monitoring/verdict.ts';
import * as activities from '../activities.ts';
import { words } from '../failure-words.ts';
import type { BacktestModels } from './models.ts';

/** Of what a run says. */
const LONGEST_MESSAGE = 2_000;

/** Which policy it is. */
interface Identity {
  name: string;
  index: number;
  settings: ArtifactRef;
  first: NamedModel;
}

/** What another run of the workflow goes on with. */
interface Carried {
  place: ArtifactRef | null;
  through: string;
}

/** One policy on its way through all windows: has them measured and models trained, and what to do is decided elsewhere. */
export class PolicyTrack {
  #place: ArtifactRef | null;
  #through: string;
  #now: PolicyAdvanced | null = null;

  constructor(
    private readonly own: Identity,
    private readonly models: BacktestModels,
    private readonly progress: BacktestProgress['policies'][number],
    carried?: Carried,
  ) {
    this.#place = carried?.place ?? null;
    this.#through = carried?.through ?? own.first.name;
  }

  get isThrough(): boolean {
    return this.#now !== null && this.#now.training === null && this.#now.questions.length === 0;
  }

  /** Nothing is asked any more of a model of an earlier moment. */
  get through(): string {
    return this.#through;
  }

  get carriedOver(): Carried {
    return { place: this.#place, through: this.#through };
  }

  /** Goes through the windows, in the order of time. @param isFull whether to stop at the next place that can be left */
  async goOn(isFull: () => boolean): Promise<void> {
    let now = await this.#advance([], null);
    while (!this.isThrough && !isFull()) {
      if (now.training) now = await this.#advance([], await this.#trained(now.training));
      else {
        const observed = await Promise.all(now.questions.map((one) => this.models.observed(one)));
        now = await this.#advance(observed, null);
      }
    }
  }

  /** How it came out, by all the truth. */
  async judged(): Promise<ArtifactRef> {
    const { settings, index } = this.own;
    if (this.#place === null) throw new RangeError(`policy ${this.own.name} has not begun`);
    return (await activities.judgeBacktest({ settings, policy: index, place: this.#place })).outcome;
  }

  async #advance(observed: ArtifactRef[], ended: EndedTraining | null): Promise<PolicyAdvanced> {
    const { name, index, settings, first } = this.own;
    const now = await activities.advanceBacktest(name)({
      settings,
      policy: index,
      place: this.#place,
      first,
      observed,
      ended,
    });
    this.#now = now;
    this.#place = now.place;
    this.#through = now.training?.asOf ?? now.questions[0]?.window.from ?? this.#through;
    this.progress.done = now.done;
    this.progress.retrainings = now.runs;
    this.progress.training = now.training?.asOf ?? null;
    return now;
  }

  /** A run whose gates pass brings its model into production; one that breaks ends as one that failed. */
  async #trained({ asOf, champion }: NonNullable<PolicyAdvanced['training']>): Promise<EndedTraining> {
    try {
      const { model, passed, failed, seconds, cost } = await this.models.trained(asOf, champion);
      const [outcome, message] = passed
        ? (['deployed', `the model of ${asOf} serves`] as const)
        : (['gates_failed', failed.join('; ')] as const);
      return { outcome, message: clipped(message, LONGEST_MESSAGE), model, seconds, cost };
    } catch (error) {
      if (isCancellation(error)) throw error;
      const message = clipped(words(error), LONGEST_MESSAGE);
      return { outcome: 'failed', message, model: null, seconds: 0, cost: 0 };
    }
  }
}
