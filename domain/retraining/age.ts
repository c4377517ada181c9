import { durationMs } from '../../contracts/durations.ts';
import type { RetrainingState, ToldTrigger } from '../../contracts/retraining.ts';
import type { RetrainingSpec } from '../../contracts/spec/retraining.ts';
import { isoOf } from './limits.ts';

type Champion = NonNullable<RetrainingState['champion']>;

/** When what is in production is too old; `null` where it never is. */
export function expiryOf({ on }: RetrainingSpec, champion: Champion | null | undefined): string | null {
  if (on.maxAge === undefined || !champion) return null;
  return isoOf(Date.parse(champion.since) + durationMs(on.maxAge));
}

/**
 * The reason to train where what is in production is older than `on.maxAge`.
 *
 * @param champion what is in production, and since when
 * @returns `null` where it is not
 */
export function ageTrigger(
  spec: RetrainingSpec,
  champion: Champion | null | undefined,
  asOf: string,
): ToldTrigger | null {
  const expiry = expiryOf(spec, champion);
  if (expiry === null || !champion || Date.parse(asOf) < Date.parse(expiry)) return null;
  return {
    kind: 'age',
    reason: `version ${champion.version} is in production since ${champion.since}, longer than ${spec.on.maxAge}`,
    at: expiry,
    version: champion.version,
  };
}
