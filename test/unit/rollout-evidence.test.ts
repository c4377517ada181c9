import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type EvidenceLedger,
  evidenceLedger,
  MAX_LABELS,
  moments,
  type TrafficReport,
  type VersionTraffic,
} from '../../contracts/rollout-evidence.ts';
import {
  EARLIER_EPOCH,
  emptyLedger,
  KEPT_EPOCHS,
  mergedTraffic,
  trafficOf,
  withReport,
} from '../../domain/rollout/evidence.ts';
import { addValue, emptyMoments, mergedMoments } from '../../domain/rollout/moments.ts';
import { sketchCount } from '../../domain/rollout/sketch.ts';
import { SINCE, trafficOfAnswers } from '../support/rollout-windows.ts';

const report = (serverId: string, epoch: string, requests: number, generation = 7): TrafficReport => ({
  serverId,
  epoch,
  generation,
  versions: [trafficOfAnswers('4', requests, (i) => ({ number: i + 1, label: i % 2 ? 'a' : 'b' }))],
});
const ledgerWith = (...reports: TrafficReport[]): EvidenceLedger =>
  reports.reduce(withReport, emptyLedger(7, SINCE));
const requests = (ledger: EvidenceLedger): number | undefined => trafficOf(ledger, '4')?.requests;

describe('a ledger', () => {
  it('knows nothing of a version that nobody told of', () => {
    expect(trafficOf(emptyLedger(7, SINCE), '4')).toBeUndefined();
    expect(trafficOf(ledgerWith(report('a', '1', 3)), '5')).toBeUndefined();
  });

  it('adds up servers, and takes the last word of each', () => {
    const ledger = ledgerWith(report('a', '1', 3), report('b', '1', 5), report('a', '1', 10));
    expect(requests(ledger)).toBe(15);
    expect(ledger.reports).toHaveLength(2);
    const whole = trafficOf(ledger, '4');
    expect(whole && sketchCount(whole.latency)).toBe(15);
    expect(whole?.numbers.probability && sketchCount(whole.numbers.probability)).toBe(15);
    expect(whole?.labels.label).toEqual({ a: 7, b: 8 });
  });

  it('leaves out reports of another generation', () => {
    const ledger = ledgerWith(report('a', '1', 3));
    expect(withReport(ledger, report('a', '1', 9, 8))).toBe(ledger);
    expect(withReport(ledger, report('a', '1', 9, 6))).toBe(ledger);
  });

  it('does not go back where reports come in the wrong order', () =>
    expect(requests(ledgerWith(report('a', '1', 10), report('a', '1', 3)))).toBe(10));

  it('keeps what a server saw before it was started again', () =>
    expect(requests(ledgerWith(report('a', '1', 10), report('a', '2', 1)))).toBe(11));

  it('stays small beside a server that starts again and again, and loses no request', () => {
    let ledger = ledgerWith(report('b', '1', 7));
    for (let start = 1; start <= 60; start++) {
      ledger = withReport(ledger, report('a', `start ${start}`, 1));
      ledger = withReport(ledger, report('a', `start ${start}`, 2));
    }
    expect(requests(ledger)).toBe(7 + 120);
    expect(ledger.reports).toHaveLength(1 + KEPT_EPOCHS + 1);
    expect(ledger.reports.filter(({ epoch }) => epoch === EARLIER_EPOCH)).toMatchObject([{ serverId: 'a' }]);
    expect(evidenceLedger.parse(ledger)).toEqual(ledger);
  });

  it('holds what was counted, whatever the order of servers, starts and looks', () => {
    const telling = fc.record({
      server: fc.integer({ min: 0, max: 3 }),
      restart: fc.boolean(),
      more: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(telling, { maxLength: 40 }), (tellings) => {
        let ledger = emptyLedger(7, SINCE);
        const now = new Map<number, { epoch: number; count: number }>();
        let total = 0;
        for (const { server, restart, more } of tellings) {
          const before = now.get(server) ?? { epoch: 0, count: 0 };
          const next = restart
            ? { epoch: before.epoch + 1, count: more }
            : { ...before, count: before.count + more };
          now.set(server, next);
          total += more;
          ledger = withReport(ledger, report(`s${server}`, `${next.epoch}`, next.count));
        }
        expect(requests(ledger) ?? 0).toBe(total);
      }),
      { numRuns: 60 },
    );
  });
});

describe('merged traffic', () => {
  const one: VersionTraffic = {
    ...trafficOfAnswers('4', 4, (i) => (i > 1 ? { failure: 'crash' } : { label: 'constructor' })),
    role: 'shadow',
  };
  const other = trafficOfAnswers('4', 3, (i) =>
    i > 0 ? { failure: i > 1 ? 'crash' : 'invalid-output' } : { label: 'constructor' },
  );

  it('adds up failures by kind, and classes with names like those of an object', () => {
    expect(mergedTraffic(one, other)).toMatchObject({
      role: 'challenger',
      requests: 7,
      rows: 3,
      failures: { crash: 3, 'invalid-output': 1 },
      labels: { label: { constructor: 3 } },
    });
  });

  it('changes neither of the two', () => {
    const before = structuredClone([one, other]);
    mergedTraffic(one, other);
    expect([one, other]).toEqual(before);
  });

  it('keeps the most frequent classes', () => {
    const many = (from: number): VersionTraffic => ({
      ...trafficOfAnswers('4', 0),
      labels: { label: Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`c${from + i}`, 1 + i])) },
    });
    const labels = mergedTraffic(many(0), many(80)).labels.label ?? {};
    expect(Object.keys(labels)).toHaveLength(MAX_LABELS + 1);
    expect(Object.values(labels).reduce((sum, counted) => sum + counted, 0)).toBe(80 * 81);
    expect(labels.c159).toBe(80);
    expect(labels.c80).toBeUndefined();
  });
});

describe('moments', () => {
  const numbers = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { maxLength: 50 });
  const of = (values: readonly number[]) => values.reduce(addValue, emptyMoments());

  it('of parts are those of the whole', () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const parts = mergedMoments(of(a), of(b));
        const whole = of([...a, ...b]);
        expect(parts).toMatchObject({ count: whole.count, min: whole.min, max: whole.max });
        expect(Math.abs(parts.mean - whole.mean)).toBeLessThan(1e-6);
        expect(Math.abs(parts.m2 - whole.m2)).toBeLessThanOrEqual(1e-9 * Math.max(whole.m2, 1e6));
        expect(moments.parse(parts)).toEqual(parts);
      }),
    );
  });

  it('are exact where two passes would be, far from 0', () => {
    const { mean, m2 } = of([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]);
    expect([mean, m2]).toEqual([1e9 + 10, 90]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('refuse %d', (value) =>
    expect(() => addValue(emptyMoments(), value)).toThrow(RangeError),
  );
});
