import { describe, expect, it } from 'vitest';
import { candidate } from '../../contracts/spec/candidates.ts';
import { defaultSpace } from '../../contracts/spec/default-spaces.ts';
import { trainingSpec } from '../../contracts/spec/training.ts';
import { type PlannedTrial, Search } from '../../domain/search/search.ts';
import { trainedTrial } from '../support/samples.ts';

const HOUR_S = 3_600;

/** A search of random trials on a class that costs 1 an hour. */
const searching = (training: object) =>
  new Search(
    {
      candidates: [candidate.parse({ name: 'a', trainer: 'logistic', search: { method: 'random' } })],
      metric: 'roc_auc',
      training: trainingSpec.parse({ resources: { cpu: { price: 1 } }, ...training }),
      spaces: (trainer) => defaultSpace(trainer, 'binary'),
    },
    0,
  );

/**
 * Trains on a clock of its own until the search has enough.
 *
 * @param wanted seconds that a trial would take if it were let
 * @returns what the whole cost
 */
function cost(search: Search, wanted: (number: number) => number): number {
  const running: { trial: PlannedTrial; end: number; seconds: number }[] = [];
  for (let now = 0; ; ) {
    const step = search.next(now);
    if (step.kind === 'done') return search.report(now).used.cost;
    if (step.kind === 'train') {
      const seconds = Math.min(wanted(step.trial.number), step.trial.maxSeconds ?? Number.POSITIVE_INFINITY);
      running.push({ trial: step.trial, seconds, end: now + seconds * 1_000 });
      continue;
    }
    running.sort((a, b) => b.end - a.end);
    const next = running.pop();
    if (!next) throw new Error('the search waits for nothing');
    now = next.end;
    const { trial, seconds } = next;
    search.trained(trial, [{ ...trainedTrial('a', 'logistic'), seconds }], 0.8);
  }
}

describe('the cost of a search', () => {
  it.each([1, 2, 4, 8, 16])('stays within its limit with %d trials at a time', (parallelism) => {
    for (const wanted of [() => 1e6, (number: number) => (number === 0 ? 1e6 : 300)]) {
      const search = searching({ parallelism, budget: { trials: 12, cost: 1 } });
      expect(cost(search, wanted)).toBeLessThanOrEqual(1.000_1);
    }
  });

  it('is used: what a quick trial leaves goes to those after it', () => {
    const search = searching({ parallelism: 4, budget: { trials: 1_000, cost: 1 } });
    expect(cost(search, () => 60)).toBeCloseTo(1, 2);
    expect(search.report(0)).toMatchObject({ ended: 'cost', used: { trials: 60 } });
  });

  it('bounds nothing of a class without a price', () => {
    const search = searching({ resources: {}, budget: { trials: 3, cost: 1 } });
    expect(search.next(0)).toMatchObject({ kind: 'train', trial: { maxSeconds: undefined } });
  });

  it('is overspent by trials that run, once the limit is lowered', () => {
    const search = searching({ parallelism: 2, budget: { trials: 10, cost: 1 } });
    search.next(0);
    search.next(0);
    const [quarter, half] = [0.25 * HOUR_S * 1_000, 0.5 * HOUR_S * 1_000];
    expect([search.overspent(quarter), search.overspent(half)]).toEqual([false, true]);
    search.change({ cost: 0.4 });
    expect(search.overspent(quarter)).toBe(true);
  });

  it('counts what was trained again after the folds', () => {
    const search = searching({ budget: { trials: 1, cost: 1 } });
    search.trainedAgain('a', HOUR_S / 4);
    expect(search.report(0).used.cost).toBeCloseTo(0.25, 12);
  });
});
