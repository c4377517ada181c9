import { describe, expect, it } from 'vitest';
import { isEpochSeconds, parseIsoSeconds } from '../../serving/input/datetime.ts';

describe('parseIsoSeconds', () => {
  it.each([
    ['1970-01-01', 0],
    ['2024-02-29', 1_709_164_800],
    ['2024-02-29T00:00', 1_709_164_800],
    ['2024-02-29 00:00:01', 1_709_164_801],
    ['2024-02-29T00:00:01.5Z', 1_709_164_801.5],
    ['2024-02-29T00:00:00.125', 1_709_164_800.125],
    ['1970-01-01T00:00:00.000000001', 1e-9],
    ['2024-02-29T02:00:00+02:00', 1_709_164_800],
    ['2024-02-28T18:30:00-0530', 1_709_164_800],
    ['0001-01-01', -62_135_596_800],
    ['0099-12-31T23:59:59Z', -59_011_459_201],
    ['9999-12-31T23:59:59Z', 253_402_300_799],
  ])('reads %s', (text, seconds) => {
    expect(parseIsoSeconds(text)).toBe(seconds);
  });

  it.each([
    '',
    'yesterday',
    '2023-02-29',
    '2024-04-31',
    '2024-13-01',
    '2024-00-10',
    '2024-01-00',
    '0000-01-01',
    '2024-01-01T24:00',
    '2024-01-01T12:60',
    '2024-01-01T12:00:60',
    '2024-01-01T12:00:00+24:00',
    '2024-01-01T12',
    '2024-1-1',
    '20240101',
    '01/02/2024',
    ' 2024-01-01',
    '2024-01-01T12:00:00ZZ',
    '2024-01-01Z',
    '2024-01-01T00:00:00.1234567890Z',
  ])('refuses "%s"', (text) => {
    expect(parseIsoSeconds(text)).toBeUndefined();
  });

  it('agrees with Date on every day of 400 years', () => {
    for (let day = -73_000; day < 73_000; day += 1) {
      const text = new Date(day * 86_400_000).toISOString();
      if (parseIsoSeconds(text) !== day * 86_400) throw new Error(text);
    }
  });

  it('takes epoch seconds of our days and no milliseconds', () => {
    expect(isEpochSeconds(1_700_000_000)).toBe(true);
    expect(isEpochSeconds(-1)).toBe(true);
    expect(isEpochSeconds(1_700_000_000_000)).toBe(false);
    expect(isEpochSeconds(Number.POSITIVE_INFINITY)).toBe(false);
    expect(isEpochSeconds(Number.NaN)).toBe(false);
  });
});
