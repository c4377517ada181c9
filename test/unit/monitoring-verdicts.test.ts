import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Verdict, verdict } from '../../contracts/monitoring.ts';
import { alertKey } from '../../domain/monitoring/alerts.ts';
import { assessWindow, travellingVerdicts, windowState } from '../../domain/monitoring/assess.ts';
import {
  comparedColumn,
  dayWindow,
  measuredOn,
  type Observation,
  observation,
  watching,
} from '../support/window-reports.ts';
import { said, type Watching } from '../support/window-verdicts.ts';

describe('a calm window', () => {
  it('is ok, and each check with a limit says so with its numbers', () => {
    const verdicts = assessWindow(
      watching({ quality: { metric: 'roc_auc', min: 0.7 }, operations: { maxErrors: 0.01 } }),
      observation(),
    );
    expect(windowState(verdicts)).toBe('ok');
    expect(verdicts.filter(({ state }) => state === 'ok').map(({ check }) => check)).toEqual([
      'data-drift',
      'multivariate-drift',
      'prediction-drift',
      'label-drift',
      'skew',
      'concept-drift',
      'quality',
      'operations',
    ]);
    for (const { words } of verdicts) expect(words).toMatch(/\d/);
  });

  it('says nothing of what is turned off', () => {
    const nothing = {
      drift: false,
      predictions: false,
      labels: false,
      estimate: false,
      concept: false,
      skew: false,
    } as const;
    const verdicts = assessWindow(watching(nothing), observation({ operations: null }));
    expect(new Set(verdicts.map(({ check, state }) => `${check} ${state}`))).toEqual(
      new Set(['quality unlimited']),
    );
    // Nothing was judged: that is not healthy.
    expect(windowState(verdicts)).toBe('insufficient');
  });
});

describe('a window without enough data', () => {
  const asked: Watching = {
    drift: { classifier: {} },
    quality: { metric: 'roc_auc', min: 0.7 },
    estimate: { worseBy: 0.05 },
    operations: { maxErrors: 0.1, maxLatencyP99: '1s', maxInvalid: 0.1 },
  };
  const empty: Partial<Observation> = {
    rows: 0,
    labelled: null,
    columns: [],
    multivariate: null,
    predictions: [],
    labels: null,
    quality: measuredOn(0),
    estimated: null,
    skew: null,
    concept: null,
    operations: null,
  };

  it('is insufficient in every check, and never ok', () => {
    const verdicts = assessWindow(watching(asked), observation(empty));
    expect(new Set(verdicts.map(({ state }) => state))).toEqual(new Set(['insufficient']));
    expect(new Set(verdicts.map(({ check }) => check)).size).toBe(10);
    expect(windowState(verdicts)).toBe('insufficient');
  });

  it('says how many there are and how many are needed, also where figures were computed', () => {
    const few = { rows: 120, columns: [comparedColumn('a', { psi: 9, drifted: true })] };
    expect(said('data-drift', {}, few)).toMatchObject({
      '': { state: 'insufficient', rows: 120, words: '120 rows, at least 200 are needed' },
    });
    expect(
      said('prediction-drift', {}, { ...few, predictions: [comparedColumn('p', { psi: 9 })] }),
    ).toMatchObject({ p: { state: 'insufficient', observed: null } });
    const bad = { quality: measuredOn(99, { roc_auc: 0.1 }) };
    expect(said('quality', asked, bad)).toMatchObject({
      roc_auc: { state: 'insufficient', words: '99 labels, at least 100 are needed' },
    });
    expect(said('label-drift', {}, { ...bad, labels: comparedColumn('y', { psi: 9 }) })).toMatchObject({
      '': { state: 'insufficient' },
    });
  });

  it('never says ok below the minima, whatever was measured', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 199 }),
        fc.integer({ min: 0, max: 99 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (rows, labels, value) => {
          const column = comparedColumn('a', { psi: value });
          const verdicts = assessWindow(
            watching({ ...asked, operations: {} }),
            observation({
              rows,
              columns: [column],
              predictions: [column],
              labels: column,
              quality: measuredOn(labels, { roc_auc: value }),
              estimated: { rows, labels: 0, metrics: { roc_auc: value }, intervals: {} },
              skew: { rows, differing: 0, largest: 0 },
              concept: { detector: 'adwin', labels, changes: [] },
              operations: null,
            }),
          );
          expect(verdicts.filter(({ state }) => state === 'ok')).toEqual([]);
          expect(windowState(verdicts)).toBe('insufficient');
        },
      ),
    );
  });
});

