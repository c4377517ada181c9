import type { RetrainingStatus, RetrainingTick } from '../../contracts/retraining.ts';
import { settled } from './runs.ts';

/**
 * Whether a tick changes anything for a retraining. In event time it always does: ticks are its clock.
 *
 * @param status what the workflow says of itself
 */
export function isNews(
  { settings: { clock, retraining }, state, asOf }: RetrainingStatus,
  { champion }: RetrainingTick,
): boolean {
  if (clock === 'event' || state.champion === undefined) return true;
  const known = state.champion;
  // Where a window had no rows of it, a later time is told of the same version; that does not make it younger.
  const isSame =
    known === null || champion === null
      ? known === champion
      : known.version === champion.version && Date.parse(known.since) <= Date.parse(champion.since);
  // A run of which nothing bad was told for long enough has helped, which somebody has to notice.
  return !isSame || settled(retraining, state, asOf) !== state;
}
