import { PerennialError } from '../contracts/errors.ts';
import { type MonitorAnswer, type MonitorQuestion, monitorQuestion } from '../contracts/monitor-questions.ts';
import type { MonitorSettings } from '../contracts/monitoring.ts';
import { MonitorRecords } from '../lib/monitoring/monitor-records.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { openStore } from '../lib/store/open-store.ts';
import { answering } from './answer.ts';
import { writeReport } from './report-file.ts';
import { watchedSettings } from './watched-settings.ts';

/** Silences that are kept: those that are over are history. */
const MOST_SILENCES = 50;

/** Answers what is asked about the watching of endpoints. */
export const runMonitor = answering(async (question, { config, tempDir }) => {
  const store = (await openStore(config)).within(tempDir);
  return answerOf(store, monitorQuestion.parse(question));
});

/** What is on record, or is put on record, for a question. */
export async function answerOf(store: ArtifactStore, question: MonitorQuestion): Promise<MonitorAnswer> {
  const records = new MonitorRecords(store.documents);
  if (question.ask === 'list') {
    const endpoints: MonitorAnswer['endpoints'] = [];
    for await (const settings of records.watched()) {
      const state = await records.state(settings.endpoint);
      endpoints.push({ settings, state: state ? { ...state, trend: [] } : null });
    }
    return { endpoints: endpoints.sort((a, b) => (a.settings.endpoint < b.settings.endpoint ? -1 : 1)) };
  }
  const { endpoint } = question;
  const known = await watchedSettings(records, endpoint);
  const settings = question.ask === 'pause' ? await pausedBy(records, question) : known;
  if (question.ask === 'silence')
    await records.changeState(endpoint, (known) => {
      if (!known)
        throw new PerennialError(
          'InputInvalid',
          `no window of ${endpoint} has been looked at yet, so that there is nothing to be silent about`,
        );
      const silences = [...known.alerts.silences, question.silence].slice(-MOST_SILENCES);
      return { ...known, alerts: { ...known.alerts, silences } };
    });
  const state = (await records.state(endpoint)) ?? null;
  const windows = question.ask === 'show' ? question.windows : 1;
  if (question.ask === 'show' && question.report !== null) {
    const latest = state?.latest;
    if (!latest) throw new PerennialError('InputInvalid', `there is no report of ${endpoint} yet`);
    await writeReport(question.report, await store.bytes(latest.page));
  }
  return { endpoints: [{ settings, state: state && { ...state, trend: state.trend.slice(-windows) } }] };
}

/** @throws PerennialError `InputInvalid` where there is nothing to go on with */
const pausedBy = (
  records: MonitorRecords,
  { endpoint, paused, note }: Extract<MonitorQuestion, { ask: 'pause' }>,
): Promise<MonitorSettings> =>
  records.changeExistingSettings(endpoint, (known) => {
    if (known.endedAt !== undefined)
      throw new PerennialError(
        'InputInvalid',
        `${endpoint} is not watched: the spec of its version in production has no section monitoring; add one and deploy`,
      );
    return { ...known, paused, note };
  });
