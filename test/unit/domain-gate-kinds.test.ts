import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  type FairnessResult,
  type MetricBound,
  NO_SLICES,
  type RobustnessResult,
  type SliceResult,
} from '../../contracts/evaluation-report.ts';
import { jsonBytes } from '../../contracts/payload-limits.ts';
import { type GateResult, gateResult } from '../../contracts/reports.ts';
import { gate } from '../../contracts/spec/gates.ts';
import { verdictMarkdown, verdictRows } from '../../contracts/verdict.ts';
import {
  type Evidence,
  failedGates,
  type JudgeOptions,
  judgeGates,
  undecidedGates,
} from '../../domain/gates.ts';
import { travellingFairness, travellingRobustness, travellingSlices } from '../../domain/travelling-parts.ts';

const evidence = (changes: Partial<Evidence> = {}): Evidence => ({
  test: { roc_auc: 0.9, log_loss: 0.3 },
  train: {},
  baseline: { roc_auc: 0.5, log_loss: 0.6 },
  champion: { roc_auc: 0.905, log_loss: 0.31 },
  ...changes,
});

const judged = (input: z.input<typeof gate>, given = evidence(), options: JudgeOptions = {}): GateResult[] =>
  judgeGates([gate.parse(input)], given, options).results;
const one = (...args: Parameters<typeof judged>): GateResult => {
  const [result, ...others] = judged(...args);
  if (!result || others.length > 0) throw new Error('not exactly one result');
  return result;
};

const bound = (
  of: MetricBound['of'],
  metric: MetricBound['metric'],
  low: number,
  high: number,
): MetricBound => ({
  of,
  metric,
  confidence: 0.95,
  low,
  high,
});

describe('a gate with a confidence', () => {
  it('holds the bound of the value against a fixed limit, not the value', () => {
    const given = evidence({ bounds: [bound('test', 'roc_auc', 0.88, 0.92)] });
    expect(one({ metric: 'roc_auc', min: 0.89, confidence: 0.95 }, given)).toMatchObject({
      verdict: 'failed',
      observed: 0.9,
      interval: { low: 0.88, high: 0.92 },
      condition: 'roc_auc >= 0.89 with 95 % confidence',
    });
    expect(one({ metric: 'roc_auc', min: 0.88, confidence: 0.95 }, given).verdict).toBe('passed');
    expect(one({ metric: 'roc_auc', max: 0.91, confidence: 0.95 }, given).verdict).toBe('failed');
    expect(one({ metric: 'roc_auc', max: 0.92, confidence: 0.95 }, given).verdict).toBe('passed');
  });

  it.each([
    ['above the margin', 'roc_auc', -0.009, 0.001, 'passed'],
    ['below the margin', 'roc_auc', -0.011, 0.001, 'failed'],
    ['above the margin where lower is better', 'log_loss', -0.03, 0.009, 'passed'],
    ['below the margin where lower is better', 'log_loss', -0.03, 0.011, 'failed'],
  ] as const)(
    'is not worse than the champion where the bound of the difference is %s',
    (_, metric, low, high, verdict) => {
      const given = evidence({ bounds: [bound('champion', metric, low, high)] });
      const result = one({ metric, betterThan: 'champion', margin: 0.01, confidence: 0.95 }, given);
      expect(result).toMatchObject({ verdict, required: '>= -0.01 with 95 % confidence', limit: -0.01 });
      expect(result.observed).toBeCloseTo(metric === 'roc_auc' ? -0.005 : 0.01, 12);
    },
  );

  it('must beat the baseline surely, not only equal it', () => {
    const gateOf = { metric: 'roc_auc', betterThan: 'baseline', confidence: 0.95 } as const;
    const verdict = (low: number) =>
      one(gateOf, evidence({ bounds: [bound('baseline', 'roc_auc', low, 0.5)] })).verdict;
    expect([0.3, 0, -0.1].map(verdict)).toEqual(['passed', 'failed', 'failed']);
  });

  it('holds the bound of the difference as a share against byShare, and no other bound', () => {
    const share = (low: number, high: number) => ({
      ...bound('champion', 'log_loss', low, high),
      share: true as const,
    });
    const gateOf = { metric: 'log_loss', betterThan: 'champion', byShare: 0.1, confidence: 0.95 } as const;
    const verdictOf = (high: number) =>
      one(
        gateOf,
        evidence({
          test: { log_loss: 0.27 },
          champion: { log_loss: 0.36 },
          // That in units would pass any share.
          bounds: [bound('champion', 'log_loss', -0.9, -0.5), share(-0.4, high)],
        }),
      );
    expect(verdictOf(-0.11)).toMatchObject({
      verdict: 'passed',
      condition: 'log_loss improvement over the champion as a share >= 0.1 with 95 % confidence',
      observed: expect.closeTo(0.25, 12),
      interval: { low: 0.11, high: 0.4 },
    });
    expect(verdictOf(-0.09).verdict).toBe('failed');
    expect(one(gateOf, evidence({ bounds: [bound('champion', 'log_loss', -0.9, -0.5)] }))).toMatchObject({
      verdict: 'failed',
      note: expect.stringContaining('no bound'),
    });
  });

  it('fails where the bootstrap gave no bound', () => {
    // A bound at another confidence is none.
    for (const input of [
      { metric: 'roc_auc', min: 0.1, confidence: 0.95 },
      { metric: 'roc_auc', betterThan: 'champion', margin: 1, confidence: 0.95 },
      { metric: 'roc_auc', betterThan: 'baseline', confidence: 0.95 },
    ] as const)
      expect(
        one(input, evidence({ bounds: [{ ...bound('test', 'roc_auc', 0.8, 0.9), confidence: 0.9 }] })),
      ).toMatchObject({ verdict: 'failed', note: expect.stringContaining('no bound') });
  });

  it('is never easier to keep than without', () => {
    const number = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(number, number, fc.double({ min: 0, max: 0.5, noNaN: true }), (limit, value, half) => {
        const given = evidence({
          test: { roc_auc: value },
          bounds: [bound('test', 'roc_auc', value - half, value + half)],
        });
        const sure = one({ metric: 'roc_auc', min: limit, confidence: 0.95 }, given);
        const point = one({ metric: 'roc_auc', min: limit }, given);
        return !sure.passed || point.passed;
      }),
    );
  });
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'a value of %d keeps no gate, and as a reference nothing is better than it',
  (value) => {
    expect(one({ metric: 'roc_auc', min: -1 }, evidence({ test: { roc_auc: value } })).verdict).toBe(
      'failed',
    );
    expect(one({ metric: 'roc_auc', max: 1 }, evidence({ test: { roc_auc: value } })).verdict).toBe('failed');
    for (const betterThan of ['baseline', 'champion'] as const)
      expect(
        one(
          { metric: 'roc_auc', betterThan },
          evidence({ champion: { roc_auc: value }, baseline: { roc_auc: value } }),
        ).verdict,
      ).toBe('failed');
  },
);

