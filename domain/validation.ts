import { type ExpectationResult, failedExpectations } from '../contracts/reports.ts';

/** Failed expectations that a message names at most; the report has all. */
const MAX_LINES = 20;

/**
 * Why the data may not be used: what failed, the worst first, a line each; no value of a row.
 *
 * @returns `undefined` where nothing that stops a run failed
 */
export function validationProblem(results: readonly ExpectationResult[]): string | undefined {
  const failed = failedExpectations(results);
  if (failed.length === 0) return undefined;
  const lines = failed
    .slice(0, MAX_LINES)
    .map((result) => `${result.expectation}: ${result.observed}; expected ${result.limit}`);
  const more = failed.length - lines.length;
  return [
    `${failed.length} of ${results.length} expectations failed`,
    ...lines,
    ...(more > 0 ? [`and ${more} more`] : []),
  ].join('\n');
}