describe('quality', () => {
  const interval = { low: 0.25, high: 0.33 };
  const measured = { quality: measuredOn(500, { brier_score: 0.288 }, { brier_score: interval }) };

  it('is held against a minimum, a maximum and the reference, in the direction of the metric', () => {
    const worse = said(
      'quality',
      { quality: { metric: 'brier_score', worseBy: 0.05 } },
      { ...measured, referenceQuality: { brier_score: 0.234 } },
    );
    expect(worse.brier_score).toMatchObject({ state: 'breached', observed: 0.288, interval });
    expect(worse.brier_score?.limit).toBeCloseTo(0.284, 12);
    expect(worse.brier_score?.words).toBe(
      'brier_score 0.288 over 500 labels, at most 0.284 (0.05 worse than the reference’s 0.234), interval 0.25 to 0.33: the limit lies within, it may be chance',
    );
    const auc = (limit: { min?: number; worseBy?: number }) =>
      said('quality', { quality: { metric: 'roc_auc', ...limit } }, {}).roc_auc;
    expect(auc({ min: 0.81 })?.state).toBe('breached');
    expect(auc({ worseBy: 0.03 })?.state).toBe('ok');
    expect(auc({ worseBy: 0.01 })?.state).toBe('breached');
    expect(said('quality', { quality: { metric: 'brier_score', max: 0.05 } }, {}).brier_score?.state).toBe(
      'breached',
    );
  });

  it('says where all of the interval is beyond, and where part of it is', () => {
    const at = (max: number) =>
      said('quality', { quality: { metric: 'brier_score', max } }, measured).brier_score?.words;
    expect(at(0.2)).toContain('interval 0.25 to 0.33, all of it beyond');
    expect(at(0.3)).toContain('interval 0.25 to 0.33: part of it beyond');
    expect(at(0.4)).toMatch(/interval 0.25 to 0.33$/);
  });

  it('has one verdict of each metric, however many limits, and names the one that is broken', () => {
    const limits = [
      { metric: 'roc_auc' as const, min: 0.5 },
      { metric: 'roc_auc' as const, min: 0.79, worseBy: 0.001 },
    ];
    const { roc_auc, brier_score } = said('quality', { quality: limits }, {});
    expect(roc_auc).toMatchObject({ state: 'breached' });
    expect(roc_auc?.words).toContain('0.001 worse than');
    expect(brier_score).toMatchObject({ state: 'unlimited', observed: 0.1, limit: null });
  });

  it('is insufficient without the metric, or without a reference to compare with', () => {
    const limited = { quality: { metric: 'roc_auc' as const, worseBy: 0.1 } };
    expect(said('quality', limited, { quality: measuredOn(500) }).roc_auc?.state).toBe('insufficient');
    expect(said('quality', limited, { referenceQuality: {} }).roc_auc).toMatchObject({
      state: 'insufficient',
      observed: 0.8,
    });
  });

  it('of slices asks for their rows, and for more than chance', () => {
    const slice = (
      labels: number,
      value: number,
      high: number,
      referenceQuality?: Observation['referenceQuality'],
    ) => ({
      slices: [
        {
          name: 'region = north',
          rows: labels,
          quality: measuredOn(labels, { roc_auc: value }, { roc_auc: { low: 0.1, high } }),
          ...(referenceQuality ? { referenceQuality } : {}),
          predictions: [comparedColumn('probability')],
        },
      ],
    });
    const settings: Watching = {
      slices: [{ columns: ['region'], minRows: 50 }],
      quality: [{ metric: 'roc_auc', min: 0.7 }],
    };
    const of = (...args: Parameters<typeof slice>) =>
      said('quality', settings, slice(...args))['roc_auc@region = north'];
    expect(of(49, 0.2, 0.3)?.state).toBe('insufficient');
    expect(of(50, 0.2, 0.3)?.state).toBe('breached');
    expect(of(50, 0.6, 0.8)?.state).toBe('ok');
    const worse: Watching = { ...settings, quality: [{ metric: 'roc_auc', worseBy: 0.05 }] };
    const compared = (reference?: Observation['referenceQuality']) =>
      said('quality', worse, slice(50, 0.6, 0.62, reference))['roc_auc@region = north']?.state;
    // A slice that was always harder is held against itself.
    expect(compared({ roc_auc: 0.61 })).toBe('ok');
    expect(compared({ roc_auc: 0.8 })).toBe('breached');
    expect(compared()).toBe('unlimited');
  });
});

