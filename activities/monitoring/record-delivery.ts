import type { Undelivered } from '../../contracts/alerts.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<MonitoringActivities['recordDelivery']>[0];

/** Refusals that are kept, and characters of each. */
const MOST = 20;
const LONGEST = 500;

/** Puts on record what a channel does not take, and why; forgets it when it is told. */
export async function recordDelivery(
  deps: ActivityDependencies,
  { endpoint, notice: { id, title }, channel, refused }: Question,
): Promise<void> {
  const { documents } = await deps.store();
  await new MonitorRecords(documents).changeState(endpoint, (known) => {
    if (!known) return undefined;
    const isSame = (one: Undelivered): boolean => one.channel === channel && one.id === id;
    const before = known.undelivered.find(isSame);
    const others = known.undelivered.filter((one) => one !== before);
    if (refused === null) return before && { ...known, undelivered: others };
    const at = before?.at ?? new Date().toISOString();
    const one = { id, channel, title, at, why: refused.slice(0, LONGEST) };
    return { ...known, undelivered: [...others, one].slice(-MOST) };
  });
}
