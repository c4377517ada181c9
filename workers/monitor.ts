import { writeFile } from 'node:fs/promises';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { type MonitorAnswer, type MonitorQuestion, monitorQuestion } from '../contracts/monitor-questions.ts';
import { MonitorRecords } from '../lib/monitoring/monitor-records.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { openStore } from '../lib/store/open-store.ts';
import { answering } from './answer.ts';

/** Silences that are kept: those that are over are history. */
const MOST_SILENCES = 50;

/** Answers what is asked about the watching of endpoints. */
export const runMonitor = answering(async (question, { config, tempDir }) => {
  const store = (await openStore(config)).within(tempDir);
  return answerOf(store, monitorQuestion.parse(question));
});

async function answerOf(store: ArtifactStore, question: MonitorQuestion): Promise<MonitorAnswer> {
  const records = new MonitorRecords(store.documents);
  if (question.ask === 'list') {
    const endpoints: MonitorAnswer['endpoints'] = [];
    for await (const settings of records.watched())
      endpoints.push({ settings, state: (await records.state(settings.endpoint)) ?? null });
    return { endpoints: endpoints.sort((a, b) => (a.settings.endpoint < b.settings.endpoint ? -1 : 1)) };
  }
  const { endpoint } = question;
  const settings = (await records.settings(endpoint)) ?? (await unwatched(records, endpoint));
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
    await writeFile(question.report, await store.bytes(latest.page), { flag: 'wx' }).catch(
      (error: unknown) => {
        throw new PerennialError(
          'InputInvalid',
          `--report: ${question.report} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : 'error'}); name a new file in a folder that is there`,
        );
      },
    );
  }
  return { endpoints: [{ settings, state: state && { ...state, trend: state.trend.slice(-windows) } }] };
}

async function unwatched(records: MonitorRecords, endpoint: string): Promise<never> {
  const names: string[] = [];
  for await (const settings of records.watched()) names.push(settings.endpoint);
  const meant = nearest(endpoint, names);
  throw new PerennialError(
    'InputInvalid',
    `endpoint ${endpoint} is not watched${meant ? `; did you mean ${meant}?` : names.length > 0 ? `; those that are: ${names.slice(0, 20).join(', ')}` : ''}. A spec with monitoring: {} has its endpoint watched from its next deployment on`,
  );
}