describe('a champion that cannot be evaluated', () => {
  const given = evidence({ champion: {}, championNote: 'the data no longer have its input columns fare' });
  const input = { metric: 'roc_auc', betterThan: 'champion' } as const;

  it('leaves the gate to whoever approves', () => {
    const { passed, results } = judgeGates([gate.parse(input)], given, { approverDecides: true });
    expect(passed).toBe(true);
    expect(results).toMatchObject([{ verdict: 'undecided', passed: false, observed: 0.9 }]);
    expect(undecidedGates(results)[0]).toContain('input columns fare; whoever approves decides');
    expect(failedGates(results)).toEqual([]);
  });

  it('fails the gate where nobody is asked', () => {
    const { passed, results } = judgeGates([gate.parse(input)], given);
    expect(passed).toBe(false);
    expect(undecidedGates(results)).toEqual([]);
    expect(failedGates(results)[0]).toContain('nobody is asked');
  });

  it('does not excuse a metric of the candidate that could not be computed', () => {
    expect(one(input, { ...given, test: {} }, { approverDecides: true }).verdict).toBe('failed');
  });
});

const slice = (name: string, changes: Partial<SliceResult> = {}): SliceResult => ({
  name,
  share: 0.1,
  rows: 500,
  metrics: { roc_auc: 0.85 },
  intervals: {},
  mandatory: false,
  ...changes,
});
const small = (name: string, changes: Partial<SliceResult> = {}): SliceResult =>
  slice(name, { rows: 7, metrics: {}, insufficient: 'few_rows', ...changes });
const withSlices = (declared: SliceResult[], worst: SliceResult[] = [], search = true): Evidence =>
  evidence({
    slices: {
      ...NO_SLICES,
      declared,
      worst,
      search: search ? { method: '', rows: 1_000, features: 3, tried: 40 } : null,
    },
  });

