import type { BacktestProgress } from '../../contracts/backtest.ts';

type OfPolicy = BacktestProgress['policies'][number];

/** How far a back-test is: what its query answers. */
export class ReplayProgress {
  stage: BacktestProgress['stage'] = 'reading the data';
  windows = 0;
  readonly #policies: OfPolicy[];

  constructor(
    names: readonly string[],
    private readonly began: string,
  ) {
    this.#policies = names.map((policy) => ({ policy, done: 0, retrainings: 0, training: null }));
  }

  get shown(): BacktestProgress {
    return {
      began: this.began,
      stage: this.stage,
      windows: this.windows,
      policies: this.#policies,
    };
  }

  /** What a policy writes down by itself. */
  of(index: number): OfPolicy {
    const found = this.#policies[index];
    if (!found) throw new RangeError(`there is no policy ${index}`);
    return found;
  }
}
