import { log } from '@temporalio/activity';
import type { MonitoringActivities } from '../contracts/monitoring-activities.ts';
import type { Severity } from '../contracts/spec/monitoring.ts';
import { deliver } from '../lib/notices/deliver.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

const LEVELS: Readonly<Record<Severity, 'INFO' | 'WARN' | 'ERROR'>> = {
  info: 'INFO',
  warning: 'WARN',
  critical: 'ERROR',
};

/** Activities that tell people of alerts. */
export function alertActivities({
  config,
}: ActivityDependencies): Pick<MonitoringActivities, 'deliverAlert'> {
  return {
    deliverAlert: framed(config, async (delivery) => {
      const { id, endpoint } = delivery.notice;
      const remark = await deliver(delivery, {
        ...config,
        log: ({ severity, title, events, next, url }) =>
          log.log(LEVELS[severity], title, {
            id,
            endpoint,
            events: events.map(({ words }) => words),
            next,
            url,
          }),
      });
      if (remark !== null) log.warn(remark, { id, endpoint });
    }),
  };
}
