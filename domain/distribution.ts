import type { ColumnComparison } from '../contracts/distribution-report.ts';
import type { ExpectationResult } from '../contracts/reports.ts';
import type { DistributionRule } from '../contracts/spec/distribution.ts';

/** One limit of the rule for one column. */
interface Measure {
  name: string;
  observed: number;
  limit: number;
  /** Whether the observed figure must not fall below the limit, instead of not exceeding it. */
  least: boolean;
}

const figure = (value: number): string => String(Number(value.toPrecision(4)));

/**
 * Judges a `distribution` expectation. Columns of which a side has no values are judged by their missing share only.
 *
 * @param comparisons of the columns that the rule is about; null where there is no champion (or its data are gone)
 * @param rows of the table
 * @param reason why there is nothing to compare with; by default that there is no champion
 * @returns one result; `violations` counts columns beyond a limit, and no value of the data is in it
 */
export function judgeDistribution(
  rule: DistributionRule,
  comparisons: readonly ColumnComparison[] | null,
  rows: number,
  reason = 'there is no champion yet',
): ExpectationResult {
  const shared = {
    expectation: rule.name ?? 'distribution against champion',
    kind: rule.expect,
    on: null,
    columns: rule.columns ?? comparisons?.map(({ name }) => name) ?? [],
    severity: rule.severity,
    policy: 'stop',
    rows,
    share: 0,
    limit: limitOf(rule),
  } as const;
  if (comparisons === null)
    return {
      ...shared,
      passed: true,
      violations: 0,
      value: null,
      observed: 'not applicable',
      note: `not applicable: ${reason}, so there is nothing to compare with`,
    };
  const moved = comparisons
    .map((column) => ({ column, worst: worstOf(measuresOf(rule, column)) }))
    .filter(({ worst }) => worst !== undefined && excess(worst) > 1)
    .sort((a, b) => excess(b.worst) - excess(a.worst));
  const largest = comparisons.reduce<number | null>(
    (most, { psi }) => (psi === null ? most : Math.max(most ?? 0, psi)),
    null,
  );
  return {
    ...shared,
    passed: moved.length === 0,
    violations: moved.length,
    value: largest,
    observed:
      moved.length === 0
        ? `${comparisons.length} columns, largest PSI ${largest === null ? 'none' : figure(largest)}`
        : `${moved.length} of ${comparisons.length} columns moved: ${moved
            .slice(0, 10)
            .map(({ column, worst }) => `${column.name} (${worst?.name} ${figure(worst?.observed ?? 0)})`)
            .join(', ')}${moved.length > 10 ? ', …' : ''}`,
  };
}

function measuresOf(rule: DistributionRule, column: ColumnComparison): Measure[] {
  const { psi, jensenShannon, ks, chiSquare, newCategories, missing } = column;
  const measures: Measure[] = [
    {
      name: 'missing +',
      observed: missing.current - missing.reference,
      limit: rule.missing.maxIncrease,
      least: false,
    },
  ];
  const add = (name: string, observed: number | undefined | null, limit: number, least = false): void => {
    if (observed !== undefined && observed !== null) measures.push({ name, observed, limit, least });
  };
  add('PSI', psi, rule.psi.max);
  if (rule.jensenShannon) add('Jensen-Shannon', jensenShannon, rule.jensenShannon.max);
  if (rule.ks && 'max' in rule.ks) add('KS', ks?.statistic, rule.ks.max);
  if (rule.ks && 'minPValue' in rule.ks) add('KS p-value', ks?.pValue, rule.ks.minPValue, true);
  if (rule.chiSquare && 'maxCramersV' in rule.chiSquare)
    add("Cramér's V", chiSquare?.cramersV, rule.chiSquare.maxCramersV);
  if (rule.chiSquare && 'minPValue' in rule.chiSquare)
    add('chi-square p-value', chiSquare?.pValue, rule.chiSquare.minPValue, true);
  add('new categories', newCategories?.share, rule.newCategories.maxShare);
  return measures;
}

/** How far beyond its limit a figure is: 1 is at the limit, 2 is twice as much. */
function excess(measure: Measure | undefined): number {
  if (!measure) return 0;
  const { observed, limit, least } = measure;
  if (least ? observed >= limit : observed <= limit) return Math.min(1, least ? 0 : observed / (limit || 1));
  const ratio = least ? limit / observed : observed / limit;
  return Number.isFinite(ratio) ? Math.max(ratio, 1 + Number.EPSILON) : Number.MAX_VALUE;
}

const worstOf = (measures: readonly Measure[]): Measure | undefined =>
  measures.reduce<Measure | undefined>(
    (worst, measure) => (excess(measure) > excess(worst) ? measure : worst),
    undefined,
  );

function limitOf(rule: DistributionRule): string {
  const { psi, jensenShannon, ks, chiSquare, newCategories, missing } = rule;
  return [
    `PSI at most ${psi.max}`,
    jensenShannon ? `Jensen-Shannon at most ${jensenShannon.max}` : '',
    ks ? ('max' in ks ? `KS at most ${ks.max}` : `KS p-value at least ${ks.minPValue}`) : '',
    chiSquare
      ? 'maxCramersV' in chiSquare
        ? `Cramér's V at most ${chiSquare.maxCramersV}`
        : `chi-square p-value at least ${chiSquare.minPValue}`
      : '',
    `new categories at most ${figure(100 * newCategories.maxShare)} % of rows`,
    `missing share at most ${figure(missing.maxIncrease)} higher`,
  ]
    .filter(Boolean)
    .join(', ');
}
