import type { Undelivered } from '../../contracts/alerts.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<MonitoringActivities['recordDelivery']>[0];

/** Refusals that are kept, and characters of each. */
const MOST = 20;
const LONGEST = 500;

/** Puts on record what a channel refused for good; what it takes again says that the way is open. */
export async function recordDelivery(
  deps: ActivityDependencies,
  { endpoint, notice: { id, title }, channel, refused }: Question,
): Promise<void> {
  const { documents } = await deps.store();
  await new MonitorRecords(documents).changeState(endpoint, (known) => {
    if (!known) return undefined;
    const isSame = (one: Undelivered): boolean =>
      one.channel === channel && (refused === null || one.id === id);
    const others = known.undelivered.filter((one) => !isSame(one));
    if (refused === null)
      return others.length === known.undelivered.length ? undefined : { ...known, undelivered: others };
    const one = { id, channel, title, at: new Date().toISOString(), why: refused.slice(0, LONGEST) };
    return { ...known, undelivered: [...others, one].slice(-MOST) };
  });
}
