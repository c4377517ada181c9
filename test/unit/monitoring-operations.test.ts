import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coveredShare } from '../../lib/monitoring/operations.ts';
import { countedSince, countersOf } from '../../lib/monitoring/server-counters.ts';

const PAGE = `# HELP perennial_requests_total Requests.
# TYPE perennial_requests_total counter
perennial_requests_total{endpoint="bank",version="3",code="200"} 41
perennial_requests_total{endpoint="bank",version="4",code="200"} 1e+2
perennial_requests_total{endpoint="bank",version="3",code="422"} 5
perennial_requests_total{endpoint="bank",version="3",code="500"} 2
perennial_requests_total{endpoint="bank",version="3",code="504"} 1
perennial_requests_total{endpoint="bank2",version="3",code="500"} 1000
perennial_requests_total{endpoint="a \\"b\\" {c}, d=\\"e\\"",version="1",code="503"} 7
perennial_invalid_inputs_total{endpoint="bank",version="3"} 6
perennial_invalid_outputs_total{endpoint="bank",version="3"} 4
perennial_request_seconds_bucket{endpoint="bank",le="0.1"} 9
other_requests_total{endpoint="bank",code="500"} 9
process_start_time_seconds{process="0"} 1700000000
not a sample
`;

describe('what a page of metrics says of an endpoint', () => {
  it('all versions together, failures and refusals by their codes', () => {
    expect(countersOf(PAGE, 'bank')).toEqual({
      requests: 149,
      failed: 3,
      refused: 5,
      invalidInputs: 6,
      invalidOutputs: 4,
      startedAt: 1_700_000_000,
    });
  });

  it('a name with quotes, braces and commas is that name', () => {
    expect(countersOf(PAGE, 'a "b" {c}, d="e"')).toMatchObject({ requests: 7, failed: 7 });
  });

  it('an endpoint of which it says nothing has counted nothing', () => {
    expect(countersOf(PAGE, 'ban')).toMatchObject({ requests: 0, failed: 0 });
    expect(countersOf('', 'bank').requests).toBe(0);
  });
});

const counted = (requests: number, failed = 0) => ({
  requests,
  failed,
  refused: 0,
  invalidInputs: 0,
  invalidOutputs: 0,
  startedAt: 0,
});

/** All servers of these tests started within the window, where nothing else is said. */
const FROM = '1970-01-01T00:00:00Z';

describe('what was counted between two readings', () => {
  it('nobody was asked, or nobody answered: it is not known', () => {
    expect(countedSince({ a: counted(9) }, null, FROM)).toBeNull();
    expect(countedSince({ a: counted(9) }, {}, FROM)).toBeNull();
  });

  it('all servers together; one that is new has counted from 0', () => {
    expect(countedSince({ a: counted(100, 3) }, { a: counted(140, 4), b: counted(7, 7) }, FROM)).toEqual(
      counted(47, 8),
    );
  });

  it('a server that started afresh has counted from 0', () => {
    expect(countedSince({ a: counted(100, 3) }, { a: counted(12, 1) }, FROM)).toEqual(counted(12, 1));
  });

  it('one that started afresh and has answered more than before is found by any counter that fell', () => {
    expect(countedSince({ a: counted(100, 30) }, { a: counted(150, 2) }, FROM)).toEqual(counted(150, 2));
  });

  it('one that was never read and started before the window says nothing', () => {
    const old = { ...counted(1_000_000, 300_000), startedAt: 1_600_000_000 };
    expect(countedSince({}, { a: old }, '2026-11-01T00:00:00Z')).toBeNull();
    expect(countedSince({ b: counted(3) }, { a: old, b: counted(5) }, '2026-11-01T00:00:00Z')).toEqual(
      counted(2),
    );
  });

  it('one that did not answer is left out', () => {
    expect(countedSince({ a: counted(5), b: counted(50) }, { a: counted(6) }, FROM)).toEqual(counted(1));
  });
});

describe('the share of a window that is covered', () => {
  const window = { from: 0, before: 100 };

  it.each([
    ['nothing', [], 0],
    ['all of it', [{ from: -5, before: 500 }], 1],
    [
      'two that overlap',
      [
        { from: 20, before: 60 },
        { from: 0, before: 40 },
      ],
      0.6,
    ],
    [
      'one within another',
      [
        { from: 10, before: 90 },
        { from: 20, before: 30 },
      ],
      0.8,
    ],
    [
      'a gap',
      [
        { from: 0, before: 10 },
        { from: 90, before: 100 },
      ],
      0.2,
    ],
    [
      'what touches it',
      [
        { from: -10, before: 0 },
        { from: 100, before: 110 },
      ],
      0,
    ],
    ['what ends before it begins', [{ from: 50, before: 40 }], 0],
  ])('%s', (_, intervals, share) => {
    expect(coveredShare(window, intervals)).toBeCloseTo(share);
  });

  it('a window without length is covered by nothing', () => {
    expect(coveredShare({ from: 5, before: 5 }, [{ from: 0, before: 9 }])).toBe(0);
  });

  it('is what counting each moment gives, in any order', () => {
    const interval = fc
      .tuple(fc.integer({ min: -20, max: 120 }), fc.integer({ min: 0, max: 60 }))
      .map(([from, length]) => ({ from, before: from + length }));
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 12 }), (intervals) => {
        const moments = Array.from({ length: 100 }, (_, at) => at);
        const covered = moments.filter((at) =>
          intervals.some(({ from, before }) => from <= at && at < before),
        ).length;
        expect(coveredShare(window, intervals)).toBeCloseTo(covered / 100);
      }),
    );
  });
});