describe('estimated quality', () => {
  it('has a limit only where one is asked, of the metrics of quality', () => {
    expect(said('estimated-quality', {}, {}).roc_auc?.state).toBe('unlimited');
    const asked: Watching = { estimate: { worseBy: 0.005 }, quality: { metric: 'roc_auc', min: 0 } };
    expect(said('estimated-quality', asked, {}).roc_auc).toMatchObject({
      state: 'breached',
      words: expect.stringContaining('estimated roc_auc 0.81 over 1,000 rows, at least 0.815'),
    });
    expect(said('estimated-quality', { estimate: { worseBy: 0.05 } }, {}).roc_auc?.state).toBe('ok');
  });

  it('is left out where nothing can be estimated and nothing is asked', () => {
    expect(said('estimated-quality', {}, { estimated: null })).toEqual({});
    expect(said('estimated-quality', { estimate: { worseBy: 1 } }, { estimated: null })).toMatchObject({
      '': { state: 'insufficient' },
    });
  });
});

describe('concept drift', () => {
  const change = (before: number | null, after: number | null) => ({
    concept: { detector: 'adwin', labels: 500, changes: [{ at: '2009-06-04T00:00:00.000Z', before, after }] },
  });

  it('is a change for the worse', () => {
    expect(said('concept-drift', {}, change(0.1, 0.31))['']).toMatchObject({
      state: 'breached',
      observed: 0.31,
      words: 'adwin: the mean error went from 0.1 to 0.31, found at 2009-06-04T00:00:00.000Z',
    });
    expect(said('concept-drift', {}, change(null, null))['']?.state).toBe('breached');
    expect(said('concept-drift', {}, change(0.31, 0.1))['']?.state).toBe('ok');
  });
});

describe('skew and operations', () => {
  it('of answers is the share that differs', () => {
    const at = (differing: number) => said('skew', {}, { skew: { rows: 500, differing, largest: 0.2 } })[''];
    expect(at(5)?.state).toBe('ok');
    expect(at(6)).toMatchObject({ state: 'breached', observed: 0.012, limit: 0.01, rows: 500 });
  });

  it('of looked-up features is the share of the rows that the store could know, view by view', () => {
    const views = (differing: number, stale = 0) => ({
      features: [
        { view: 'spending', rows: 600, stale, differing, largest: 2 },
        { view: 'visits', rows: 500, stale: 0, differing: 0, largest: 0 },
      ],
    });
    const at = (...counts: Parameters<typeof views>) => said('feature-parity', {}, views(...counts));
    expect(at(6)).toMatchObject({ spending: { state: 'ok', rows: 600 }, visits: { state: 'ok' } });
    const breached = at(6, 100).spending;
    expect(breached).toMatchObject({ state: 'breached', observed: 0.012, limit: 0.01, rows: 500 });
    expect(breached?.words).toMatch(/6 of 500 rows .* by up to 2.* 100 more were looked up before/);
    // Of too few rows nothing is said that could be taken for health.
    expect(at(0, 590).spending).toMatchObject({ state: 'insufficient', rows: 10 });
    expect(said('feature-parity', { features: false }, views(600))).toEqual({});
    expect(said('feature-parity', {}, {})).toEqual({});
  });

  it('are held against each limit; a total outage is none of insufficient data', () => {
    const limits: Watching = {
      operations: {
        maxErrors: 0.01,
        maxInvalid: 0.01,
        maxLatencyP99: '10ms',
        minUptime: 0.99,
        minRequests: 100,
      },
    };
    const usual = observation().operations;
    if (!usual) throw new Error('none');
    const states = (operations: Observation['operations'], rows = 1_000) =>
      Object.fromEntries(
        Object.entries(said('operations', limits, { operations, rows })).map(([of, { state }]) => [
          of,
          state,
        ]),
      );
    const fine = { errors: 'ok', invalid: 'ok', latency_p99_ms: 'ok', uptime: 'ok', requests: 'ok' };
    expect(states(usual)).toEqual(fine);
    expect(states({ ...usual, failed: 11 })).toEqual({ ...fine, errors: 'breached' });
    expect(states({ ...usual, refused: 11 })).toEqual({ ...fine, invalid: 'breached' });
    expect(states({ ...usual, latencyMs: { p50: 1, p95: 2, p99: 10.5 } })).toEqual({
      ...fine,
      latency_p99_ms: 'breached',
    });
    const outage = { ...usual, requests: 0, rows: 0, latencyMs: null, failed: 5_000, uptime: 0.4 };
    expect(states(outage, 0)).toEqual({
      ...fine,
      errors: 'breached',
      latency_p99_ms: 'insufficient',
      uptime: 'breached',
    });
    expect(states({ ...usual, requests: 3, rows: 3, failed: 1 }, 3)).toEqual({
      errors: 'insufficient',
      invalid: 'insufficient',
      latency_p99_ms: 'insufficient',
      uptime: 'ok',
      requests: 'breached',
    });
    expect(states({ ...usual, failed: null, refused: null, uptime: null })).toMatchObject({
      errors: 'insufficient',
      uptime: 'insufficient',
    });
    expect(said('operations', limits, {}).latency_p99_ms?.words).toBe(
      '8 ms at the 99th percentile, at most 10 ms',
    );
  });
});

