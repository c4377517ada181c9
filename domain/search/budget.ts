import { durationMs } from '../../contracts/durations.ts';
import type { ResourceSpec, TrainingBudget } from '../../contracts/spec/training.ts';
import type { BudgetUsed, SearchEnd } from '../../contracts/trials.ts';

const HOUR_S = 3_600;

/** What a search may use, and has used. Times in milliseconds since 1970 are given by whoever asks. */
export class Budget {
  #limits: TrainingBudget;
  #trials: number;
  #cost: number;

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

  begin(): void {
    this.#trials++;
  }

  /** A trial took so many seconds of a class of resources. */
  spend(seconds: number, { price }: Pick<ResourceSpec, 'price'>): void {
    this.#cost += (seconds / HOUR_S) * price;
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

  /**
   * Seconds that a trial may train: what is left of the time, and of the cost where so many trials share it.
   *
   * @returns `undefined` where neither is limited
   */
  secondsFor({ price }: Pick<ResourceSpec, 'price'>, sharing: number, now: number): number | undefined {
    const byCost =
      this.#limits.cost === undefined || price === 0
        ? Number.POSITIVE_INFINITY
        : (((this.#limits.cost - this.#cost) / price) * HOUR_S) / Math.max(1, sharing);
    const seconds = Math.min(this.timeLeft(now) / 1_000, byCost);
    return Number.isFinite(seconds) ? Math.max(0.1, seconds) : undefined;
  }
}
