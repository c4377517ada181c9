import { ApplicationFailure } from '@temporalio/workflow';
import { z } from 'zod';
import type { ErrorCode } from '../contracts/errors.ts';
import { describeIssues } from '../contracts/issues.ts';

// The workflow sandbox forbids `new Function`, which zod's compiled parsers use.
z.config({ jitless: true });

/**
 * Parses what people and programs send to a workflow. A plain `Error` here would fail the workflow task and
 * be retried for ever, so refusals are non-retryable failures.
 *
 * @throws ApplicationFailure of type `code`
 */
export function parseInput<T extends z.ZodType>(
  schema: T,
  value: unknown,
  what: string,
  code: ErrorCode = 'InputInvalid',
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw ApplicationFailure.nonRetryable(`${what}: ${describeIssues(result.error, value)}`, code);
}

/** Like {@link parseInput} for signal handlers, which must never throw: the value, or why it was refused. */
export function parseSignal<T extends z.ZodType>(
  schema: T,
  value: unknown,
): { value: z.output<T> } | { refusal: string } {
  const result = schema.safeParse(value);
  return result.success ? { value: result.data } : { refusal: describeIssues(result.error, value) };
}
