import type { AlertState } from '../../contracts/alerts.ts';
import type { BacktestActivities, WatchedSpec } from '../../contracts/backtest-activities.ts';
import {
  type MonitorSettings,
  type MonitorState,
  monitorSettings,
  type ObservedWindow,
  type Verdict,
  type WindowSummary,
} from '../../contracts/monitoring.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { trendOf } from '../../domain/monitoring/trend.ts';
import * as samples from './samples.ts';

export const NO_ALERTS: AlertState = { open: [], silences: [], outbox: [] };

/** How an endpoint of a test is watched. */
export const watched = (monitoring: object = {}): MonitorSettings =>
  monitorSettings.parse({
    endpoint: 'bank',
    pipeline: 'bank',
    specRef: samples.artifact('spec', 'application/json'),
    monitoring,
    since: '2026-11-01T00:00:00.000Z',
  });

const REPORT = samples.artifact('report', 'application/json');

/** A window in which all is well, or what the verdicts say. */
export const seenWindow = (
  window: ObservedWindow,
  verdicts: Verdict[] = [],
  changes: Partial<WindowSummary> = {},
): WindowSummary => ({
  window,
  labelled: window,
  version: '1',
  rows: 1_000,
  labels: 500,
  state: verdicts.some(({ state }) => state === 'breached') ? 'breached' : 'ok',
  verdicts,
  measures: { rows: 1_000 },
  report: REPORT,
  page: REPORT,
  plot: null,
  ...changes,
});

/** Where the watching of an endpoint stands after one window. */
export function watchedState(endpoint: string): MonitorState {
  const window = { index: 0, from: '2026-11-01T00:00:00.000Z', before: '2026-11-02T00:00:00.000Z' };
  const measures = {
    rows: 1_000,
    labels: 500,
    'drift.share': 0.1,
    'predictions.psi': 0.05,
    'labels.psi': 0.02,
    'quality.roc_auc': 0.8,
    'estimated.roc_auc': 0.79,
  };
  const latest = seenWindow(window, [], { measures });
  return {
    endpoint,
    next: window.before,
    index: 1,
    trend: [trendOf(latest)],
    latest,
    served: null,
    judgedThrough: window.before,
    alerts: NO_ALERTS,
    detector: null,
    counters: {},
    tracking: null,
    unlogged: 1,
    undelivered: [],
  };
}

/** An endpoint of which no window is due. */
export function quietMonitoring(): MonitoringActivities {
  return {
    watchEndpoint: async () => ({ specRef: samples.artifact('spec', 'application/json') }),
    planMonitoring: async () => ({
      settings: null,
      due: [],
      more: false,
      alerts: NO_ALERTS,
      champion: null,
      served: null,
      channels: ['log'],
      replayed: true,
      url: null,
    }),
    observeWindow: async ({ due }) => seenWindow(due.window),
    recordWindow: async ({ summary: { window } }) => ({
      recorded: true,
      next: window.before,
      index: window.index + 1,
    }),
    logWindows: async () => undefined,
    deliverAlert: async () => undefined,
    recordDelivery: async () => undefined,
    settleAlerts: async () => undefined,
    askRetraining: async () => ({ decision: null }),
  };
}

/** A spec whose endpoint is watched. */
export function watchedSpec(changes: object = {}): WatchedSpec {
  const spec = pipelineSpec.parse({
    ...samples.smallSpec(),
    monitoring: { window: '1d', quality: { metric: 'brier_score', max: 0.2 } },
    ...changes,
  });
  const { monitoring } = spec;
  if (!monitoring) throw new Error('the spec is not watched');
  return { ...spec, monitoring };
}

/** A back-test without windows. */
export function quietBacktest(): BacktestActivities {
  const page = samples.artifact('page', 'text/html');
  return {
    planBacktest: async () => ({
      spec: watchedSpec(),
      settings: page,
      windows: 0,
      tracking: samples.tracking,
    }),
    openBacktestModel: async ({ name }) => ({ name, model: samples.artifact(name) }),
    loadBacktestModel: async ({ name }) => ({
      model: {
        version: name,
        onnx: page,
        signature: samples.evaluated(samples.trained('linear', 'linear')).signature,
        task: 'binary',
        classNames: ['no', 'yes'],
        positiveClass: 'yes',
      },
    }),
    observeBacktest: async () => ({ verdicts: page }),
    advanceBacktest: async () => ({ place: page, done: 0, runs: 0, training: null, questions: [] }),
    judgeBacktest: async () => ({ outcome: page }),
    closeBacktest: async () => ({ policies: [], advice: 'none', report: page, page }),
  };
}
