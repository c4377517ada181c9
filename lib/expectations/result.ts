import type { ExpectationResult } from '../../contracts/reports.ts';
import { ceilingOf, type Expectation, isRowRule } from '../../contracts/spec/expectations.ts';
import type { ValidationReport } from '../../contracts/validation-report.ts';
import type { Finding } from './check.ts';
import { columnsOf, describeExpectation, limitOf, percent } from './words.ts';

/** A quotient is rounded like the share that somebody wrote down: 29 of 100 are 0.29, while 0.29 · 100 is less than 29. */
const shareOf = (count: number, rows: number): number => (rows === 0 ? 0 : count / rows);

/** The result of a rule from what was found. */
export function resultOf(rule: Expectation, finding: Finding, rows: number): ExpectationResult {
  const rowWise = isRowRule(rule);
  // A query may give more rows than the table has.
  const share = rowWise || rule.expect === 'overlap' ? shareOf(finding.violations, rows) : 0;
  const passed = finding.passed ?? (!rowWise || share <= ceilingOf(rule));
  return {
    expectation: describeExpectation(rule),
    kind: rule.expect,
    on: 'on' in rule ? (rule.on ?? null) : null,
    columns: columnsOf(rule),
    severity: rule.severity,
    policy: rowWise ? rule.rows : 'stop',
    passed,
    violations: finding.violations,
    rows,
    share,
    value: finding.value ?? (rowWise ? share : null),
    observed:
      finding.observed ??
      (rowWise ? `${finding.violations} of ${rows} rows (${percent(share)})` : (finding.note ?? '')),
    limit: limitOf(rule),
    ...(finding.note === undefined ? {} : { note: finding.note }),
  };
}

/** Whether no rule with severity error failed. */
export const allPassed = (results: ValidationReport['results']): boolean =>
  results.every((result) => result.passed || result.severity === 'warn');
