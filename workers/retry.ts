import { setTimeout as sleep } from 'node:timers/promises';

/** The waits between tries double from `firstMs` to `lastMs`. */
export interface Backoff {
  firstMs: number;
  lastMs: number;
}

/**
 * Does the work again after each failure until it succeeds. Work that lasted longer than the longest wait did well
 * before it failed, so the waits begin anew.
 *
 * @throws the failure in which `signal` was aborted
 */
export async function untilDone<T>(
  work: () => Promise<T>,
  { firstMs, lastMs }: Backoff,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<T> {
  for (let wait = firstMs; ; wait = Math.min(wait * 2, lastMs)) {
    const startedAt = performance.now();
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      if (performance.now() - startedAt > lastMs) wait = firstMs;
      onFailure(error);
      await sleep(wait, undefined, { signal });
    }
  }
}
