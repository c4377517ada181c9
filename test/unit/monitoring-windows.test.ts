import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs } from '../../contracts/durations.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { servedAfter, servedSince } from '../../domain/monitoring/served.ts';
import {
  endedWindows,
  filledWindows,
  windowEnd,
  windowStart,
  withLabelled,
} from '../../domain/monitoring/windows.ts';
import { dayWindow } from '../support/window-reports.ts';

type TimeLength = Parameters<typeof windowStart>[0];

const iso = (ms: number): string => new Date(ms).toISOString();
/** The window that a moment lies in. */
const around = (length: TimeLength, at: string): [string, string] => {
  const start = windowStart(length, Date.parse(at));
  return [iso(start), iso(windowEnd(length, start))];
};

describe('windows by time', () => {
  it.each<[TimeLength, string, string, string]>([
    // The year 2009 began on a Thursday.
    ['week', '2009-01-01T12:00:00Z', '2008-12-29', '2009-01-05'],
    ['week', '2008-12-29T00:00:00Z', '2008-12-29', '2009-01-05'],
    ['week', '2008-12-28T23:59:59.999Z', '2008-12-22', '2008-12-29'],
    ['week', '2012-02-29T10:00:00Z', '2012-02-27', '2012-03-05'],
    ['week', '1969-12-31T10:00:00Z', '1969-12-29', '1970-01-05'],
    ['month', '2008-12-31T23:59:59Z', '2008-12-01', '2009-01-01'],
    ['month', '2012-02-29T23:59:59Z', '2012-02-01', '2012-03-01'],
    ['month', '2011-02-28T10:00:00Z', '2011-02-01', '2011-03-01'],
    ['month', '2100-02-10T10:00:00Z', '2100-02-01', '2100-03-01'],
    ['1d', '2012-02-29T10:00:00Z', '2012-02-29', '2012-03-01'],
    ['6h', '2012-02-29T10:00:00Z', '2012-02-29T06:00', '2012-02-29T12:00'],
  ])('a %s around %s is from %s to %s', (length, at, from, before) => {
    const whole = (text: string): string => new Date(text.includes('T') ? `${text}Z` : text).toISOString();
    expect(around(length, at)).toEqual([whole(from), whole(before)]);
  });

  it('a year has 12 months, and 52 or 53 weeks, of which each ends where the next begins', () => {
    for (let year = 1999; year < 2030; year++) {
      const next = `${year}-01-01T00:00:00.000Z`;
      const asOf = `${year + 1}-01-01T00:00:00.000Z`;
      const months = endedWindows('month', { next, index: 0 }, asOf, 99);
      expect(months).toHaveLength(12);
      expect(months.at(-1)?.before).toBe(asOf);
      expect(months[1]?.before).toBe(`${year}-03-01T00:00:00.000Z`);
      const monday = iso(windowStart('week', Date.parse(next)));
      const weeks = endedWindows('week', { next: monday, index: 0 }, asOf, 99);
      expect([52, 53]).toContain(weeks.length);
    }
  });

  it('a window that has not ended is none yet; at its end it is', () => {
    const at = { next: '2026-11-20T00:00:00.000Z', index: 7 };
    expect(endedWindows('1d', at, '2026-11-20T23:59:59.999Z', 10)).toEqual([]);
    expect(endedWindows('1d', at, '2026-11-21T00:00:00Z', 10)).toEqual([
      { index: 7, from: '2026-11-20T00:00:00.000Z', before: '2026-11-21T00:00:00.000Z' },
    ]);
    expect(endedWindows('1d', at, '2026-11-10T00:00:00Z', 10)).toEqual([]);
  });

  it('a look in another zone means the same moment', () => {
    const at = { next: '2026-11-20T00:00:00.000Z', index: 0 };
    expect(endedWindows('1d', at, '2026-11-21T01:00:00+02:00', 10)).toEqual([]);
    expect(endedWindows('1d', at, '2026-11-21T02:00:00+02:00', 10)).toHaveLength(1);
  });

  it('after a change of the length the first one is shorter: nothing is looked at twice', () => {
    const next = '2026-11-20T00:00:00.000Z';
    const [first, second] = endedWindows('month', { next, index: 3 }, '2027-02-01T00:00:00Z', 10);
    expect(first).toEqual({ index: 3, from: next, before: '2026-12-01T00:00:00.000Z' });
    expect(second?.from).toBe('2026-12-01T00:00:00.000Z');
  });
});