describe('the verdicts that travel', () => {
  it('are 200, the breached first, then those that judge, slices after all rows', () => {
    const columns = Array.from({ length: 300 }, (_, i) =>
      comparedColumn(`x${i}`, { drifted: i < 250, psi: 1 }),
    );
    const slices = ['north', 'south'].map((name) => ({
      name,
      rows: 400,
      quality: measuredOn(400, { roc_auc: name === 'north' ? 0.1 : 0.9 }),
      predictions: [comparedColumn('probability')],
    }));
    const verdicts = assessWindow(
      watching({ quality: { metric: 'roc_auc', min: 0.7 }, slices: [{ columns: ['region'] }] }),
      observation({ columns, slices, window: dayWindow(3) }),
    );
    const travelling = travellingVerdicts(verdicts);
    expect(travelling).toHaveLength(200);
    const words = travelling.map(({ state, slice }) => `${state} ${slice}`);
    expect(words.slice(0, 2).sort()).toEqual(['breached north', 'breached null']);
    expect(words.indexOf('ok south')).toBeLessThan(words.indexOf('unlimited null'));
    expect(words.lastIndexOf('ok null')).toBeLessThan(words.indexOf('ok south'));
    expect(windowState(travelling)).toBe('breached');
    const long = assessWindow(
      watching(),
      observation({ columns: [comparedColumn('é'.repeat(900), { drifted: true })] }),
    );
    for (const one of long) verdict.parse(one);
  });

  it('keep what is said of an alert that lasts, however many slices there are', () => {
    const slices = Array.from({ length: 400 }, (_, i) => ({
      name: `shop ${i}`,
      rows: 400,
      quality: measuredOn(400, { roc_auc: i < 10 ? 0.1 : 0.9 }),
      predictions: [comparedColumn('probability')],
    }));
    const verdicts = assessWindow(
      watching({ quality: { metric: 'roc_auc', min: 0.7 }, slices: [{ columns: ['shop'] }] }),
      observation({ slices, window: dayWindow(3) }),
    );
    const last = verdicts.findLast(({ check, state }) => check === 'quality' && state === 'ok');
    if (!last) throw new Error('a slice is well');
    const isLast = ({ slice, check }: Verdict): boolean => check === 'quality' && slice === last.slice;
    expect(travellingVerdicts(verdicts).some(isLast)).toBe(false);
    const travelling = travellingVerdicts(verdicts, new Set([alertKey(last)]));
    expect(travelling).toHaveLength(200);
    expect(travelling.some(isLast)).toBe(true);
    expect(travelling.slice(0, 10).every(({ state }) => state === 'breached')).toBe(true);
  });
});
