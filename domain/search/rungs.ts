import type { Halving } from '../../contracts/spec/search.ts';

/** Rungs where the spec does not say where the first one is. */
const DEFAULT_RUNGS = 3;

/**
 * The iterations at which trials are held against each other, ascending: `first`, `first · reduction`, … below
 * `maxIterations`.
 */
export function rungIterations(
  { reduction, minIterations }: Pick<Halving, 'reduction' | 'minIterations'>,
  maxIterations: number,
): number[] {
  const rungs: number[] = [];
  const first = minIterations ?? Math.max(1, Math.floor(maxIterations / reduction ** DEFAULT_RUNGS));
  for (let at = first; at < maxIterations; at *= reduction) rungs.push(at);
  return rungs;
}

/**
 * Asynchronous successive halving in its stopping form (ASHA, Li et al. 2020; as Optuna's SuccessiveHalvingPruner): at
 * each rung a trial goes on where it is among the best `1 / reduction` of all that came there so far. The first ones
 * go on: there is nothing to hold them against.
 */
export class Rungs {
  /** Losses by rung, those of trials that came there. */
  readonly #seen: Map<number, { trial: number; loss: number }[]>;

  constructor(
    private readonly reduction: number,
    seen: readonly (readonly [number, { trial: number; loss: number }[]])[] = [],
  ) {
    this.#seen = new Map(seen.map(([rung, entries]) => [rung, [...entries]]));
  }

  /** For the next run of the workflow. */
  toJSON(): [number, { trial: number; loss: number }[]][] {
    return [...this.#seen];
  }

  /**
   * Whether a trial goes on after a rung. The same question has the same answer.
   *
   * @param loss lower is better; NaN never goes on
   */
  goesOn(rung: number, trial: number, loss: number): boolean {
    const here = this.#seen.get(rung) ?? [];
    this.#seen.set(rung, here);
    const known = here.findIndex((entry) => entry.trial === trial);
    const before = known < 0 ? here.slice() : here.slice(0, known);
    if (known < 0) here.push({ trial, loss });
    if (Number.isNaN(loss)) return false;
    const all = before.length + 1;
    const better = before.filter((entry) => entry.loss < loss).length;
    return all < this.reduction || better < Math.max(1, Math.floor(all / this.reduction));
  }
}