describe('windows of so many rows', () => {
  it('each ends where the next begins, and the last one waits for its end', () => {
    const starts = [3, 5, 9].map((second) => iso(second * 1_000));
    expect(filledWindows(starts, { next: iso(0), index: 4 })).toEqual([
      { index: 4, from: iso(3_000), before: iso(5_000) },
      { index: 5, from: iso(5_000), before: iso(9_000) },
    ]);
    expect(filledWindows(starts.slice(0, 1), { next: iso(0), index: 4 })).toEqual([]);
    expect(filledWindows([], { next: iso(0), index: 4 })).toEqual([]);
  });
});

const days = (from: number, count: number): ObservedWindow[] =>
  Array.from({ length: count }, (_, i) => dayWindow(from + i));

describe('the part of the past whose truth has come', () => {
  it('without a delay it is the window itself', () => {
    const [due] = withLabelled(days(0, 1), { earlier: [], judgedThrough: null }, undefined);
    expect(due).toEqual({ window: dayWindow(0), labelled: dayWindow(0) });
  });

  it('with a delay of two windows it is the one before the one before', () => {
    const due = withLabelled(days(0, 5), { earlier: [], judgedThrough: null }, '2d');
    expect(due.map(({ labelled }) => labelled?.index ?? null)).toEqual([null, null, 0, 1, 2]);
    expect(due[2]?.labelled).toEqual(dayWindow(0));
  });

  it('a delay that is shorter than a window, and one that is no multiple of it, wait for the end of a window', () => {
    const due = withLabelled(days(0, 4), { earlier: [], judgedThrough: null }, '36h');
    expect(due.map(({ labelled }) => labelled?.index ?? null)).toEqual([null, null, 0, 1]);
    const short = withLabelled(days(0, 2), { earlier: [], judgedThrough: null }, '1h');
    expect(short.map(({ labelled }) => labelled?.index ?? null)).toEqual([null, 0]);
  });

  it('what nobody judged in the meantime is one part', () => {
    const past = { earlier: days(0, 9), judgedThrough: dayWindow(2).before };
    const [due] = withLabelled(days(9, 1), past, '1d');
    expect(due?.labelled).toEqual({ index: 8, from: dayWindow(3).from, before: dayWindow(8).before });
  });

  it('a delay that grows waits; nothing is judged again', () => {
    const past = { earlier: days(0, 9), judgedThrough: dayWindow(8).before };
    expect(withLabelled(days(9, 3), past, '3d').map(({ labelled }) => labelled)).toEqual([null, null, null]);
  });

  it('a delay that is longer than windows are remembered still finds its part', () => {
    const past = { earlier: days(60, 5), judgedThrough: dayWindow(29).before, since: dayWindow(0).from };
    const due = withLabelled(days(65, 2), past, '35d');
    expect(due.map(({ labelled }) => labelled)).toEqual([dayWindow(30), dayWindow(31)]);
    const never = { earlier: days(60, 5), judgedThrough: null, since: dayWindow(0).from };
    expect(withLabelled(days(65, 1), never, '35d')[0]?.labelled).toEqual({
      index: 30,
      from: dayWindow(0).from,
      before: dayWindow(30).before,
    });
  });
});

/** Windows that a state remembers, small enough to be forgotten within a story. */
const TREND = 12;

interface Look {
  hours: number;
  limit: number;
}

