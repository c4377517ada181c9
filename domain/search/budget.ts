import { durationMs } from '../../contracts/durations.ts';
import type { ResourceSpec, TrainingBudget } from '../../contracts/spec/training.ts';
import type { BudgetUsed, SearchEnd } from '../../contracts/trials.ts';

const HOUR_S = 3_600;
/** So long may any trial train that begins at all. */
const LEAST_S = 0.1;

/** What a search may use, and has used. Times in milliseconds since 1970 are given by whoever asks. */
export class Budget {
  #limits: TrainingBudget;
  #trials: number;
  #cost: number;
  /** What trials that run may still spend, by their names. */
  readonly #reserved = new Map<string, number>();

  /**
   * @param fewest trials that are always allowed: one of each candidate
   */
  constructor(
    limits: TrainingBudget,
    private readonly fewest: number,
    readonly startedAt: number,
    used: Pick<BudgetUsed, 'trials' | 'cost'> = { trials: 0, cost: 0 },
  ) {
    this.#limits = limits;
    this.#trials = used.trials;
    this.#cost = used.cost;
  }

  get limits(): TrainingBudget {
    return this.#limits;
  }

  used(now: number): BudgetUsed {
    return { trials: this.#trials, seconds: (now - this.startedAt) / 1_000, cost: this.#cost };
  }

  change(update: Partial<TrainingBudget>): void {
    this.#limits = { ...this.#limits, ...update };
  }

  /**
   * A trial begins. What it may cost is set aside, so that those beside it cannot spend it too.
   *
   * @param lanes trials that may begin now, this one among them: they share what is left of the cost
   * @returns the seconds that it may train; `undefined` where neither time nor cost is limited
   */
  begin(
    trial: string,
    { price }: Pick<ResourceSpec, 'price'>,
    lanes: number,
    now: number,
  ): number | undefined {
    this.#trials++;
    const byCost = price === 0 ? Number.POSITIVE_INFINITY : (this.#costLeft / price / lanes) * HOUR_S;
    const seconds = Math.max(LEAST_S, Math.min(this.timeLeft(now) / 1_000, byCost));
    if (!Number.isFinite(seconds)) return undefined;
    this.#reserved.set(trial, (seconds / HOUR_S) * price);
    return seconds;
  }

  /** A trial has ended, after so many seconds of a class of resources. */
  end(trial: string, seconds: number, resource: Pick<ResourceSpec, 'price'>): void {
    this.#reserved.delete(trial);
    this.spend(seconds, resource);
  }

  /** Something took so many seconds of a class of resources. */
  spend(seconds: number, { price }: Pick<ResourceSpec, 'price'>): void {
    this.#cost += (seconds / HOUR_S) * price;
  }

  /** Whether a trial at this price can begin now: not while those that run may need all that is left of the cost. */
  affords({ price }: Pick<ResourceSpec, 'price'>): boolean {
    return price === 0 || this.#reserved.size === 0 || this.#costLeft > (LEAST_S / HOUR_S) * price;
  }

  /** What is neither spent nor set aside. */
  get #costLeft(): number {
    const reserved = [...this.#reserved.values()].reduce((sum, cost) => sum + cost, 0);
    return (this.#limits.cost ?? Number.POSITIVE_INFINITY) - this.#cost - reserved;
  }

  /** Milliseconds that are left; infinite where time is not limited. */
  timeLeft(now: number): number {
    const { time } = this.#limits;
    return time === undefined ? Number.POSITIVE_INFINITY : this.startedAt + durationMs(time) - now;
  }

  /** Why no further trial may begin; `undefined` where one may. */
  exhausted(now: number): SearchEnd | undefined {
    if (this.timeLeft(now) <= 0) return 'time';
    if (this.#limits.cost !== undefined && this.#cost >= this.#limits.cost) return 'cost';
    return this.#trials >= Math.max(this.#limits.trials, this.fewest) ? 'trials' : undefined;
  }
}
