import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineFolds } from '../../domain/cross-validation.ts';

describe('metrics of folds together', () => {
  it('are their mean and their standard deviation as a sample', () => {
    // statistics.mean and statistics.stdev of Python.
    const { mean, standardDeviation, notes } = combineFolds([
      { roc_auc: 0.81, log_loss: 0.4 },
      { roc_auc: 0.79, log_loss: 0.5 },
      { roc_auc: 0.86, log_loss: 0.3 },
    ]);
    expect(mean.roc_auc).toBeCloseTo(0.82, 15);
    expect(standardDeviation.roc_auc).toBeCloseTo(0.03605551275463988, 15);
    expect([mean.log_loss, standardDeviation.log_loss]).toEqual([
      expect.closeTo(0.4, 15),
      expect.closeTo(0.1, 15),
    ]);
    expect(notes).toEqual([]);
  });

  it('are taken from the folds that have them, where half of them do', () => {
    const combined = combineFolds([{ roc_auc: 0.8, accuracy: 0.9 }, { accuracy: 0.7 }, { accuracy: 0.8 }]);
    expect(combined).toEqual({
      mean: { accuracy: expect.closeTo(0.8, 15) },
      standardDeviation: { accuracy: expect.closeTo(0.1, 15) },
      notes: [
        'roc_auc: fold(s) 2, 3 of 3 have no value; fewer than half of them have one, so there is none.',
      ],
    });
    expect(combineFolds([{ roc_auc: 0.8 }, {}])).toEqual({
      mean: { roc_auc: 0.8 },
      standardDeviation: {},
      notes: ['roc_auc: fold(s) 2 of 2 have no value; mean of the others.'],
    });
  });

  it('are finite, whatever the folds say', () => {
    const value = fc.oneof(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constant(Number.NaN));
    fc.assert(
      fc.property(
        fc.array(fc.record({ root_mean_squared_error: value }, { requiredKeys: [] }), { maxLength: 20 }),
        (folds) => {
          const { mean, standardDeviation } = combineFolds(folds);
          const known = folds.flatMap(({ root_mean_squared_error: one }) =>
            one === undefined || Number.isNaN(one) ? [] : [one],
          );
          expect(mean.root_mean_squared_error === undefined).toBe(
            known.length === 0 || known.length * 2 < folds.length,
          );
          if (mean.root_mean_squared_error === undefined) return;
          expect(mean.root_mean_squared_error).toBeGreaterThanOrEqual(Math.min(...known) - 1e-6);
          expect(mean.root_mean_squared_error).toBeLessThanOrEqual(Math.max(...known) + 1e-6);
          expect(standardDeviation.root_mean_squared_error ?? 0).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});
