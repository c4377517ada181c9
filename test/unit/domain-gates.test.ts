import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import type { MetricValues } from '../../contracts/reports.ts';
import { gate } from '../../contracts/spec/gates.ts';
import { type Evidence, failedGates, judgeGates } from '../../domain/gates.ts';

const evidence = (changes: Partial<Evidence> = {}): Evidence => ({
  test: { roc_auc: 0.9, log_loss: 0.3 },
  train: { roc_auc: 0.95, log_loss: 0.2 },
  baseline: { roc_auc: 0.5, log_loss: 0.6 },
  champion: null,
  ...changes,
});

const one = (input: z.input<typeof gate>, given = evidence()) => {
  const [result] = judgeGates([gate.parse(input)], given).results;
  if (!result) throw new Error('a gate without a result');
  return result;
};

describe('a gate', () => {
  it.each([
    ['min, kept', { metric: 'roc_auc', min: 0.9 }, true],
    ['min, missed', { metric: 'roc_auc', min: 0.9001 }, false],
    ['max, kept', { metric: 'log_loss', max: 0.3 }, true],
    ['max, missed', { metric: 'log_loss', max: 0.29 }, false],
    ['gap where higher is better, kept', { metric: 'roc_auc', maxGap: 0.06 }, true],
    ['gap where higher is better, missed', { metric: 'roc_auc', maxGap: 0.04 }, false],
    ['gap where lower is better, kept', { metric: 'log_loss', maxGap: 0.11 }, true],
    ['gap where lower is better, missed', { metric: 'log_loss', maxGap: 0.09 }, false],
    ['baseline beaten', { metric: 'roc_auc', betterThan: 'baseline' }, true],
    ['baseline beaten where lower is better', { metric: 'log_loss', betterThan: 'baseline' }, true],
    ['baseline not beaten by enough', { metric: 'roc_auc', betterThan: 'baseline', by: 0.41 }, false],
    [
      'baseline not beaten by enough where lower is better',
      { metric: 'log_loss', betterThan: 'baseline', by: 0.31 },
      false,
    ],
  ] as const)('%s', (_, input, passed) => {
    expect(one(input).passed).toBe(passed);
  });

  it('says by how much it was kept or missed', () => {
    expect(one({ metric: 'roc_auc', min: 0.85 }).margin).toBeCloseTo(0.05, 12);
    expect(one({ metric: 'log_loss', max: 0.25 }).margin).toBeCloseTo(-0.05, 12);
    expect(one({ metric: 'roc_auc', maxGap: 0.02 })).toMatchObject({
      observed: expect.closeTo(0.05, 12),
      limit: 0.02,
    });
  });

  it.each([
    ['an error so much lower', { metric: 'log_loss', byShare: 0.1 }, { log_loss: 0.334 }, true],
    ['an error not so much lower', { metric: 'log_loss', byShare: 0.1 }, { log_loss: 0.332 }, false],
    ['an error worse by less than that', { metric: 'log_loss', byShare: -0.2 }, { log_loss: 0.251 }, true],
    ['an error worse by more than that', { metric: 'log_loss', byShare: -0.2 }, { log_loss: 0.249 }, false],
    ['a metric so much higher', { metric: 'roc_auc', byShare: 0.5 }, { roc_auc: 0.599 }, true],
    ['a metric not so much higher', { metric: 'roc_auc', byShare: 0.5 }, { roc_auc: 0.601 }, false],
  ] as const)('better than the champion by a share: %s', (_, input, champion, passed) => {
    expect(one({ ...input, betterThan: 'champion' }, evidence({ champion })).passed).toBe(passed);
  });

  it('by a share says the limit, and that of 0 there is none', () => {
    expect(
      one(
        { metric: 'log_loss', betterThan: 'champion', byShare: 0.1 },
        evidence({ champion: { log_loss: 0.4 } }),
      ),
    ).toMatchObject({
      condition: 'log_loss <= that of the champion - 10 % of it',
      limit: expect.closeTo(0.36, 12),
      observed: 0.3,
    });
    expect(
      one(
        { metric: 'f1', betterThan: 'champion', byShare: 0.1 },
        evidence({ test: { f1: 0.2 }, champion: { f1: 0 } }),
      ),
    ).toMatchObject({
      passed: false,
      observed: 0.2,
      note: expect.stringContaining('of 0 there is no share'),
    });
    expect(
      one(
        { metric: 'log_loss', betterThan: 'champion', byShare: 0.1 },
        evidence({ test: { log_loss: 0 }, champion: { log_loss: 0 } }),
      ).passed,
    ).toBe(false);
    expect(one({ metric: 'roc_auc', betterThan: 'baseline', byShare: 0.7 }).passed).toBe(true);
    expect(one({ metric: 'roc_auc', betterThan: 'baseline', byShare: 0.9 }).passed).toBe(false);
  });

  it.each([
    [{ metric: 'log_loss', min: 0.1, byShare: 0.1 }, 'needs betterThan'],
    [{ metric: 'log_loss', betterThan: 'champion', byShare: 0.1, margin: 0 }, 'units of the metric'],
    [{ metric: 'log_loss', betterThan: 'champion', byShare: 0.1, by: 0.1 }, 'units of the metric'],
    [{ metric: 'r2', betterThan: 'champion', byShare: 0.1 }, 'may be negative'],
    [{ metric: 'matthews_corrcoef', betterThan: 'champion', byShare: 0.1 }, 'may be negative'],
    [{ metric: 'log_loss', betterThan: 'champion', byShare: 1 }, 'below 1'],
    [{ metric: 'roc_auc', betterThan: 'champion', byShare: -1 }, 'Too small'],
  ])('refuses %o', (input, words) => {
    expect(gate.safeParse(input).error?.message).toContain(words);
  });

  it('gives one result for each of its conditions', () => {
    const { results } = judgeGates(
      [gate.parse({ metric: 'roc_auc', min: 0.8, max: 0.99, maxGap: 0.1 })],
      evidence(),
    );
    expect(results.map(({ condition }) => condition)).toEqual([
      'roc_auc >= 0.8',
      'roc_auc <= 0.99',
      'roc_auc gap between train and test <= 0.1',
    ]);
  });

  it('is not kept by a model that only equals the trivial baseline', () => {
    const equal = one({ metric: 'roc_auc', betterThan: 'baseline' }, evidence({ test: { roc_auc: 0.5 } }));
    expect(equal).toMatchObject({ passed: false, note: 'equal to the trivial baseline' });
    expect(failedGates([equal])).toEqual([
      'roc_auc >= that of the baseline: was 0.5000, limit 0.5000, equal to the trivial baseline',
    ]);
  });

  it.each([
    [0, 0.9, true],
    [0, 0.91, false],
    [-0.02, 0.91, true],
    [0.01, 0.9, false],
    [0.01, 0.889, true],
  ])('better than the champion by %d, where the champion has %d: %s', (by, roc_auc, passed) => {
    expect(
      one({ metric: 'roc_auc', betterThan: 'champion', by }, evidence({ champion: { roc_auc } })).passed,
    ).toBe(passed);
  });

  it('names the bound in words', () => {
    const champion = { roc_auc: 0.9, log_loss: 0.3 };
    const words = (metric: 'roc_auc' | 'log_loss', by: number) =>
      one({ metric, betterThan: 'champion', by }, evidence({ champion })).condition;
    expect(words('roc_auc', 0)).toBe('roc_auc >= that of the champion');
    expect(words('roc_auc', 0.1)).toBe('roc_auc >= that of the champion + 0.1');
    expect(words('roc_auc', -0.1)).toBe('roc_auc >= that of the champion - 0.1');
    expect(words('log_loss', 0.1)).toBe('log_loss <= that of the champion - 0.1');
    expect(words('log_loss', -0.1)).toBe('log_loss <= that of the champion + 0.1');
  });

  it('passes where there is no champion yet', () => {
    const first = one({ metric: 'roc_auc', betterThan: 'champion' });
    expect(first).toMatchObject({ passed: true, note: 'there is no champion yet', observed: 0.9 });
  });

  it('is not kept where the trivial baseline has no such metric', () => {
    expect(one({ metric: 'roc_auc', betterThan: 'baseline' }, evidence({ baseline: {} })).passed).toBe(false);
  });

  it.each([
    ['min', { min: 0.5 }],
    ['max', { max: 0.5 }],
    ['baseline', { betterThan: 'baseline' }],
    ['champion', { betterThan: 'champion' }],
    ['gap', { maxGap: 0.5 }],
  ] as const)('of kind %s is not kept by a metric that could not be computed', (_, condition) => {
    const nothing: MetricValues = {};
    const input = { metric: 'roc_auc', ...condition } as const;
    for (const given of [evidence({ test: nothing }), evidence({ test: nothing, baseline: nothing })]) {
      const result = one(input, given);
      expect(result).toMatchObject({ passed: false, observed: null, margin: null });
      expect(failedGates([result])[0]).toContain('roc_auc could not be computed');
    }
  });

  it('is not kept against a champion that could not be judged', () => {
    const result = one({ metric: 'roc_auc', betterThan: 'champion' }, evidence({ champion: {} }));
    expect(result).toMatchObject({
      passed: false,
      note: 'the champion cannot be compared: its roc_auc could not be computed',
    });
  });
});

describe('all gates', () => {
  it('pass where every one passes, and where there are none', () => {
    expect(judgeGates([], evidence()).passed).toBe(true);
    const gates = [gate.parse({ metric: 'roc_auc', min: 0.8 }), gate.parse({ metric: 'roc_auc', min: 0.95 })];
    expect(judgeGates(gates, evidence()).passed).toBe(false);
  });

  it('are told of in one line each, those that failed', () => {
    const gates = [
      gate.parse({ metric: 'roc_auc', min: 0.8 }),
      gate.parse({ metric: 'roc_auc', min: 0.95 }),
      gate.parse({ metric: 'log_loss', max: 0.1 }),
    ];
    expect(failedGates(judgeGates(gates, evidence()).results)).toEqual([
      'roc_auc >= 0.95: was 0.9000, limit 0.9500, short by 0.0500',
      'log_loss <= 0.1: was 0.3000, limit 0.1000, short by 0.2000',
    ]);
  });
});