describe('a gate on slices', () => {
  const min = { metric: 'roc_auc', min: 0.8, slices: 'declared' } as const;

  it('tells the nearest slice where all keep it', () => {
    expect(one(min, withSlices([slice('a'), slice('b', { metrics: { roc_auc: 0.81 } })]))).toMatchObject({
      verdict: 'passed',
      slice: 'b',
      observed: 0.81,
      note: '500 rows; the nearest of 2 slices',
    });
  });

  it('tells at most three that fail, the worst first, and how many more there are', () => {
    const slices = [0.79, 0.5, 0.7, 0.6, 0.9].map((roc_auc, i) => slice(`s${i}`, { metrics: { roc_auc } }));
    const results = judged(min, withSlices(slices));
    expect(results.map((result) => [result.slice, result.verdict])).toEqual([
      ['s1', 'failed'],
      ['s3', 'failed'],
      ['s2', 'failed'],
    ]);
    expect(results.at(-1)?.note).toContain('and 1 more slices failed');
  });

  it('does not count a slice that is too small, unless it was declared mandatory', () => {
    const { passed, results } = judgeGates([gate.parse(min)], withSlices([slice('a'), small('b')]));
    expect(passed).toBe(true);
    expect(results.map(({ verdict }) => verdict)).toEqual(['passed', 'insufficient']);
    expect(judged(min, withSlices([slice('a'), small('b', { mandatory: true })]))).toMatchObject([
      { verdict: 'failed', slice: 'b', note: expect.stringContaining('mandatory') },
    ]);
    expect(
      one(min, withSlices([small('b', { insufficient: 'one_class', rows: 900, mandatory: true })])),
    ).toMatchObject({ verdict: 'failed', note: expect.stringContaining('one class alone (900 rows)') });
  });

  it('fails where a metric could not be computed, and where there is nothing to judge', () => {
    expect(one(min, withSlices([slice('a', { metrics: {} })])).verdict).toBe('failed');
    expect(one(min, withSlices([])).verdict).toBe('failed');
    expect(one(min, evidence()).verdict).toBe('failed');
  });

  it('on the worst slices looks at those that were found, and passes where none stands out', () => {
    const worst = { ...min, slices: 'worst' } as const;
    expect(one(worst, withSlices([slice('a', { metrics: { roc_auc: 0 } })])).verdict).toBe('passed');
    expect(one(worst, withSlices([], [slice('f', { metrics: { roc_auc: 0.1 } })]))).toMatchObject({
      verdict: 'failed',
      slice: 'f',
    });
    expect(one(worst, withSlices([], [], false)).verdict).toBe('failed');
    expect(
      judged(
        { ...min, slices: 'all' },
        withSlices([slice('a')], [slice('f', { metrics: { roc_auc: 0.1 } })]),
      ),
    ).toMatchObject([{ verdict: 'failed', slice: 'f' }]);
  });

  it('comes to the same verdict on the slices that travel', () => {
    const value = fc.double({ min: 0, max: 1, noNaN: true });
    const slices = fc.array(fc.tuple(value, fc.integer({ min: 0, max: 9 }), fc.boolean()), {
      minLength: 1,
      maxLength: 300,
    });
    fc.assert(
      fc.property(slices, value, (made, limit) => {
        const declared = made.map(([roc_auc, kind, mandatory], i) =>
          kind === 0
            ? small(`s${i}`, { mandatory })
            : slice(`s${i}`, { metrics: { roc_auc }, rows: 100 + i }),
        );
        const whole = withSlices(declared);
        if (!whole.slices) throw new Error('no slices');
        const travelling = travellingSlices(whole.slices, ['roc_auc']);
        expect(travelling.declared.length).toBeLessThanOrEqual(60);
        for (const side of [{ min: limit }, { max: limit }]) {
          const input = gate.parse({ metric: 'roc_auc', slices: 'declared', ...side });
          const verdict = (given: Evidence) => judgeGates([input], given).passed;
          expect(verdict({ ...whole, slices: travelling })).toBe(verdict(whole));
        }
      }),
    );
  });
});

