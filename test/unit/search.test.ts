import { describe, expect, it } from 'vitest';
import { candidate } from '../../contracts/spec/candidates.ts';
import { searchSpace } from '../../contracts/spec/search.ts';
import { seededRandom } from '../../domain/random.ts';
import { spaceOf } from '../../domain/search/candidate-space.ts';
import { liveLoss } from '../../domain/search/live-loss.ts';
import { Rungs, rungIterations } from '../../domain/search/rungs.ts';
import { drawn, grid } from '../../domain/search/space.ts';
import { whoseTurn } from '../../domain/search/turns.ts';

const SPACE = searchSpace.parse({
  rate: { float: [0.001, 1], log: true },
  leaves: { int: [1, 100], log: true },
  depth: { int: [2, 12], step: 5 },
  penalty: { choice: ['l1', 'l2', 'elasticnet'] },
  l1_ratio: { float: [0, 1], when: { penalty: 'elasticnet' } },
});

describe('the space of a candidate that fixes parameters', () => {
  const left = (parameters: object) => {
    const fixing = candidate.parse({
      name: 'a',
      trainer: 'logistic',
      parameters,
      search: { method: 'random', space: SPACE },
    });
    return spaceOf(fixing, () => ({}));
  };

  it('has none of those', () => {
    expect(Object.keys(left({ rate: 0.1, leaves: 5 }))).toEqual(['depth', 'penalty', 'l1_ratio']);
  });

  it('has what depends on one of them, without the condition', () => {
    expect(left({ penalty: 'elasticnet' }).l1_ratio).toEqual({ float: [0, 1] });
  });

  it('lacks what one of them rules out', () => {
    expect(left({ penalty: 'l1' })).not.toHaveProperty('l1_ratio');
  });
});

describe('a draw from a space', () => {
  const random = seededRandom(7);
  const draws = Array.from({ length: 3_000 }, () => drawn(SPACE, random));

  it('stays within its ends, on its steps', () => {
    for (const { rate, leaves, depth, penalty } of draws) {
      expect(rate).toBeGreaterThanOrEqual(0.001);
      expect(rate).toBeLessThanOrEqual(1);
      expect(Number.isInteger(leaves) && Number(leaves) >= 1 && Number(leaves) <= 100).toBe(true);
      expect([2, 7, 12]).toContain(depth);
      expect(['l1', 'l2', 'elasticnet']).toContain(penalty);
    }
  });

  it('reaches both ends of whole numbers, and is uniform in the logarithm', () => {
    const leaves = draws.map((one) => Number(one.leaves));
    expect(Math.min(...leaves)).toBe(1);
    expect(Math.max(...leaves)).toBe(100);
    const below = draws.filter(({ rate }) => Number(rate) < Math.sqrt(0.001)).length / draws.length;
    expect(below).toBeCloseTo(0.5, 1);
  });

  it('has a conditional parameter exactly where its condition holds', () => {
    for (const one of draws) expect('l1_ratio' in one).toBe(one.penalty === 'elasticnet');
  });

  it('of a seed is always the same', () => {
    expect(drawn(SPACE, seededRandom(3))).toEqual(drawn(SPACE, seededRandom(3)));
    expect(drawn(SPACE, seededRandom(3))).not.toEqual(drawn(SPACE, seededRandom(4)));
  });
});

describe('a grid', () => {
  it('is every combination, conditional parameters only where they apply', () => {
    const all = grid(
      searchSpace.parse({
        penalty: { choice: ['l2', 'elasticnet'] },
        l1_ratio: { float: [0, 1], when: { penalty: ['elasticnet'] } },
        C: { float: [0.01, 100], log: true },
      }),
      3,
      100,
    );
    expect(all).toHaveLength(3 + 3 * 3);
    expect(all[0]).toEqual({ penalty: 'l2', C: 0.01 });
    expect(all.map(({ C }) => Number(C)).slice(0, 3)).toEqual([0.01, expect.closeTo(1), 100]);
    expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(all.length);
  });

  it('has each whole number once, and no more combinations than are wanted', () => {
    expect(grid(searchSpace.parse({ k: { int: [1, 3] } }), 5, 100)).toEqual([{ k: 1 }, { k: 2 }, { k: 3 }]);
    expect(grid(SPACE, 5, 17)).toHaveLength(17);
  });
});

describe('a space', () => {
  it.each([
    [{ a: { float: [1, 1] } }, 'the lower end first'],
    [{ a: { float: [0, 1], log: true } }, 'log needs ends above 0'],
    [{ a: { int: [1, 8], log: true, step: 2 } }, 'step or log, not both'],
    [{ a: { choice: [1], when: { b: 1 } }, b: { choice: [1] } }, 'no parameter b stands before a'],
  ])('%j is refused', (space, message) => {
    const { error } = searchSpace.safeParse(space);
    expect(JSON.stringify(error?.issues)).toContain(message);
  });
});

describe('rungs', () => {
  it('lie at powers of the reduction below the most iterations', () => {
    expect(rungIterations({ reduction: 3, minIterations: 10 }, 500)).toEqual([10, 30, 90, 270]);
    expect(rungIterations({ reduction: 3 }, 270)).toEqual([10, 30, 90]);
    expect(rungIterations({ reduction: 2 }, 1)).toEqual([]);
  });

  it('let the best third go on, the first ones anyway', () => {
    const rungs = new Rungs(3);
    const losses = [0.5, 0.4, 0.45, 0.6, 0.3, 0.7, 0.35];
    expect(losses.map((loss, trial) => rungs.goesOn(10, trial, loss))).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
      true,
    ]);
  });

  it('answer the same when they are asked again, also after they have travelled', () => {
    const rungs = new Rungs(2);
    const first = [0.5, 0.6, 0.4, 0.45].map((loss, trial) => rungs.goesOn(4, trial, loss));
    const travelled = new Rungs(2, JSON.parse(JSON.stringify(rungs)));
    expect([0.5, 0.6, 0.4, 0.45].map((loss, trial) => travelled.goesOn(4, trial, loss))).toEqual(first);
  });

  it('never let go on what is no number', () => {
    expect(new Rungs(3).goesOn(1, 0, Number.NaN)).toBe(false);
  });
});

describe('whose turn it is', () => {
  it('goes round at first', () => {
    const contenders = [0, 0, 0].map(() => ({ started: 0, best: null as number | null }));
    const order = Array.from({ length: 9 }, () => {
      const turn = whoseTurn(contenders, 'roc_auc');
      const one = contenders[turn];
      if (one) one.started++;
      return turn;
    });
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  it('then gives the best one half, the others a quarter and so on', () => {
    const contenders = [
      { started: 3, best: 0.7 },
      { started: 3, best: 0.9 },
      { started: 3, best: null },
    ];
    for (let i = 0; i < 70; i++) {
      const one = contenders[whoseTurn(contenders, 'roc_auc')];
      if (one) one.started++;
    }
    expect(contenders.map(({ started }) => started - 3)).toEqual([20, 40, 10]);
    expect(whoseTurn([], 'roc_auc')).toBe(-1);
  });
});

describe('the live loss', () => {
  it('is the metric that chooses where it is reported, else the loss', () => {
    const metrics = { validation_auc: 0.8, validation_log_loss: 0.4, train_auc: 0.9 };
    expect(liveLoss(metrics, 'roc_auc')).toBe(-0.8);
    expect(liveLoss(metrics, 'f1')).toBe(0.4);
    expect(liveLoss({ validation_rmse: 3 }, 'mean_absolute_error')).toBe(3);
    expect(liveLoss({ train_auc: 1 }, 'roc_auc')).toBeUndefined();
  });
});
