import { PerennialError } from '../../contracts/errors.ts';
import type { MonitorSettings, MonitorState } from '../../contracts/monitoring.ts';
import { monitorSettings, monitorState } from '../../contracts/monitoring.ts';
import { fileName } from '../predictions/log-files.ts';
import { type Documents, documentsBelow, updateDocument } from '../store/documents.ts';

/** Documents of the watching of endpoints lie below. */
export const MONITORING = 'monitoring/';
const SETTINGS = `${MONITORING}settings`;
const STATE = `${MONITORING}state`;

/** Windows that are kept as the trend. */
export const TREND_WINDOWS = 400;

/** What is watched, and where the watching of each endpoint stands: documents in the artifact store. */
export class MonitorRecords {
  constructor(private readonly documents: Documents) {}

  async settings(endpoint: string): Promise<MonitorSettings | undefined> {
    const found = await this.documents.read(`${SETTINGS}/${fileName(endpoint)}`);
    return found && monitorSettings.parse(found.value);
  }

  /** @param change gets what is on record */
  async changeSettings(
    endpoint: string,
    change: (settings: MonitorSettings | undefined) => MonitorSettings,
  ): Promise<MonitorSettings> {
    const value = await updateDocument(this.documents, `${SETTINGS}/${fileName(endpoint)}`, (found) =>
      change(found === undefined ? undefined : monitorSettings.parse(found)),
    );
    return monitorSettings.parse(value);
  }

  /** @throws PerennialError `InputInvalid` where the endpoint was never watched */
  async changeExistingSettings(
    endpoint: string,
    change: (settings: MonitorSettings) => MonitorSettings,
  ): Promise<MonitorSettings> {
    return this.changeSettings(endpoint, (known) => {
      if (known) return change(known);
      throw new PerennialError('InputInvalid', `endpoint ${endpoint} is not watched`);
    });
  }

  async state(endpoint: string): Promise<MonitorState | undefined> {
    const found = await this.documents.read(`${STATE}/${fileName(endpoint)}`);
    return found && monitorState.parse(found.value);
  }

  /** @param change gets what is on record; `undefined` leaves it as it is */
  async changeState(
    endpoint: string,
    change: (state: MonitorState | undefined) => MonitorState | undefined,
  ): Promise<MonitorState | undefined> {
    const value = await updateDocument(this.documents, `${STATE}/${fileName(endpoint)}`, (found) =>
      change(found === undefined ? undefined : monitorState.parse(found)),
    );
    return value === undefined ? undefined : monitorState.parse(value);
  }

  /** All endpoints that are watched. */
  async *watched(): AsyncGenerator<MonitorSettings> {
    for await (const { value } of documentsBelow(this.documents, `${SETTINGS}/`)) {
      const settings = monitorSettings.safeParse(value);
      if (settings.success) yield settings.data;
    }
  }
}