const compared = (column: string, difference: number | undefined): FairnessResult => ({
  column,
  measures: difference === undefined ? {} : { demographic_parity_difference: difference },
  intervals: {},
  extremes:
    difference === undefined
      ? {}
      : { demographic_parity_difference: { low: `${column} = a`, high: `${column} = b` } },
  groups: [],
  insufficient: { groups: 2, rows: 30 },
});

describe('a gate on fairness', () => {
  const max = { fairness: 'demographic_parity_difference', max: 0.1 } as const;

  it('counts the column with the largest difference, and names its groups', () => {
    const given = evidence({ fairness: [compared('sex', 0.05), compared('age', 0.2)] });
    expect(one(max, given)).toMatchObject({
      verdict: 'failed',
      condition: 'demographic_parity_difference over age <= 0.1',
      group: 'age = a against age = b',
    });
    expect(one({ ...max, column: 'sex' }, given)).toMatchObject({
      verdict: 'passed',
      note: expect.stringContaining('2 groups with too few rows (30 in all) are left out'),
    });
  });

  it('reports groups of one class as insufficient, of all columns, by their number alone', () => {
    const alike = { demographic_parity_difference: { groups: 3, rows: 450 } };
    const given = evidence({
      fairness: [
        { ...compared('sex', 0.09), oneClass: {} },
        { ...compared('age', 0.05), oneClass: alike },
      ],
    });
    expect(judged(max, given)).toMatchObject([
      { verdict: 'passed', condition: 'demographic_parity_difference over sex <= 0.1' },
      { verdict: 'insufficient', note: expect.stringContaining('3 of age with 450 rows') },
    ]);
    expect(judgeGates([gate.parse(max)], given).passed).toBe(true);
  });

  it('fails where no two groups can be compared', () => {
    expect(one(max, evidence({ fairness: [compared('sex', undefined)] })).verdict).toBe('failed');
    expect(one(max).verdict).toBe('failed');
  });

  it('takes a minimum of a ratio and a maximum of a difference, nothing else', () => {
    const accepted = (input: object) => gate.safeParse(input).success;
    expect(accepted({ fairness: 'demographic_parity_ratio', min: 0.8 })).toBe(true);
    expect(accepted({ fairness: 'demographic_parity_ratio', max: 0.8 })).toBe(false);
    expect(accepted({ fairness: 'demographic_parity_difference', min: 0.8 })).toBe(false);
    expect(accepted({ fairness: 'demographic_parity_difference' })).toBe(false);
  });
});

const robustness = (
  losses: (number | null)[],
  changes: Partial<RobustnessResult> = {},
): RobustnessResult => ({
  robustness: 'missing',
  by: 0,
  metric: 'roc_auc',
  rows: 1_000,
  base: 0.9,
  features: losses.map((loss, i) => ({ feature: `x${i}`, value: loss === null ? null : 0.9 - loss, loss })),
  tried: losses.length,
  ...changes,
});

describe('a gate on robustness', () => {
  const lost = { robustness: 'missing', metric: 'roc_auc', maxLoss: 0.05 } as const;

  it('counts the feature that costs most, or the one that is named', () => {
    const given = evidence({ robustness: [robustness([0.06, 0.01])] });
    expect(one(lost, given)).toMatchObject({ verdict: 'failed', feature: 'x0', observed: 0.06 });
    expect(one({ ...lost, feature: 'x1' }, given)).toMatchObject({ verdict: 'passed', feature: 'x1' });
  });

  it('fails where a metric could not be computed, and where nothing was measured', () => {
    expect(one(lost, evidence({ robustness: [robustness([0.01, null])] }))).toMatchObject({
      verdict: 'failed',
      feature: 'x1',
    });
    expect(one(lost, evidence({ robustness: [robustness([0.01], { base: null })] })).verdict).toBe('failed');
    expect(one(lost).verdict).toBe('failed');
    expect(
      one(
        { ...lost, robustness: 'shift', by: 2 },
        evidence({ robustness: [robustness([0], { robustness: 'shift', by: 1 })] }),
      ).verdict,
    ).toBe('failed');
  });
});

