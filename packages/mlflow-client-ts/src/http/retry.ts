import type { MlflowError } from '../errors.ts';

/**
 * When a call may be repeated after a failure.
 *
 * - `always`: reads and writes that end in the same state when done twice.
 * - `delete`: like `always`, and "not found" on a repeat counts as done, because
 *   the lost first answer may have been the success.
 * - `unsent`: creates; repeated only when the request provably never took effect.
 * - `never`: the body can be read once only.
 */
export type RepeatRule = 'always' | 'delete' | 'unsent' | 'never';

/** How often and how long to wait between attempts. */
export interface RetryOptions {
  /** Attempts in total, the first included. Default 5. */
  maxAttempts?: number;
  /** Upper bound of the first wait, in milliseconds; doubles each time. Default 200. */
  baseDelayMs?: number;
  /** Upper bound of any wait, in milliseconds. Default 10 000. */
  maxDelayMs?: number;
}

/** {@link RetryOptions} with the defaults filled in. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/** Fills the defaults into `options`. */
export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  return {
    maxAttempts: Math.max(1, Math.floor(options.maxAttempts ?? 5)),
    baseDelayMs: Math.max(0, options.baseDelayMs ?? 200),
    maxDelayMs: Math.max(0, options.maxDelayMs ?? 10_000),
  };
}

/** Statuses that describe a passing condition. 501 and 505 never pass by waiting. */
export function isRetryableStatus(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Network codes raised before a single byte of the request left this machine. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Whether `code` proves that the request was never sent. */
export function provesUnsent(code: string | undefined): boolean {
  return code !== undefined && NEVER_SENT.has(code);
}

/**
 * Decides whether a failed attempt is repeated.
 *
 * @param unsent whether the failure proves the request never left.
 */
export function mayRepeat(rule: RepeatRule, error: MlflowError, unsent: boolean): boolean {
  if (!error.retryable || rule === 'never') return false;
  if (rule !== 'unsent') return true;
  // A create whose answer was lost may have happened: repeating it would make a twin.
  if (error.code === 'network') return unsent;
  return (error.status === 429 || error.status === 503) && error.retryAfterMs !== undefined;
}

/**
 * Wait before attempt number `attempt + 1`, in milliseconds: full jitter below an
 * exponential bound, never shorter than what the server asked for.
 */
export function delayMs(
  policy: RetryPolicy,
  attempt: number,
  retryAfterMs: number | undefined,
  random: () => number = Math.random,
): number {
  const bound = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempt - 1));
  const jittered = random() * bound;
  return retryAfterMs === undefined ? jittered : retryAfterMs + random() * policy.baseDelayMs;
}

/**
 * Parses a `Retry-After` header: whole seconds or an HTTP date.
 *
 * @returns milliseconds from `now`, or undefined when absent or not understood.
 */
export function parseRetryAfter(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
