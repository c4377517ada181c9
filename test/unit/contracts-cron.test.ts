import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronExpression, cronProblem } from '../../contracts/spec/cron.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { smallSpec } from '../support/samples.ts';

/** A field as people write it. */
const field = (least: number, most: number, names: readonly string[] = []): fc.Arbitrary<string> => {
  const number = fc.integer({ min: least, max: most });
  const range = fc.tuple(number, number).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const step = fc
    .tuple(fc.oneof(fc.constant('*'), range), fc.integer({ min: 1, max: most }))
    .map(([of, by]) => `${of}/${by}`);
  const named = names.length > 0 ? [fc.constantFrom(...names)] : [];
  const part = fc.oneof(number.map(String), range, step, ...named);
  return fc.oneof(
    fc.constant('*'),
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')),
  );
};
const expression = fc
  .tuple(
    field(0, 59),
    field(0, 23),
    field(1, 31),
    field(1, 12, ['jan', 'FEB', 'dec']),
    field(0, 7, ['sun', 'MON', 'sat']),
  )
  .map((fields) => fields.join(' '));

describe('a cron expression', () => {
  it.each([
    '0 3 1 * *',
    '*/15 * * * *',
    '0 0 1 1,4,7,10 *',
    '30 4 * * 1',
    '0 3 * * mon-fri',
    '0 3 * JAN-mar,12 SUN',
    '0 3 29 2 *',
    '5-50/15 0-23/6 * * 7',
  ])('%s is one', (text) => {
    expect(cronProblem(text)).toBeNull();
    expect(cronExpression.parse(text)).toBe(text);
  });

  it.each([
    ['every monday', 'expected five fields'],
    ['', 'expected five fields'],
    ['@monthly', 'expected five fields'],
    ['0 0 3 1 * *', 'there are 6'],
    ['0  3 1 * *', 'one space'],
    [' 0 3 1 * *', 'one space'],
    ['60 3 1 * *', 'minute "60": expected 0 to 59'],
    ['0 24 1 * *', 'hour "24": expected 0 to 23'],
    ['0 3 0 * *', 'day of the month "0": expected 1 to 31'],
    ['0 3 1 13 *', 'month "13": expected 1 to 12, or jan to dec'],
    ['0 3 * * 8', 'day of the week "8"'],
    ['0 3 * * tuesday', 'day of the week "tuesday": expected *'],
    ['0 3 * foo *', 'month "foo": expected 1 to 12, or jan to dec'],
    ['0 3 * * fri-mon', 'the range ends before it begins'],
    ['5/15 * * * *', 'through a range such as 5-59/15'],
    ['*/0 * * * *', 'expected a step from 1'],
    ['*/61 * * * *', 'expected a step from 1'],
    ['1,,2 * * * *', 'minute ""'],
    ['0 3 L * *', 'day of the month "l"'],
    ['0 3 * * 1#1', 'day of the week "1#1"'],
    ['0 3 1 * mon', 'some for either'],
    ['0 3 31 2,4 *', 'no month of 2,4 has a day 31'],
    ['-1 3 * * *', 'minute "-1"'],
  ])('%s is none, and says why', (text, words) => {
    expect(cronProblem(text)).toContain(words);
  });

  it('that is one is one for croner, which the back-test asks, and comes', () => {
    let taken = 0;
    fc.assert(
      fc.property(expression, (text) => {
        if (cronProblem(text) !== null) return;
        taken += 1;
        const cron = new Cron(text, { timezone: 'UTC', paused: true });
        expect(cron.nextRun(new Date('2026-01-01T00:00:00Z'))).not.toBeNull();
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it('that croner refuses is none', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789*/,- L#W?'), maxLength: 20 }), (text) => {
        const refused = ((): boolean => {
          try {
            return new Cron(text, { paused: true }).nextRun(new Date('2026-01-01T00:00:00Z')) === null;
          } catch {
            return true;
          }
        })();
        if (refused) expect(cronProblem(text)).not.toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });

  it('in a spec is checked where the spec is', () => {
    const columns = { target: 'churned', timestamp: 'at' };
    const read = (schedule: string) =>
      pipelineSpec.safeParse({ ...smallSpec(), columns, monitoring: {}, retraining: { on: { schedule } } });
    expect(read('0 3 1 * *').success).toBe(true);
    expect(read('every monday').error?.issues).toMatchObject([
      { path: ['retraining', 'on', 'schedule'], message: expect.stringContaining('minute, hour') },
    ]);
  });
});
