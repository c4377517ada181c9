import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { policiesOf } from '../../client/backtest.ts';
import { momentOf } from '../../client/moment.ts';
import { monitorList, monitorText, sparkline } from '../../client/monitor-text.ts';
import { staleFor } from '../../client/staleness.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { type MonitorState, monitorState, type WindowSummary } from '../../contracts/monitoring.ts';
import { CHECKS } from '../../contracts/spec/monitoring.ts';
import { retrainingSpec } from '../../contracts/spec/retraining.ts';
import { assessWindow, travellingVerdicts, windowState } from '../../domain/monitoring/assess.ts';
import { measuresOf } from '../../domain/monitoring/measures.ts';
import { trendOf } from '../../domain/monitoring/trend.ts';
import { NO_ALERTS, seenWindow, watched } from '../support/monitoring-samples.ts';
import { dayWindow, type Observation, observation, watching } from '../support/window-reports.ts';

describe('a trend as bars', () => {
  it('goes from the least to the most', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([-3, 4])).toBe('▁█');
  });

  it('a window without a value is a gap, and the bar is as wide as the windows are many', () => {
    expect(sparkline([1, undefined, 2])).toBe('▁ █');
    expect(sparkline([undefined, undefined])).toBe('  ');
    expect(sparkline([])).toBe('');
  });

  it('values that are all the same are neither low nor high', () => {
    expect(sparkline([5, 5, 5])).toBe('▄▄▄');
  });
});

const stateOf = (trend: WindowSummary[], changes: Partial<MonitorState> = {}): MonitorState =>
  monitorState.parse({
    endpoint: 'bank',
    next: dayWindow(trend.length).from,
    index: trend.length,
    trend: trend.map(trendOf),
    latest: trend.at(-1) ?? null,
    judgedThrough: null,
    alerts: NO_ALERTS,
    detector: null,
    counters: {},
    tracking: null,
    unlogged: 0,
    ...changes,
  });

/** A window as its report would say it. */
function summaryOf(index: number, changes: Partial<Observation> = {}): WindowSummary {
  const report = observation({ window: dayWindow(index), labelled: dayWindow(index), ...changes });
  const verdicts = assessWindow(
    watching({ quality: { metric: 'brier_score', max: 0.2 }, drift: { classifier: {} } }),
    report,
  );
  return seenWindow(dayWindow(index), travellingVerdicts(verdicts), {
    state: windowState(verdicts),
    measures: measuresOf(report),
  });
}

/** A time at which nothing is late. */
const SOON = Date.parse(dayWindow(1).from);
/** The lines without colours. */
const lines = (text: string): string[] => stripVTControlCharacters(text).split('\n');

