import { setTimeout as sleep } from 'node:timers/promises';
import { MlflowError } from '../packages/mlflow-client-ts/src/index.ts';
import type { ActivityFrame } from './frame.ts';

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [500, 10_000];

/**
 * Waits an outage of MLflow out, for as long as the activity may take: a new attempt would train a model again that
 * is there already. What is refused is not asked again.
 *
 * @param ask is told whether it was asked before, and may have been answered
 */
export async function throughOutages<T>(
  { signal, warn }: Pick<ActivityFrame, 'signal' | 'warn'>,
  ask: (again: boolean) => Promise<T>,
): Promise<T> {
  for (let times = 0; ; times++) {
    try {
      return await ask(times > 0);
    } catch (error) {
      if (!(error instanceof MlflowError && error.retryable) || signal.aborted) throw error;
      warn('MLflow does not answer; it is waited for', error);
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** times, LONGEST_PAUSE_MS);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}
