import { log } from '@temporalio/activity';
import type { MonitoringActivities } from '../contracts/monitoring-activities.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { Severity } from '../contracts/spec/monitoring.ts';
import { deliver } from '../lib/notices/deliver.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';

const LEVELS: Readonly<Record<Severity, 'INFO' | 'WARN' | 'ERROR'>> = {
  info: 'INFO',
  warning: 'WARN',
  critical: 'ERROR',
};

/** Activities that tell people of alerts. */
export function alertActivities(
  deps: Pick<ActivityDependencies, 'config' | 'store'>,
): Pick<MonitoringActivities, 'deliverAlert'> {
  return {
    deliverAlert: framed(deps.config, async ({ channel, notice }, frame) => {
      const { id, endpoint } = notice;
      const plot = notice.plot && (await pictureOf(deps, notice.plot, frame));
      const remark = await deliver(
        { channel, notice: { ...notice, plot } },
        {
          ...deps.config,
          log: ({ severity, title, events, next, url }) =>
            log.log(LEVELS[severity], title, {
              id,
              endpoint,
              events: events.map(({ words }) => words),
              next,
              url,
            }),
        },
      );
      if (remark !== null) log.warn(remark, { id, endpoint });
    }),
  };
}

/** A picture that is gone keeps no alert from being told. */
async function pictureOf(
  deps: Pick<ActivityDependencies, 'store'>,
  plot: ArtifactRef,
  frame: ActivityFrame,
): Promise<string | null> {
  try {
    const store = (await deps.store()).within(await frame.scratch());
    return Buffer.from(await store.bytes(plot)).toString('utf8');
  } catch (error) {
    frame.warn('an alert is told without its picture', error);
    return null;
  }
}