it('size and latency are held against what was measured, and fail where nothing was', () => {
  const footprint = { modelBytes: 2_000, latency: { rows: 1_000, p50_ms: 0.1, p95_ms: 0.2, p99_ms: 0.5 } };
  const given = evidence({ footprint });
  expect(one({ size: 'model_bytes', max: 2_000 }, given).verdict).toBe('passed');
  expect(one({ size: 'model_bytes', max: 1_999 }, given).verdict).toBe('failed');
  expect(one({ latency: 'p99_ms', max: 0.5 }, given)).toMatchObject({
    verdict: 'passed',
    condition: 'latency of one row, p99 in ms <= 0.5',
  });
  expect(one({ latency: 'p95_ms', max: 0.1 }, given).verdict).toBe('failed');
  expect(
    one({ latency: 'p50_ms', max: 9 }, evidence({ footprint: { modelBytes: 1, latency: null } })).verdict,
  ).toBe('failed');
  expect(one({ size: 'model_bytes', max: 9 }).verdict).toBe('failed');
});

describe('the verdict', () => {
  it('is a table of gate, required, got, interval, pass', () => {
    const results = judged(
      { metric: 'roc_auc', min: 0.85 },
      evidence({ intervals: { roc_auc: { low: 0.88, high: 0.92 } } }),
    );
    expect(verdictRows(results)).toEqual([
      {
        gate: 'roc_auc',
        required: '>= 0.85',
        got: '0.9000',
        interval: '0.8800 to 0.9200',
        verdict: 'passed',
        note: '',
      },
    ]);
    expect(verdictMarkdown(results)).toContain(
      '| roc_auc | >= 0.85 | 0.9000 | 0.8800 to 0.9200 | passed |  |',
    );
  });

  it('lets no name break the table', () => {
    const results = judged(
      { metric: 'roc_auc', min: 0.8, slices: 'declared' },
      withSlices([slice('a | b\n| c')]),
    );
    expect(verdictMarkdown(results).split('\n')).toHaveLength(3);
  });

  it('of an older run, which knew only passed and failed, is read', () => {
    const before = {
      gate: gate.parse({ metric: 'roc_auc', min: 0.8 }),
      condition: 'roc_auc >= 0.8',
      observed: 0.9,
      limit: 0.8,
      margin: 0.1,
    };
    expect(gateResult.parse({ ...before, passed: true }).verdict).toBe('passed');
    expect(gateResult.parse({ ...before, passed: false }).verdict).toBe('failed');
  });
});

it.each([
  [{ metric: 'roc_auc' }, 'one of min, max, betterThan, maxGap'],
  [{ metric: 'roc_auc', maxGap: 0.1, confidence: 0.9 }, 'needs min, max or betterThan'],
  [{ metric: 'roc_auc', min: 0.1, margin: 0.1 }, 'needs betterThan'],
  [{ metric: 'roc_auc', betterThan: 'champion', by: 0.1, margin: 0.1 }, 'says the same as a negative by'],
  [{ metric: 'roc_auc', betterThan: 'champion', slices: 'worst' }, 'needs min or max'],
  [{ metric: 'roc_auc', min: 0.1, confidence: 0.9, slices: 'worst' }, 'goes with min and max alone'],
])('a gate that says %j is refused', (input, message) => {
  expect(JSON.stringify(gate.safeParse(input).error?.issues)).toContain(message);
});

it('groups and features that travel are bounded, and those that gates name are among them', () => {
  const group = {
    rows: 500,
    selectionRate: 0.123456789,
    truePositiveRate: 0.123456789,
    falsePositiveRate: 0.123456789,
    accuracy: 0.123456789,
    meanPrediction: null,
    meanAbsoluteError: null,
  };
  const columns = Array.from({ length: 20 }, (_, i) => ({
    ...compared(`column ${i}`, 0.2),
    groups: Array.from({ length: 200 }, (__, k) => ({
      name: `column ${i} = ${'v'.repeat(40)}${k}`,
      ...group,
    })),
  }));
  const fairness = travellingFairness(columns);
  const gates = Array.from({ length: 50 }, (_, i) =>
    gate.parse({
      robustness: 'shift',
      by: i + 1,
      metric: 'roc_auc',
      maxLoss: 0.1,
      feature: i === 0 ? 'x490' : 'all',
    }),
  );
  const losses = Array.from({ length: 500 }, (_, i) => 0.5 - i / 1_000);
  const robust = travellingRobustness(
    gates.map((_, i) => robustness(losses, { robustness: 'shift', by: i + 1 })),
    gates,
  );
  expect(robust[0]?.features.map(({ feature }) => feature)).toContain('x490');
  expect(robust[0]?.features[0]?.feature).toBe('x0');
  expect(jsonBytes({ fairness, robust })).toBeLessThan(96 * 1024);
});
