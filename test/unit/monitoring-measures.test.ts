import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measuresOf } from '../../domain/monitoring/measures.ts';
import { comparedColumn, measuredOn, observation } from '../support/window-reports.ts';

describe('the measures of a window', () => {
  it('have names that people can guess', () => {
    const measures = measuresOf(
      observation({
        columns: [comparedColumn('contact', { psi: 3.2, drifted: true }), comparedColumn('age')],
        quality: measuredOn(500, { roc_auc: 0.8 }, { roc_auc: { low: 0.75, high: 0.85 } }),
        slices: [
          { name: 'region = north', rows: 90, quality: measuredOn(80, { roc_auc: 0.7 }), predictions: [] },
        ],
      }),
    );
    expect(measures).toMatchObject({
      rows: 1_000,
      labels: 500,
      'quality.roc_auc': 0.8,
      'quality.roc_auc.low': 0.75,
      'quality.roc_auc.high': 0.85,
      'estimated.roc_auc': 0.81,
      'drift.share': 0.5,
      'drift.psi.contact': 3.2,
      'drift.psi.age': 0.01,
      'predictions.psi': 0.01,
      'predictions.psi.probability': 0.01,
      'labels.psi': 0.01,
      'skew.share': 0,
      'concept.changes': 0,
      'operations.latency_p99_ms': 8,
      'operations.errors': 0,
      'operations.uptime': 1,
      'slice.region _ north.quality.roc_auc': 0.7,
    });
    expect(measures['multivariate.deviations']).toBeCloseTo(1, 12);
    expect(Object.keys(measures)).not.toContain('operations.cost');
  });

  it('are 500 at the most, the most drifted columns first', () => {
    const columns = Array.from({ length: 2_000 }, (_, i) => comparedColumn(`x${i}`, { psi: i / 1_000 }));
    const names = Object.keys(measuresOf(observation({ columns })));
    expect(names).toHaveLength(500);
    expect(names).toContain('drift.psi.x1999');
    expect(names).not.toContain('drift.psi.x0');
    expect(names).toContain('operations.latency_p99_ms');
  });

  it('are finite, and named as MLflow allows, whatever columns are called', () => {
    const odd = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('../..', '/', '__proto__', 'a b', 'a/b', 'a:b'),
    );
    const number = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY));
    fc.assert(
      fc.property(fc.array(fc.tuple(odd, number), { maxLength: 20 }), (columns) => {
        const measures = measuresOf(
          observation({
            columns: columns.map(([name, psi]) => comparedColumn(name, { psi })),
            predictions: columns.map(([name, psi]) => comparedColumn(name, { psi })),
            multivariate: { error: 1, reference: 1, deviation: 0, components: 1, rows: 1 },
            skew: { rows: 0, differing: 0, largest: 0 },
          }),
        );
        const finite = columns.filter(([, psi]) => Number.isFinite(psi)).length;
        expect(Object.keys(measures).filter((name) => name.startsWith('drift.psi.'))).toHaveLength(finite);
        const wrong = Object.entries(measures).filter(
          ([name, value]) =>
            !Number.isFinite(value) ||
            !/^[A-Za-z0-9_\-./ ]{1,250}$/.test(name) ||
            /^\/|\/\/|(^|\/)\.\.?(\/|$)/.test(name),
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
