import { describe, expect, it } from 'vitest';
import type { ColumnComparison } from '../../contracts/distribution-report.ts';
import { expectationResult } from '../../contracts/reports.ts';
import { distributionRule } from '../../contracts/spec/distribution.ts';
import { judgeDistribution } from '../../domain/distribution.ts';

const comparison = (change: Partial<ColumnComparison>): ColumnComparison => ({
  name: 'age',
  kind: 'numeric',
  values: { reference: 1000, current: 1000 },
  missing: { reference: 0.05, current: 0.05 },
  psi: 0.02,
  jensenShannon: 0.05,
  ks: { statistic: 0.03, pValue: 0.0001 },
  chiSquare: null,
  newCategories: null,
  bins: [],
  ...change,
});
const town = comparison({
  psi: 0.005,
  jensenShannon: 0.01,
  name: 'town',
  kind: 'categorical',
  ks: null,
  chiSquare: { statistic: 12, dof: 3, pValue: 0.007, cramersV: 0.08 },
  newCategories: { count: 1, rows: 5, share: 0.005, names: ['Atlantis'] },
});

const judge = (rule: object, ...comparisons: ColumnComparison[]) =>
  expectationResult.parse(
    judgeDistribution(distributionRule.parse({ expect: 'distribution', ...rule }), comparisons, 1000),
  );

describe('the distribution against the champion', () => {
  it('holds where nothing moved, whatever the p-values say', () =>
    expect(judge({}, comparison({}), town)).toMatchObject({
      passed: true,
      violations: 0,
      value: 0.02,
      observed: '2 columns, largest PSI 0.02',
      limit: 'PSI at most 0.2, new categories at most 1 % of rows, missing share at most 0.1 higher',
    }));

  it.each<[object, Partial<ColumnComparison>, string]>([
    [{}, { psi: 0.21 }, 'PSI 0.21'],
    [{ psi: { max: 0.01 } }, {}, 'PSI 0.02'],
    [{ jensenShannon: { max: 0.04 } }, {}, 'Jensen-Shannon 0.05'],
    [{ ks: { max: 0.02 } }, {}, 'KS 0.03'],
    [{ ks: { minPValue: 0.01 } }, {}, 'KS p-value 0.0001'],
    [{ ks: { minPValue: 0.01 } }, { ks: { statistic: 1, pValue: 0 } }, 'KS p-value 0'],
    [{}, { missing: { reference: 0, current: 0.11 } }, 'missing + 0.11'],
    [{ missing: { maxIncrease: 0 } }, { missing: { reference: 0, current: 0.01 } }, 'missing + 0.01'],
    [{}, { psi: null, ks: null, missing: { reference: 0, current: 1 } }, 'missing + 1'],
  ])('%j with %j fails', (rule, change, words) =>
    expect(judge(rule, comparison(change), town)).toMatchObject({
      passed: false,
      violations: 1,
      observed: `1 of 2 columns moved: age (${words})`,
    }),
  );

  it.each([
    [{ chiSquare: { maxCramersV: 0.05 } }, "Cramér's V 0.08"],
    [{ chiSquare: { minPValue: 0.01 } }, 'chi-square p-value 0.007'],
    [{ newCategories: { maxShare: 0.001 } }, 'new categories 0.005'],
    [{ newCategories: { maxShare: 0 } }, 'new categories 0.005'],
  ])('%j fails for a category', (rule, words) => {
    const result = judge(rule, comparison({}), town);
    expect(result.observed).toBe(`1 of 2 columns moved: town (${words})`);
    expect(JSON.stringify(result)).not.toContain('Atlantis');
  });

  it('limits that are met exactly hold', () =>
    expect(
      judge(
        {
          psi: { max: 0.02 },
          ks: { max: 0.03 },
          newCategories: { maxShare: 0.005 },
          missing: { maxIncrease: 0 },
        },
        comparison({}),
        town,
      ).passed,
    ).toBe(true));

  it('names the column that moved most first', () =>
    expect(judge({}, comparison({ psi: 0.3 }), comparison({ name: 'pay', psi: 2 })).observed).toBe(
      '2 of 2 columns moved: pay (PSI 2), age (PSI 0.3)',
    ));

  it('does not apply without a champion, and says so', () =>
    expect(
      expectationResult.parse(
        judgeDistribution(distributionRule.parse({ expect: 'distribution' }), null, 1000),
      ),
    ).toMatchObject({
      passed: true,
      observed: 'not applicable',
      note: 'not applicable: there is no champion yet, so there is nothing to compare with',
    }));

  it('refuses limits that make no sense', () => {
    for (const rule of [
      { psi: { max: 0 } },
      { ks: { max: 2 } },
      { ks: { minPValue: 0, max: 1 } },
      { psy: 1 },
    ])
      expect(distributionRule.safeParse({ expect: 'distribution', ...rule }).success).toBe(false);
  });
});
