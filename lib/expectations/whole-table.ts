import type { ExpectationResult } from '../../contracts/reports.ts';
import type { Expectation } from '../../contracts/spec/expectations.ts';
import type { ValidationReport } from '../../contracts/validation-report.ts';
import { allPassed } from './result.ts';

/** Kinds of rules that are judged after the table's scan, or after the split. */
const ELSEWHERE: ReadonlySet<Expectation['expect']> = new Set(['overlap', 'distribution', 'custom']);

/**
 * A report with further results, in the order of the rules.
 *
 * @param further results by the place of their rule in `rules`
 */
export function withResults(
  report: ValidationReport,
  rules: readonly Expectation[],
  further: ReadonlyMap<number, ExpectationResult>,
): ValidationReport {
  const results: ExpectationResult[] = [];
  const moved: number[] = [];
  let next = 0;
  for (const [index, rule] of rules.entries()) {
    const result = ELSEWHERE.has(rule.expect) ? further.get(index) : report.results[next];
    if (!ELSEWHERE.has(rule.expect)) moved[next++] = results.length;
    if (result) results.push(result);
  }
  return {
    ...report,
    results,
    passed: allPassed(results),
    examples: report.examples.map((item) => ({ ...item, result: moved[item.result] ?? item.result })),
  };
}
