import { describe, expect, it } from 'vitest';
import { shuffledOrder } from '../../domain/random.ts';
import { Adam } from '../../trainers/typescript/adam.ts';
import { layerUnits, mlpParameters } from '../../trainers/typescript/mlp-parameters.ts';
import { objectiveOf } from '../../trainers/typescript/objective.ts';
import { fitScaling, scaledRows } from '../../trainers/typescript/scaling.ts';
import type { Fold } from '../../trainers/typescript/training-data.ts';

function foldOf(labels: Int32Array | Float32Array, weights?: number[]): Fold {
  const rows = labels.length;
  return {
    rows,
    columns: 1,
    features: Float32Array.from({ length: rows }, (_, row) => row),
    labels,
    weights: Float32Array.from(weights ?? new Array<number>(rows).fill(1)),
  };
}

describe('the parameters of the perceptron', () => {
  it('have defaults', () => {
    expect(mlpParameters({})).toEqual({
      hidden: '64,32',
      learning_rate: 0.001,
      batch_size: 256,
      l2: 0.0001,
      early_stopping_rounds: 10,
    });
  });

  it('accept one layer as a number', () => {
    expect(layerUnits(mlpParameters({ hidden: 16 }).hidden)).toEqual([16]);
    expect(layerUnits(mlpParameters({ hidden: '8, 4' }).hidden)).toEqual([8, 4]);
  });

  it('name the nearest word for an unknown one', () => {
    expect(() => mlpParameters({ learningrate: 0.1 })).toThrow(
      'The parameter "learningrate" is unknown. Did you mean "learning_rate"? Allowed: batch_size, ' +
        'early_stopping_rounds, hidden, l2, learning_rate.',
    );
    expect(() => mlpParameters({ zzzzzzzzzz: 1 })).toThrow(/unknown\. Allowed/);
  });

  it.each([
    { hidden: '64,' },
    { hidden: '0' },
    { hidden: '9999' },
    { hidden: '1,1,1,1,1,1,1,1,1' },
    { learning_rate: 0 },
    { batch_size: 1.5 },
    { l2: -1 },
    { l2: 'much' },
  ])('refuse %j', (given) => {
    expect(() => mlpParameters(given)).toThrow(`The parameter "${Object.keys(given)[0]}"`);
  });
});

describe('the order of rows', () => {
  it('holds each row once', () => {
    expect([...shuffledOrder(100, 1, 2)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, row) => row),
    );
  });

  it('depends on seed and epoch alone', () => {
    expect(shuffledOrder(50, 7, 3)).toEqual(shuffledOrder(50, 7, 3));
    expect(shuffledOrder(50, 7, 3)).not.toEqual(shuffledOrder(50, 7, 4));
    expect(shuffledOrder(50, 7, 3)).not.toEqual(shuffledOrder(50, 8, 3));
  });
});

describe('scaling', () => {
  it('gives mean 0 and deviation 1, and zero for a constant column', () => {
    const fold: Fold = {
      ...foldOf(new Int32Array(4)),
      columns: 2,
      features: new Float32Array([1, 5, 2, 5, 3, 5, 4, 5]),
    };
    const scaled = scaledRows(fold, new Uint32Array([0, 1, 2, 3]), fitScaling(fold.features, 2));
    const first = [...scaled].filter((_, index) => index % 2 === 0);
    expect(first.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 6);
    expect(first.reduce((sum, value) => sum + value * value, 0) / 4).toBeCloseTo(1, 6);
    expect([...scaled].filter((_, index) => index % 2 === 1)).toEqual([0, 0, 0, 0]);
  });
});

describe.each([
  [
    'classes',
    objectiveOf('multiclass', 3, foldOf(new Int32Array([0, 1, 2]))),
    new Int32Array([2, 0]),
    [0.3, -1, 0.2, 2, 0.1, -0.4],
  ],
  [
    'numbers',
    objectiveOf('regression', 0, foldOf(new Float32Array([10, 30]))),
    new Float32Array([12, 25]),
    [0.5, -0.25],
  ],
] as const)('the loss of %s', (_what, objective, labels, values) => {
  const fold = foldOf(labels, [1, 3]);
  const rows = new Uint32Array([0, 1]);
  const loss = (outputs: readonly number[]) => {
    const total = { sum: 0, weight: 0 };
    objective.score(fold, rows, Float32Array.from(outputs), total);
    return total.sum / total.weight;
  };

  it('has the slope that it reports', () => {
    const slopes = new Float32Array(values.length);
    objective.score(fold, rows, Float32Array.from(values), { sum: 0, weight: 0 }, slopes);
    const step = 1e-3;
    values.forEach((_value, index) => {
      const moved = (by: number) => loss(values.map((value, at) => (at === index ? value + by : value)));
      expect(slopes[index]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 3);
    });
  });
});

describe('regression', () => {
  it("reports the error in the target's unit", () => {
    const objective = objectiveOf('regression', 0, foldOf(new Float32Array([10, 30])));
    const total = { sum: 0, weight: 0 };
    // The mean of the labels is predicted: each label is 10 away from it.
    objective.score(
      foldOf(new Float32Array([10, 30])),
      new Uint32Array([0, 1]),
      new Float32Array([0, 0]),
      total,
    );
    expect(objective.metricOf(total)).toBeCloseTo(10, 5);
  });
});

describe('Adam', () => {
  it('makes a first step of the learning rate, against the gradient', () => {
    const weights = [new Float32Array([1, 1, 1])];
    new Adam(0.1, [3]).update(weights, [new Float32Array([2, -0.5, 0])]);
    expect([...(weights[0] ?? [])].map((value) => Number(value.toFixed(4)))).toEqual([0.9, 1.1, 1]);
  });

  it('goes on exactly from its state', () => {
    const gradients = [new Float32Array([0.3, -0.7])];
    const whole = [new Float32Array([1, 2])];
    const once = new Adam(0.01, [2]);
    for (let step = 0; step < 4; step++) once.update(whole, gradients);
    const halves = [new Float32Array([1, 2])];
    const first = new Adam(0.01, [2]);
    for (let step = 0; step < 2; step++) first.update(halves, gradients);
    const second = new Adam(0.01, [2], structuredClone(first.state));
    for (let step = 0; step < 2; step++) second.update(halves, gradients);
    expect(halves).toEqual(whole);
  });
});
