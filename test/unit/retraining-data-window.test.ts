import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs } from '../../contracts/durations.ts';
import { type PipelineSpecInput, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { labelledUntil, retrainingSpecOf } from '../../domain/retraining/data-window.ts';
import { smallSpec } from '../support/samples.ts';

const DAY = 86_400_000;

const specOf = (window: object, changes: Partial<PipelineSpecInput> = {}) =>
  pipelineSpec.parse({
    ...smallSpec(),
    columns: { target: 'churned', timestamp: 'at' },
    monitoring: {},
    retraining: { window },
    ...changes,
  });

describe('the spec of a retraining', () => {
  it('splits the labelled rows by time, the latest for the test', () => {
    const { split, data, training } = retrainingSpecOf(
      specOf({ test: '30d', validation: '30d' }),
      '2009-09-08T00:00:00Z',
      '7d',
    );
    expect(split).toEqual({
      method: 'time',
      train: { before: '2009-07-03T00:00:00Z' },
      validation: { before: '2009-08-02T00:00:00Z' },
      test: { before: '2009-09-01T00:00:00Z' },
    });
    expect(data.rowFilter).toEqual([
      {
        where: `CAST("at" AS TIMESTAMPTZ) >= CAST('2009-09-01T00:00:00Z' AS TIMESTAMPTZ)`,
        reason: 'truth not known yet: at or after 2009-09-01T00:00:00Z',
      },
    ]);
    expect(training.ageWeights).toBeUndefined();
  });

  it('of a sliding window leaves older rows out too', () => {
    const { split, data } = retrainingSpecOf(
      specOf(
        { kind: 'sliding', length: '90d' },
        { data: { ...smallSpec().data, rowFilter: [{ where: 'test', reason: 'tests' }] } },
      ),
      '2009-09-01T02:00:00+02:00',
      null,
    );
    expect(split).toMatchObject({
      train: { from: '2009-06-03T00:00:00Z', before: '2009-08-18T00:00:00Z' },
      validation: { before: '2009-08-25T00:00:00Z' },
      test: { before: '2009-09-01T00:00:00Z' },
    });
    expect(data.rowFilter.map(({ reason }) => reason)).toEqual([
      'truth not known yet: at or after 2009-09-01T00:00:00Z',
      'older than the window of the retraining: before 2009-06-03T00:00:00Z',
      'tests',
    ]);
  });

  it('that is weighted has weights by age, also of its last rows alone', () => {
    const whole = retrainingSpecOf(specOf({ kind: 'weighted', halfLife: '60d' }), '2009-09-01', null);
    expect(whole.training.ageWeights).toEqual({ halfLife: '60d' });
    expect(whole.split).not.toHaveProperty('train.from');
    const last = retrainingSpecOf(
      specOf({ kind: 'weighted', halfLife: '60d', length: '365d' }),
      '2009-09-01',
      null,
    );
    expect(last.split).toHaveProperty('train.from', '2008-09-01T00:00:00Z');
  });

  it('keeps what else the spec says, weights by age among it', () => {
    const spec = specOf(
      {},
      {
        expectations: [{ expect: 'not_null', column: 'age' }],
        training: { ageWeights: { halfLife: '10d' }, classWeights: 'balanced' },
        split: { method: 'group', by: 'household' },
      },
    );
    const { split, data, ...rest } = retrainingSpecOf(spec, '2009-09-01', null);
    const { split: _split, data: own, ...kept } = spec;
    expect(rest).toEqual(kept);
    expect(data.sources).toEqual(own.sources);
    expect(split.method).toBe('time');
  });

  it('keeps the gap of a split by time between parts of their whole length', () => {
    const split = {
      method: 'time',
      train: { before: '2008-01-01' },
      validation: { before: '2008-03-01' },
      gap: '7d',
    } as const;
    const spec = specOf({}, { split });
    expect(retrainingSpecOf(spec, '2009-09-01', null).split).toEqual({
      method: 'time',
      train: { before: '2009-08-04T00:00:00Z' },
      validation: { before: '2009-08-18T00:00:00Z' },
      test: { before: '2009-09-01T00:00:00Z' },
      gap: '7d',
    });
    expect(() =>
      retrainingSpecOf(specOf({ kind: 'sliding', length: '28d' }, { split }), '2009-09-01', null),
    ).toThrow(/leaves no training rows beside 7d of validation, 7d of test and two gaps of 7d/);
  });

  it('quotes the column and refuses what is no moment', () => {
    const odd = specOf({}, { columns: { target: 'churned', timestamp: 'it"s at' } });
    expect(retrainingSpecOf(odd, '2009-09-01', null).data.rowFilter[0]?.where).toMatch(
      /^CAST\("it""s at" AS/,
    );
    expect(() => retrainingSpecOf(odd, 'yesterday', null)).toThrow(
      expect.objectContaining({ code: 'InputInvalid' }),
    );
    const timeless = { ...odd, columns: { ...odd.columns, timestamp: undefined } };
    expect(() => retrainingSpecOf(timeless, '2009-09-01', null)).toThrow(
      expect.objectContaining({ code: 'SpecInvalid' }),
    );
  });

  it('of a spec that was made so is that of the pipeline', () => {
    const spec = specOf({ kind: 'sliding', length: '90d' });
    const later = retrainingSpecOf(spec, '2010-01-01', '7d');
    expect(retrainingSpecOf(retrainingSpecOf(spec, '2009-09-01', null), '2010-01-01', '7d')).toEqual(later);
  });

  it('never has a row whose truth is not known, nor parts that overlap', () => {
    const days = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1990-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }),
        fc.integer({ min: 1, max: 10_000_000 }),
        days,
        days,
        days,
        (at, delayMs, test, validation, more) => {
          const window = {
            kind: 'sliding',
            length: `${test + validation + more}d`,
            test: `${test}d`,
            validation: `${validation}d`,
          };
          const { split } = retrainingSpecOf(specOf(window), at.toISOString(), `${delayMs}ms`);
          if (split.method !== 'time') throw new Error('split by time');
          const [from, trained, validated, tested] = [
            split.train.from,
            split.train.before,
            split.validation.before,
            split.test.before,
          ].map((text) => Date.parse(text ?? ''));
          const until = at.getTime() - delayMs;
          expect(tested).toBeLessThanOrEqual(until);
          expect(tested).toBeGreaterThan(until - 1_000);
          expect((tested ?? 0) - (validated ?? 0)).toBe(test * DAY);
          expect((validated ?? 0) - (trained ?? 0)).toBe(validation * DAY);
          expect((trained ?? 0) - (from ?? 0)).toBe(more * DAY);
        },
      ),
      { numRuns: 50 },
    );
  });
});

it('truth is known up to the delay before', () => {
  expect(labelledUntil('2009-06-08T00:00:00.900Z', '7d')).toBe(Date.parse('2009-06-01'));
  expect(labelledUntil('2009-06-08', null)).toBe(Date.parse('2009-06-08'));
  expect(durationMs('7d')).toBe(7 * DAY);
});
