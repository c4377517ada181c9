import { describe, expect, it } from 'vitest';
import { duration, durationMs } from '../../contracts/durations.ts';

describe('a duration', () => {
  it.each([
    ['1ms', 1],
    ['500ms', 500],
    ['90s', 90_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['3650d', 315_360_000_000],
  ])('%s is %d ms', (text, ms) => {
    expect(duration.parse(text)).toBe(text);
    expect(durationMs(text)).toBe(ms);
  });

  it.each(['', '10', 's', '-5s', '5 m', '1e3s', '1h30m', '10M', '.5s', 'seven days', '١٠s'])(
    '"%s" is none',
    (text) => {
      expect(duration.safeParse(text).success).toBe(false);
      expect(() => durationMs(text)).toThrow(RangeError);
    },
  );

  it.each(['0s', '0.5ms', '0.0w', '3651d', '600w', `${'9'.repeat(400)}w`])(
    'is not as short or as long as %s: Temporal and JavaScript could not keep it',
    (text) => {
      expect(duration.safeParse(text).error?.issues).toMatchObject([
        { message: 'a duration from 1ms to 3650d' },
      ]);
    },
  );

  it('names the mistake once where it is no duration at all', () => {
    expect(duration.safeParse('soon').error?.issues).toMatchObject([
      { message: 'a duration such as 30s, 10m, 2h or 7d' },
    ]);
  });
});
