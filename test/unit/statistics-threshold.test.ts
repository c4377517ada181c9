import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { THRESHOLD_METRICS } from '../../contracts/spec/training.ts';
import { BinaryScores } from '../../lib/statistics/binary-scores.ts';
import type { Classes } from '../../lib/statistics/judge.ts';
import { chooseThreshold } from '../../lib/statistics/threshold.ts';

const BINARY: Classes = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes' };

/** Rows with both classes, probabilities that are float32 and often the same or next to each other. */
const rows = fc
  .array(
    fc.record({
      label: fc.integer({ min: 0, max: 1 }),
      answer: fc.oneof(
        fc.integer({ min: 0, max: 8 }).map((step) => step / 8),
        fc.integer({ min: 0, max: 3 }).map((ulps) => 0.5 + ulps * 2 ** -24),
        fc.float({ min: 0, max: 1, noNaN: true }),
      ),
    }),
    { minLength: 2, maxLength: 40 },
  )
  .filter((all) => new Set(all.map(({ label }) => label)).size === 2);

const split = (all: readonly { label: number; answer: number }[]) => ({
  labels: Int32Array.from(all, ({ label }) => label),
  answers: Float64Array.from(all, ({ answer }) => answer),
});

/** Every threshold at which a decision changes. */
const candidates = (answers: Float64Array): number[] => [0, 1, ...answers];

describe('chooseThreshold', () => {
  it.each(THRESHOLD_METRICS)('finds no worse threshold for %s than trying all of them', (metric) => {
    fc.assert(
      fc.property(rows, (all) => {
        const { labels, answers } = split(all);
        const { threshold, value } = chooseThreshold({ maximize: metric }, BINARY, labels, answers);
        const at = (tried: number) =>
          new BinaryScores(Uint8Array.from(labels), answers, tried).metrics()[metric] ?? Number.NaN;
        const best = Math.max(...candidates(answers).map(at));
        expect(value).toBeCloseTo(best, 10);
        expect(at(threshold)).toBeCloseTo(best, 10);
        expect(Math.fround(threshold)).toBe(threshold);
      }),
    );
  });

  it('finds the cheapest decisions', () => {
    const cost = fc.record({
      falsePositive: fc.nat({ max: 9 }),
      falseNegative: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(rows, cost, (all, { falsePositive, falseNegative }) => {
        const { labels, answers } = split(all);
        const spec = { cost: { falsePositive, falseNegative } };
        const chosen = chooseThreshold(spec, BINARY, labels, answers);
        const costAt = (tried: number) =>
          all.reduce((sum, { label, answer }) => {
            const said = answer >= tried ? 1 : 0;
            return sum + (said === label ? 0 : said === 1 ? falsePositive : falseNegative);
          }, 0) / all.length;
        expect(chosen.value).toBeCloseTo(Math.min(...candidates(answers).map(costAt)), 10);
        expect(costAt(chosen.threshold)).toBeCloseTo(chosen.value ?? Number.NaN, 10);
      }),
    );
  });

  it('stands in the middle between two rows, and of several as good the nearest to 0.5', () => {
    const labels = Int32Array.of(0, 0, 1, 1);
    const apart = chooseThreshold({ maximize: 'f1' }, BINARY, labels, Float64Array.of(0.125, 0.25, 0.75, 1));
    expect(apart).toEqual({ threshold: 0.5, value: 1, what: 'the highest f1', notes: [] });
    // Recall is 1 from the lowest positive row down.
    const all = Float64Array.of(0.125, 0.25, 0.5, 1);
    expect(chooseThreshold({ maximize: 'recall' }, BINARY, labels, all).threshold).toBe(0.375);
    const upsideDown = chooseThreshold(
      { cost: { falsePositive: 1, falseNegative: 0 } },
      BINARY,
      labels,
      Float64Array.of(0.75, 0.5, 0.25, 0.125),
    );
    expect(upsideDown.threshold).toBe(0.875);
    expect(upsideDown.notes).toEqual(['No row is said to be of the positive class.']);
  });

  it('parts rows that are one float32 apart', () => {
    const [low, high] = [0.5, 0.5 + 2 ** -24];
    const answers = Float64Array.of(low, low, high, high);
    const chosen = chooseThreshold({ maximize: 'accuracy' }, BINARY, Int32Array.of(0, 0, 1, 1), answers);
    expect(chosen).toMatchObject({ threshold: Math.fround(high), value: 1 });
  });

  it('takes the other class for the positive one', () => {
    const classes = { ...BINARY, positiveClass: 'no' };
    const labels = Int32Array.of(1, 1, 0);
    const chosen = chooseThreshold({ maximize: 'f1' }, classes, labels, Float64Array.of(0.1, 0.2, 0.6));
    expect(chosen.value).toBe(1);
    expect(chosen.threshold).toBeCloseTo(0.4, 6);
  });

  it('rounds a stated number as the graph does', () => {
    const chosen = chooseThreshold(0.7, BINARY, new Int32Array(), new Float64Array());
    expect(chosen).toEqual({ threshold: Math.fround(0.7), value: null, what: 'as the spec says', notes: [] });
  });

  it('says that rows of one class tell nothing', () => {
    const chosen = chooseThreshold(
      { maximize: 'f1' },
      BINARY,
      Int32Array.of(1, 1),
      Float64Array.of(0.1, 0.2),
    );
    expect(chosen).toMatchObject({
      threshold: 0.5,
      value: null,
      notes: [expect.stringMatching(/one class/)],
    });
  });

  it('refuses a metric that does not depend on it, other shapes, and answers that are no probabilities', () => {
    const labels = Int32Array.of(0, 1);
    const choose = (metric: 'roc_auc' | 'f1', answers: Float64Array) => () =>
      chooseThreshold({ maximize: metric }, BINARY, labels, answers);
    expect(choose('roc_auc', Float64Array.of(0, 1))).toThrow(/roc_auc does not depend on the threshold/);
    expect(choose('f1', Float64Array.of(0))).toThrow(/2 labels need as many answers, not 1/);
    expect(choose('f1', Float64Array.of(0, Number.NaN))).toThrow(/no number from 0 to 1/);
  });
});
