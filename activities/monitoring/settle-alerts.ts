import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<MonitoringActivities['settleAlerts']>[0];

/** Takes notices that were told out of the state. */
export async function settleAlerts(
  deps: ActivityDependencies,
  { endpoint, delivered }: Question,
): Promise<void> {
  const { documents } = await deps.store();
  const isTold = (id: string, channel: string): boolean =>
    delivered.some((one) => one.id === id && one.channel === channel);
  await new MonitorRecords(documents).changeState(endpoint, (known) => {
    const outbox = known?.alerts.outbox.filter(({ notice, channel }) => !isTold(notice.id, channel));
    if (!known || !outbox || outbox.length === known.alerts.outbox.length) return undefined;
    return { ...known, alerts: { ...known.alerts, outbox } };
  });
}
