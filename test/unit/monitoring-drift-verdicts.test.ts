import { describe, expect, it } from 'vitest';
import { driftReasons, hasDrifted } from '../../domain/monitoring/drifted.ts';
import { comparedColumn, watching } from '../support/window-reports.ts';
import { said } from '../support/window-verdicts.ts';

describe('data drift', () => {
  const drifted = comparedColumn('contact', {
    psi: 3.2,
    drifted: true,
    newCategories: { count: 1, rows: 120, share: 0.12, names: ['x'] },
  });
  const others = (count: number) => Array.from({ length: count }, (_, i) => comparedColumn(`x${i}`));

  it('of one feature among many is named and alarms nobody', () => {
    const verdicts = said('data-drift', {}, { columns: [...others(11), drifted] });
    expect(verdicts['']).toMatchObject({ state: 'ok', observed: 1 / 12, limit: 0.3 });
    expect(verdicts['']?.words).toBe(
      '1 of 12 features (8.3 %) drifted, too many from 30 % on: contact (PSI 3.2)',
    );
    expect(verdicts.contact).toMatchObject({
      state: 'unlimited',
      observed: 3.2,
      words: 'PSI 3.2, at most 0.2; 12 % in new categories, at most 5 %',
    });
  });

  it('of the share itself alarms', () => {
    const columns = [...others(7), drifted, { ...drifted, name: 'b', psi: 5 }, { ...drifted, name: 'c' }];
    expect(said('data-drift', {}, { columns })['']).toMatchObject({
      state: 'breached',
      words:
        '3 of 10 features (30 %) drifted, too many from 30 % on: b (PSI 5), c (PSI 3.2), contact (PSI 3.2)',
    });
  });

  it('is beyond a limit of its own kind, each of which is optional but three', () => {
    const rule = (changes: Parameters<typeof watching>[0]) => {
      const { drift } = watching(changes);
      if (drift === false) throw new Error('off');
      return drift;
    };
    const all = rule({ drift: { jensenShannon: 0.1, wasserstein: 0.5, alpha: 0.05 } });
    const column = comparedColumn('a', {
      psi: 0.3,
      jensenShannon: 0.2,
      wasserstein: 0.7,
      adjustedPValue: 0.001,
      newCategories: { count: 1, rows: 1, share: 0.06, names: [] },
      missing: { reference: 0.3, current: 0.1 },
    });
    expect(driftReasons(all, column)).toEqual([
      'PSI 0.3, at most 0.2',
      'Jensen-Shannon distance 0.2, at most 0.1',
      'Wasserstein distance 0.7 deviations, at most 0.5',
      'Kolmogorov-Smirnov p 0.001, at least 0.05',
      '6 % in new categories, at most 5 %',
      '10 % missing against 30 %, at most 10 % apart',
    ]);
    const calm = rule({ drift: { psi: 1 } });
    expect(hasDrifted(calm, comparedColumn('a', { psi: 0.9, adjustedPValue: 0 }))).toBe(false);
    // Ten values always look different.
    expect(hasDrifted(calm, comparedColumn('a', { psi: 9, values: { reference: 5_000, current: 10 } }))).toBe(
      false,
    );
  });

  it('of the features together is so many deviations of the reference, to either side', () => {
    const at = (error: number, deviation = 0.1) =>
      said(
        'multivariate-drift',
        {},
        { multivariate: { error, reference: 1, deviation, components: 2, rows: 1_000 } },
      )[''];
    expect(at(1.29)?.state).toBe('ok');
    expect(at(1.31)).toMatchObject({
      state: 'breached',
      words:
        'reconstruction error 1.31 against 1 of the reference (3.1 deviations), at most 3 deviations apart',
    });
    expect(at(0.69)?.state).toBe('breached');
    expect(at(1, 0)?.state).toBe('ok');
  });

  it('by a classifier is an AUC that is not below the limit', () => {
    const at = (auc: number) =>
      said(
        'domain-classifier',
        { drift: { classifier: {} } },
        { classifier: { auc, rows: 900, top: ['contact'] } },
      )[''];
    expect(at(0.69)?.state).toBe('ok');
    expect(at(0.7)).toMatchObject({ state: 'breached', rows: 900 });
    expect(at(0.9)?.words).toContain('ROC AUC 0.9, too well from 0.7 on, most by contact');
  });
});
