import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import type { MonitorSettings } from '../contracts/monitoring.ts';
import type { MonitorRecords } from '../lib/monitoring/monitor-records.ts';

/** @throws PerennialError `InputInvalid` where the endpoint is not watched */
export async function watchedSettings(records: MonitorRecords, endpoint: string): Promise<MonitorSettings> {
  const settings = await records.settings(endpoint);
  if (settings) return settings;
  const names: string[] = [];
  for await (const known of records.watched()) names.push(known.endpoint);
  const meant = nearest(endpoint, names);
  throw new PerennialError(
    'InputInvalid',
    `endpoint ${endpoint} is not watched${meant ? `; did you mean ${meant}?` : names.length > 0 ? `; those that are: ${names.slice(0, 20).join(', ')}` : ''}. A spec with monitoring: {} has its endpoint watched from its next deployment on`,
  );
}
