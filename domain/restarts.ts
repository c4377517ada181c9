/** When something that ends again and again is started again. */
export interface RestartPolicy {
  /** Milliseconds before the first restart; each further one within the window waits twice as long. */
  readonly firstMs: number;
  /** The longest wait. */
  readonly lastMs: number;
  /** So many ends within the window are the last. */
  readonly limit: number;
  readonly windowMs: number;
}

/** Five ends within ten minutes; 200 ms, 400 ms, 800 ms and 1.6 s between them. */
export const RESTARTS: RestartPolicy = { firstMs: 200, lastMs: 30_000, limit: 5, windowMs: 600_000 };

/**
 * How long to wait before the next start.
 *
 * @param ends when it ended, the last time included, in milliseconds of any one clock
 * @param now on the same clock
 * @returns milliseconds; `undefined` where it is not worth another try
 * @example restartDelay([0], 0) === 200
 */
export function restartDelay(
  ends: readonly number[],
  now: number,
  policy: RestartPolicy = RESTARTS,
): number | undefined {
  const recent = ends.filter((end) => now - end < policy.windowMs).length;
  if (recent >= policy.limit) return undefined;
  return Math.min(policy.firstMs * 2 ** Math.max(recent - 1, 0), policy.lastMs);
}