describe('an endpoint on a terminal', () => {
  const features = [{ view: 'spending', rows: 500, stale: 20, differing: 0, largest: 0 }];
  const good = Array.from({ length: 50 }, (_, i) =>
    summaryOf(i, { classifier: { auc: 0.5 + i / 1_000, rows: 1_000, top: [] }, features }),
  );
  const bad = summaryOf(50, {
    quality: { rows: 1_000, labels: 500, metrics: { brier_score: 0.31 }, intervals: {} },
    classifier: { auc: 0.6, rows: 1_000, top: [] },
    features,
  });

  it('says that it is stale where nothing was looked at for more than two windows', () => {
    const view = (changes: object = {}, monitoring: object = { window: '1d' }) => ({
      settings: { ...watched(monitoring), since: dayWindow(0).from, ...changes },
      state: stateOf([summaryOf(0)]),
    });
    const ended = Date.parse(dayWindow(0).before);
    const day = 86_400_000;
    expect(staleFor(view(), ended + 2 * day)).toBeNull();
    expect(staleFor(view(), ended + 3 * day)).toBe(3 * day);
    expect(staleFor({ ...view(), state: null }, ended + 2 * day)).toBe(3 * day);
    expect(staleFor(view({}, { window: '1d', lateness: '2d' }), ended + 3 * day)).toBeNull();
    expect(staleFor(view({}, { window: 'week' }), ended + 13 * day)).toBeNull();
    expect(staleFor(view({}, { window: 'week' }), ended + 15 * day)).toBe(15 * day);
    for (const other of [
      view({}, { window: { rows: 10 } }),
      view({ paused: true }),
      view({ clock: 'event' }),
    ])
      expect(staleFor(other, ended + 99 * day)).toBeNull();
    expect(monitorText(view(), ended + 3 * day)).toContain('stale: the latest window ended 3 days ago');
    expect(monitorText(view(), ended + day)).not.toContain('stale');
    expect(monitorText({ ...view(), state: null }, ended + 9 * day)).toContain('the first window began');
    expect(monitorList([view()], ended + 3 * day)).toContain('stale, 3 days');
  });

  it('says that it is paused and by whom, or not watched any more', () => {
    const state = stateOf([summaryOf(0)]);
    const paused = { ...watched(), paused: true, note: 'paused by ada: the shop is closed' };
    expect(monitorText({ settings: paused, state })).toContain('paused by ada: the shop is closed');
    expect(monitorText({ settings: paused, state: null })).toContain('paused by ada');
    const ended = { ...watched(), paused: true, endedAt: '2026-11-20T10:00:00.000Z' };
    expect(monitorText({ settings: ended, state })).toContain('not watched any more since 2026-11-20 10:00');
    expect(monitorList([{ settings: ended, state }])).toContain('not watched');
  });

  it('says how it is, since when, and each check with its trend', () => {
    const open = {
      key: 'quality/brier_score/',
      check: 'quality' as const,
      severity: 'critical' as const,
      since: dayWindow(50).from,
      raisedAt: dayWindow(50).before,
      beyond: 1,
      within: 0,
      toldAt: dayWindow(50).before,
      words: 'brier_score 0.31, at most 0.2',
      observed: 0.31,
      limit: 0.2,
    };
    const state = stateOf([...good, bad], {
      alerts: { ...NO_ALERTS, open: [open, { ...open, key: 'quality/roc_auc/', raisedAt: null }] },
      tracking: { runId: 'r', url: 'http://mlflow.test/r' },
    });
    const shown = lines(monitorText({ settings: watched(), state }));
    expect(shown[0]).toBe('bank version 1: beyond its limits');
    expect(shown[1]).toBe(
      '  window 50, 2009-07-21 00:00 .. 2009-07-22 00:00 UTC: 1,000 rows; truth of 2009-07-21 00:00 .. 2009-07-22 00:00: 500 labels',
    );
    const quality = shown.find((line) => line.startsWith('  quality'));
    expect(quality).toContain('breached');
    expect(quality).toMatch(/▁{39}█/);
    // Alerts that are not raised yet are nobody's business.
    expect(shown.filter((line) => line.includes('since 2009-07-21'))).toEqual([
      '  critical  since 2009-07-21 00:00  quality brier_score: brier_score 0.31, at most 0.2',
    ]);
    expect(shown.at(-1)).toBe('Reports  http://mlflow.test/r');
  });

  it('every check that has a measure shows its trend, 40 windows wide and under its header', () => {
    const shown = lines(monitorText({ settings: watched(), state: stateOf([...good, bad]) }));
    const header = shown.findIndex((line) => line.startsWith('  CHECK'));
    const at = shown[header]?.indexOf('LAST 40') ?? -1;
    expect(at).toBeGreaterThan(0);
    const rows = shown
      .slice(header + 1)
      .filter((line) => CHECKS.some((name) => line.trim().startsWith(name)));
    expect(rows.map((line) => line.trim().split(/ +/)[0]).sort()).toEqual([...CHECKS].sort());
    for (const row of rows) {
      const trend = row.slice(at, at + 40);
      expect(trend, row).toMatch(/^[▁▂▃▄▅▆▇█]{40}$/);
      expect(row.slice(at + 40, at + 42)).toBe('  ');
    }
  });

  it('before the first window it says when that begins', () => {
    expect(lines(monitorText({ settings: watched(), state: null }, SOON))).toEqual([
      'bank: no window has ended yet; the first one begins 2026-11-01 00:00 UTC (window: 1d)',
    ]);
    const rows = monitorText({ settings: watched({ window: { rows: 5_000 } }), state: stateOf([]) });
    expect(rows).toContain('(window: 5000 rows)');
  });

  it('a window without truth says so', () => {
    const text = monitorText({
      settings: watched(),
      state: stateOf([
        seenWindow(dayWindow(0), [], { labelled: null, version: null, state: 'insufficient' }),
      ]),
    });
    expect(lines(text)[0]).toBe('bank: insufficient');
    expect(text).toContain('no truth is due yet');
  });
});