/** Looks at an endpoint again and again, as the plan of the monitor does; late, seldom, a few windows at a time. */
function watchedBy(
  length: TimeLength,
  since: string,
  looks: readonly Look[],
  delay: string | undefined,
): { windows: ObservedWindow[]; parts: { of: ObservedWindow; by: ObservedWindow }[] } {
  let trend: ObservedWindow[] = [];
  let judgedThrough: string | null = null;
  let progress = { next: since, index: 0 };
  const windows: ObservedWindow[] = [];
  const parts: { of: ObservedWindow; by: ObservedWindow }[] = [];
  let now = Date.parse(since);
  for (const { hours, limit } of looks) {
    now += hours * 3_600_000;
    const ended = endedWindows(length, progress, iso(now), limit);
    for (const { window, labelled } of withLabelled(ended, { earlier: trend, judgedThrough, since }, delay)) {
      windows.push(window);
      if (labelled) parts.push({ of: labelled, by: window });
      judgedThrough = labelled?.before ?? judgedThrough;
      trend = [...trend, window].slice(-TREND);
      progress = { next: window.before, index: window.index + 1 };
    }
  }
  return { windows, parts };
}

describe('whatever the delay, the length and the looks', () => {
  it('no gap, no overlap, and each part of the past is judged once', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<TimeLength>('1h', '5h', '1d', '7d', 'week', 'month'),
        fc.integer({ min: 0, max: 40_000 }),
        fc.array(
          fc.record({ hours: fc.integer({ min: 0, max: 1_500 }), limit: fc.integer({ min: 1, max: 30 }) }),
          { minLength: 1, maxLength: 30 },
        ),
        fc.constantFrom(undefined, '1h', '26h', '3d', '30d', '365d'),
        (length, startHours, looks, delay) => {
          const since = iso(windowStart(length, Date.parse('2007-12-01T00:00:00Z') + startHours * 3_600_000));
          const { windows, parts } = watchedBy(length, since, looks, delay);
          for (const [i, { index, from, before }] of windows.entries()) {
            expect(index).toBe(i);
            expect(from).toBe(windows[i - 1]?.before ?? since);
            expect(around(length, from)).toEqual([from, before]);
          }
          const late = delay === undefined ? 0 : durationMs(delay);
          for (const [i, { of, by }] of parts.entries()) {
            expect(of.from).toBe(parts[i - 1]?.of.before ?? since);
            expect(Date.parse(of.before)).toBeGreaterThan(Date.parse(of.from));
            expect(Date.parse(of.before)).toBeLessThanOrEqual(Date.parse(by.before) - late);
            expect(of.index).toBeLessThanOrEqual(by.index);
          }
          // Nothing whose truth has come is left out: each window that ended so long ago is within a part.
          const last = windows.at(-1);
          const through = parts.at(-1)?.of.before ?? since;
          for (const { before } of windows)
            if (last && Date.parse(before) <= Date.parse(last.before) - late)
              expect(Date.parse(before)).toBeLessThanOrEqual(Date.parse(through));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the version that answered', () => {
  const seen = (version: string | null, index: number) => ({ version, window: dayWindow(index) });

  it('serves since the first window in which it answered most', () => {
    expect(servedSince([])).toBeNull();
    expect(servedSince([seen(null, 0)])).toBeNull();
    expect(servedSince([seen('1', 0), seen('1', 1), seen('2', 2), seen('2', 3)])).toEqual({
      version: '2',
      since: dayWindow(2).from,
    });
  });

  it('a window without an answer changes nothing; a version that comes back serves anew', () => {
    const back = servedSince([seen('1', 0), seen(null, 1), seen('1', 2), seen('2', 3), seen('1', 4)]);
    expect(back).toEqual({ version: '1', since: dayWindow(4).from });
    expect(servedAfter(back, seen(null, 5))).toEqual(back);
    expect(servedAfter(back, seen('1', 6))).toEqual(back);
  });
});
