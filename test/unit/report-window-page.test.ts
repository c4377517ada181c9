import { describe, expect, it } from 'vitest';
import {
  type DriftedColumn,
  type Verdict,
  type WindowReport,
  windowReport,
} from '../../contracts/monitoring.ts';
import { alertPlot, type TrendEntry, worstPlot } from '../../lib/charts/alert-plot.ts';
import { timeChartSvg } from '../../lib/charts/lines.ts';
import { windowPage } from '../../lib/report/window-page/page.ts';

const EVIL = `<script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;
const DAY = 86_400_000;

const windowAt = (index: number) => ({
  index,
  from: new Date(Date.UTC(2026, 0, 1) + index * DAY).toISOString(),
  before: new Date(Date.UTC(2026, 0, 2) + index * DAY).toISOString(),
});

const column = (name: string, psi: number | null, more: Partial<DriftedColumn> = {}): DriftedColumn => ({
  name,
  kind: 'numeric',
  values: { reference: 100, current: 50 },
  missing: { reference: 0, current: 0.5 },
  psi,
  jensenShannon: 0.1,
  ks: { statistic: 0.2, pValue: 1e-9 },
  chiSquare: null,
  newCategories: null,
  wasserstein: 0.3,
  adjustedPValue: 2e-9,
  bins: [
    { label: '≤ 1', reference: 60, current: 10 },
    { label: 'above', reference: 40, current: 40 },
  ],
  drifted: (psi ?? 0) > 0.2,
  ...more,
});

const verdict = (
  check: Verdict['check'],
  of: string,
  state: Verdict['state'],
  more: Partial<Verdict> = {},
): Verdict => ({
  check,
  of,
  slice: null,
  state,
  observed: 0.5,
  limit: 0.25,
  interval: null,
  rows: 50,
  words: `${check} in words`,
  ...more,
});

const report = (more: Partial<WindowReport> = {}): WindowReport =>
  windowReport.parse({
    schemaVersion: 1,
    endpoint: EVIL,
    window: windowAt(9),
    labelled: windowAt(8),
    versions: { 7: 50 },
    reference: { words: `rows of ${EVIL}`, rows: 100, labels: 80, version: '7' },
    rows: 50,
    columns: [column('calm', 0.01), column(EVIL, 1.5)],
    multivariate: { error: 2, reference: 1, deviation: 0.1, components: 3, rows: 50 },
    classifier: { auc: 0.91, rows: 100, top: [EVIL] },
    predictions: [column('probability', 0.6)],
    labels: column('truth', 0.1),
    quality: {
      rows: 60,
      labels: 40,
      metrics: { roc_auc: 0.61, brier_score: 0.3 },
      intervals: { roc_auc: { low: 0.55, high: 0.66 } },
    },
    referenceQuality: { roc_auc: 0.8, brier_score: 0.15 },
    estimated: { rows: 50, labels: 80, metrics: { roc_auc: 0.79 }, intervals: {} },
    skew: { rows: 500, differing: 3, largest: 0.2 },
    concept: {
      detector: 'adwin',
      labels: 40,
      changes: [{ at: windowAt(8).from, before: 0.1, after: 0.4 }],
    },
    operations: {
      requests: 45,
      rows: 50,
      rowsPerSecond: 0.1,
      latencyMs: { p50: 1, p95: 2, p99: 9 },
      fallbacks: 1,
      invalidOutputs: 0,
      failed: null,
      refused: 2,
      uptime: 0.999,
      cost: null,
    },
    slices: [
      {
        name: EVIL,
        rows: 20,
        quality: { rows: 20, labels: 12, metrics: { roc_auc: 0.4 }, intervals: {} },
        predictions: [column('probability', 0.9)],
      },
    ],
    verdicts: [
      verdict('skew', '', 'ok'),
      verdict('quality', 'roc_auc', 'breached', { limit: 0.7, words: `roc_auc of ${EVIL}` }),
      verdict('label-drift', '', 'insufficient'),
      verdict('data-drift', EVIL, 'unlimited'),
      verdict('quality', 'roc_auc', 'breached', { slice: EVIL }),
    ],
    warnings: [EVIL],
    carriedOver: { detector: null, counters: {} },
    ...more,
  });

const trend = (count: number, measures: (index: number) => Record<string, number>): TrendEntry[] =>
  Array.from({ length: count }, (_, index) => ({
    window: windowAt(index),
    labelled: index === 0 ? null : windowAt(index - 1),
    measures: measures(index),
  }));

const measured = trend(10, (index) => ({
  ...(index > 0 ? { 'quality.roc_auc': 0.8 - index / 50 } : {}),
  'quality.roc_auc.low': 0.7 - index / 50,
  'quality.roc_auc.high': 0.85 - index / 50,
  'estimated.roc_auc': 0.8,
  'drift.share': index / 20,
  'multivariate.deviations': index,
  'predictions.psi': 0.1,
  'operations.latency_p50_ms': 1,
  'concept.changes': index === 4 ? 1 : 0,
}));

describe('the page of a window', () => {
  const page = windowPage(report(), measured);

  it('loads nothing and runs nothing, whatever names and words hold', () => {
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<img');
    expect(page).not.toMatch(/(src|href)="(?!#)/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|@import/);
    expect(page).toContain('&lt;script&gt;');
  });

  it('tells the worst first, folds away what nothing is asked of, and says what things rest on', () => {
    const [breached, insufficient, ok, unlimited] = ['breached', 'insufficient', 'ok', 'unlimited'].map(
      (state) => page.indexOf(`<span class="pill ${state}">`),
    );
    expect(breached).toBeGreaterThan(0);
    expect(insufficient).toBeGreaterThan(breached ?? 0);
    expect(ok).toBeGreaterThan(insufficient ?? 0);
    expect(unlimited).toBeGreaterThan(page.indexOf('1 more, of which nothing is asked'));
    for (const words of [
      '2 beyond the limit',
      'By 40 labels of 60 rows from 2026-01-09 to 2026-01-10',
      'by the confidence of 50 answers of this window, corrected by 80 labels',
      '1 of 2 features have drifted',
      '<b>3 of 500</b>',
      'ROC AUC of <b>0.910</b>',
      'adwin saw 40 labels',
    ])
      expect(page).toContain(words);
  });

  it('draws real and estimated quality, the limit, and where the concept changed', () => {
    const chart = page.slice(
      page.indexOf('roc_auc, last: real'),
      page.indexOf('</svg>', page.indexOf('roc_auc, last: real')),
    );
    expect(chart).toContain('estimated');
    expect(chart).toContain('>limit<');
    expect(chart).toContain('>reference<');
    expect(chart.match(/<title>concept drift<\/title>/g)).toHaveLength(2);
    // A band, and a line that begins where the truth is known.
    expect(chart).toMatch(/<path d="M[^"]*Z" opacity="0.16"/);
  });

  it('holds an estimate of another version to that version’s own reference', () => {
    const words = 'reference of the estimate';
    expect(windowPage(report(), [])).not.toContain(words);
    const page = windowPage(report({ estimateReference: { roc_auc: 0.8765 } }), []);
    expect(page).toContain(words);
    expect(page).toContain('0.8765');
  });

  it('of a first window, without labels, features, servers or limits, says so', () => {
    const bare = windowPage(
      report({
        labelled: null,
        columns: [],
        multivariate: null,
        classifier: null,
        predictions: [],
        labels: null,
        quality: { rows: 0, labels: 0, metrics: {}, intervals: {} },
        referenceQuality: {},
        estimated: null,
        skew: null,
        concept: null,
        operations: null,
        slices: [],
        verdicts: [],
        warnings: [],
      }),
      [],
    );
    for (const words of [
      'No truth is known yet',
      'Nothing was judged',
      'Drift of the features is not watched',
      'Nothing is known of the servers',
      'No slices are watched',
      'Rows were not asked again',
    ])
      expect(bare).toContain(words);
    expect(bare).not.toContain('NaN');
    expect(bare).not.toContain('Infinity');
  });

  it('follows light and dark', () => {
    expect(page).toContain('color-scheme: light dark');
    expect(page).toContain('stroke:var(--second)');
    expect(page).not.toMatch(/stroke="#|fill="#/);
  });
});

describe('the plot of an alert', () => {
  it('stands alone, is small however long the trend, and says what it shows', () => {
    const long = trend(400, (index) => ({
      'quality.brier_score': 0.1 + index / 1_000,
      'quality.brier_score.low': 0.05,
      'quality.brier_score.high': 0.6,
    }));
    const svg = alertPlot(long, 'quality.brier_score', { title: `Brier of ${EVIL}`, limit: 0.2 });
    expect(Buffer.byteLength(svg)).toBeLessThan(60_000);
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('var(');
    expect(svg).toContain('last: quality.brier_score 0.499');
    expect(svg).toContain('>limit<');
  });

  it('of a measure that nobody has says so', () => {
    expect(alertPlot(measured, 'quality.f1')).toContain('quality.f1: not known yet');
    expect(alertPlot([], 'rows')).not.toContain('NaN');
  });

  it('is of the worst that has a trend: quality of all rows before drift and slices', () => {
    const verdicts = [
      verdict('data-drift', '', 'breached'),
      verdict('quality', 'roc_auc', 'breached', { slice: 'young' }),
      verdict('quality', 'roc_auc', 'breached', { limit: 0.7 }),
      verdict('quality', 'f1', 'breached'),
    ];
    expect(worstPlot(measured, { verdicts })).toContain('>quality roc_auc</text>');
    expect(worstPlot(measured, { verdicts: verdicts.slice(0, 2) })).toContain('>data drift</text>');
    expect(worstPlot(measured, { verdicts: [verdict('quality', 'roc_auc', 'ok')] })).toBeNull();
    expect(worstPlot([], { verdicts })).toBeNull();
  });
});

describe('a chart over time', () => {
  const points = (values: readonly (number | null)[]) =>
    values.map((value, index) => ({ at: Date.UTC(2026, 0, 1) + index * DAY, value }));
  const draw = (values: readonly (number | null)[]): string =>
    timeChartSvg({ title: 'x', lines: [{ name: 'a', tone: 'first', points: points(values) }] }).text;
  const lines = (svg: string): number => svg.match(/fill="none"/g)?.length ?? 0;

  it('leaves gaps where nothing is known, and a dot where one is alone', () => {
    expect(lines(draw([1, 2, null, 3, 4]))).toBe(2);
    expect(lines(draw([1, null, 3, null, 4]))).toBe(0);
    expect(draw([1, null, 3, null, 4]).match(/<circle/g)).toHaveLength(3);
    expect(draw([5])).not.toContain('NaN');
  });

  it('has round numbers on its axis, for values that are all alike too', () => {
    expect(draw([0.1234, 0.4321])).toContain('>0.1</text>');
    for (const value of [0, 1, -3, 1e-9, 1e9]) expect(draw([value, value])).not.toMatch(/NaN|Infinity/);
  });

  it('does not write moments over each other', () => {
    const svg = draw(Array.from({ length: 30 }, (_, i) => i));
    const places = [...svg.matchAll(/<text x="([\d.]+)" y="211"/g)].map(([, x]) => Number(x));
    expect(places.length).toBeGreaterThan(2);
    for (const [i, x] of places.entries())
      if (i > 0) expect(x - (places[i - 1] ?? 0)).toBeGreaterThanOrEqual(100);
  });
});