describe('all endpoints', () => {
  it('a line each, in columns', () => {
    const views = [
      { settings: watched(), state: stateOf([seenWindow(dayWindow(0))]) },
      { settings: { ...watched(), endpoint: 'a-long-name', paused: true }, state: null },
    ];
    const [header = '', first = '', second = ''] = lines(monitorList(views, SOON));
    expect(header).toMatch(/^ENDPOINT +STATE +LATEST WINDOW +ROWS +LABELS +ALERTS$/);
    for (const line of [first, second]) expect(line.length).toBeGreaterThan(header.indexOf('STATE'));
    expect(first.slice(header.indexOf('STATE'))).toMatch(/^ok /);
    expect(second.slice(header.indexOf('STATE'))).toMatch(/^paused/);
    expect(first.slice(header.indexOf('ROWS'))).toMatch(/^1,000/);
  });

  it('none: says how to have one watched', () => {
    expect(monitorList([])).toContain('monitoring: {}');
  });
});

describe('policies by their names', () => {
  const own = retrainingSpec.parse({ cooldown: '3d', on: { schedule: '0 0 * * *', degradation: true } });

  it('change the reasons, and nothing else of the spec', () => {
    const [never, monthly, drift, spec] = policiesOf(['never', 'monthly', 'on-drift', 'spec'], own);
    expect(never).toEqual({ name: 'never', retraining: null });
    expect(monthly?.retraining).toMatchObject({
      cooldown: '3d',
      on: { schedule: '0 0 1 * *', degradation: false, conceptDrift: false },
    });
    expect(drift?.retraining?.on).toMatchObject({
      dataDrift: true,
      predictionDrift: true,
      degradation: false,
    });
    expect(drift?.retraining?.on.schedule).toBeUndefined();
    expect(spec?.retraining).toEqual(own);
  });

  it('without a spec of its own they go by the defaults', () => {
    expect(policiesOf(['on-degradation'], undefined)[0]?.retraining).toMatchObject({
      cooldown: '1d',
      on: { degradation: true, conceptDrift: false },
    });
  });

  it.each([
    ['montly', 'did you mean monthly?'],
    ['toString', 'There are never, weekly'],
    ['', 'There are never, weekly'],
  ])('%j is refused', (name, words) => {
    expect(() => policiesOf([name], own)).toThrow(PerennialError);
    expect(() => policiesOf([name], own)).toThrow(words);
  });
});

describe('a moment as people write it', () => {
  it.each([
    ['2026-11-22', '2026-11-22T00:00:00.000Z'],
    ['2026-11-22T10:00', '2026-11-22T10:00:00.000Z'],
    ['2026-11-22 10:00', '2026-11-22T10:00:00.000Z'],
    ['2026-11-22 10:00:30+02:00', '2026-11-22T08:00:30.000Z'],
    ['2026-11-22T10:00:00.5Z', '2026-11-22T10:00:00.500Z'],
  ])('%s is %s', (text, at) => {
    expect(momentOf(text, '--from')).toBe(at);
  });

  it.each(['', 'May', '2026-13-01', '2026-11-22T', '2026-11-22 noon', '22.11.2026', '1700000000'])(
    '%j is none',
    (text) => {
      expect(() => momentOf(text, '--from')).toThrow('--from: expected a time such as');
    },
  );
});
