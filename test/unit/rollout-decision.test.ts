import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuardVerdict, RolloutStep } from '../../contracts/rollout.ts';
import { GUARDS, type GuardName, rolloutSpec, STRATEGIES } from '../../contracts/spec/rollout.ts';
import { decideStep } from '../../domain/rollout/decision.ts';
import { rolloutSteps } from '../../domain/rollout/plan.ts';
import { noTraffic } from '../../serving/evidence/traffic-sum.ts';
import { AT, SINCE } from '../support/rollout-windows.ts';

type Written = Parameters<typeof rolloutSpec.parse>[0];
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const TRAFFIC = ['invalidOutputs', 'errorRate', 'latency', 'predictions'] as const;

const verdict = (guard: GuardName, state: GuardVerdict['state']): GuardVerdict => ({
  guard,
  state,
  candidate: null,
  champion: null,
  limit: null,
  samples: { candidate: 0, champion: 0 },
  needed: 0,
  window: { since: SINCE, until: AT },
  message: `${guard} is ${state}`,
});
const all = (state: GuardVerdict['state'], guards: readonly GuardName[] = TRAFFIC) =>
  guards.map((guard) => verdict(guard, state));

/** A look at a step at the end of its hold with all that it needs, but for what the test says. */
function look(written: Written, change: Partial<Parameters<typeof decideStep>[0]> = {}, index = 0) {
  const plan = rolloutSpec.parse(written);
  const step = rolloutSteps(plan).at(index) as RolloutStep;
  return decideStep({
    plan,
    step,
    elapsedMs: step.holdMs,
    paused: false,
    requests: { candidate: 400, champion: 4_000 },
    verdicts: all('passed'),
    ...change,
  });
}
const canary = { strategy: 'canary' } as const;

describe('a step', () => {
  it('advances with its time, its requests and its guards', () => {
    const { next, reason } = look(canary);
    expect(next).toBe('advance');
    expect(reason).toBe(
      'canary at 5 % passed after 10m and 400 requests; invalidOutputs, errorRate, latency, predictions passed',
    );
  });

  it('is held for its time', () =>
    expect(look(canary, { elapsedMs: 10 * MINUTE - 1 })).toMatchObject({
      next: 'hold',
      reason: expect.stringContaining('is held for 10m'),
    }));

  it.each([
    ['of the candidate', { candidate: 99, champion: 4_000 }, '99 of 100 requests of the candidate'],
    ['of the champion', { candidate: 400, champion: 20 }, '20 of 100 requests of the champion'],
  ])('waits for requests %s', (_who, requests, reason) =>
    expect(look(canary, { requests })).toEqual({ next: 'hold', reason: `canary at 5 % waits: ${reason}` }),
  );

  it.each(TRAFFIC)('waits for guard %s', (guard) => {
    const others = TRAFFIC.filter((one) => one !== guard);
    const waiting = look(canary, { verdicts: [...all('passed', others), verdict(guard, 'waiting')] });
    expect(waiting).toEqual({ next: 'hold', reason: `canary at 5 % waits: ${guard} is waiting` });
    const missing = look(canary, { verdicts: all('passed', others) });
    expect(missing).toEqual({ next: 'hold', reason: `canary at 5 % waits: ${guard}: no verdict yet` });
  });

  it('does not wait for a guard that is turned off', () =>
    expect(
      look(
        { ...canary, guards: { latency: false } },
        { verdicts: all('passed', ['invalidOutputs', 'errorRate', 'predictions']) },
      ).next,
    ).toBe('advance'));

  it('needs labels where there is no probation', () => {
    const written = { ...canary, guards: { quality: {} } };
    expect(look(written)).toMatchObject({
      next: 'hold',
      reason: expect.stringContaining('quality: no verdict'),
    });
    expect(look(written, { verdicts: [...all('passed'), verdict('quality', 'passed')] }).next).toBe(
      'advance',
    );
    expect(look({ ...written, probation: {} }).next).toBe('advance');
  });

  it('is rolled back for the lack of data beyond its patience', () => {
    const { next, reason } = look(canary, {
      elapsedMs: DAY,
      requests: { candidate: 3, champion: 50_000 },
      verdicts: all('waiting'),
    });
    expect(next).toBe('rollback');
    expect(reason).toBe(
      'not enough data for canary at 5 % after 1d: 3 of 100 requests of the candidate; invalidOutputs is waiting; errorRate is waiting; latency is waiting; predictions is waiting',
    );
  });

  it('that has all advances even beyond its patience', () =>
    expect(look(canary, { elapsedMs: 2 * DAY }).next).toBe('advance'));

  it('that pauses does nothing', () => {
    for (const elapsedMs of [0, 10 * MINUTE, 2 * DAY])
      expect(look(canary, { paused: true, elapsedMs })).toEqual({
        next: 'hold',
        reason: 'canary at 5 % is paused',
      });
  });

  it('warms up until the champion has what the guards will need of it', () => {
    const warmUp = (requests: number, rows: number, guards: object = {}) =>
      look(
        { strategy: 'blue-green', guards },
        {
          requests: { candidate: 0, champion: 0 },
          verdicts: [],
          baseline: { ...noTraffic('1', 'champion'), requests, rows },
        },
      );
    expect(warmUp(200, 500).next).toBe('advance');
    expect(warmUp(199, 500)).toMatchObject({
      next: 'hold',
      reason: expect.stringContaining('199 of 200 requests of the champion before the switch'),
    });
    expect(warmUp(200, 499).reason).toContain('499 of 500 rows of the champion before the switch');
    const off = { errorRate: false, invalidOutputs: false, latency: false, predictions: false };
    expect(warmUp(0, 0, off).next).toBe('advance');
    expect(look({ strategy: 'blue-green' }, { verdicts: [] }).next).toBe('hold');
  });

  it('that is undecided is not promoted where it lacks requests, whatever the spec says', () => {
    const written = { strategy: 'ab', undecided: 'promote', guards: { quality: {} } } as const;
    const verdicts = [...all('passed'), verdict('quality', 'waiting')];
    const late = { elapsedMs: 30 * DAY, verdicts };
    expect(look(written, late).next).toBe('advance');
    expect(look(written, { ...late, requests: { candidate: 3, champion: 4_000 } })).toMatchObject({
      next: 'rollback',
      reason: expect.stringContaining('not enough data for ab at 50 %'),
    });
    expect(
      look(written, { ...late, verdicts: [...all('waiting'), verdict('quality', 'waiting')] }).next,
    ).toBe('rollback');
  });

  it('of blue-green needs no request of the champion, who has none', () =>
    expect(look({ strategy: 'blue-green' }, { requests: { candidate: 100, champion: 0 } }, 1).next).toBe(
      'advance',
    ));
});

describe('a breach', () => {
  it('is rolled back at once, with guard, window and numbers', () => {
    const verdicts = [
      verdict('invalidOutputs', 'breached'),
      ...all('waiting', ['errorRate', 'latency']),
      verdict('predictions', 'breached'),
    ];
    const expected = {
      next: 'rollback',
      reason: `guard invalidOutputs is breached in canary at 5 %, window ${SINCE} to ${AT}: invalidOutputs is breached; so are predictions`,
    };
    expect(look(canary, { elapsedMs: 0, verdicts, requests: { candidate: 1, champion: 0 } })).toEqual(
      expected,
    );
    expect(look(canary, { elapsedMs: 0, verdicts, paused: true })).toEqual(expected);
  });

  it('is rolled back in every step, for every guard, whatever else is true', () => {
    const looks = fc.record({
      elapsedMs: fc.integer({ min: 0, max: 40 * DAY }),
      paused: fc.boolean(),
      requests: fc.record({ candidate: fc.nat(), champion: fc.option(fc.nat()) }),
    });
    fc.assert(
      fc.property(
        looks,
        fc.constantFrom(...STRATEGIES),
        fc.constantFrom(...GUARDS),
        (change, strategy, guard) => {
          const plan = rolloutSpec.parse({
            strategy,
            guards: { quality: {} },
            undecided: 'promote',
            ...(strategy === 'ab' ? {} : { probation: {} }),
          });
          for (const step of rolloutSteps(plan)) {
            const verdicts = GUARDS.map((name) => verdict(name, name === guard ? 'breached' : 'better'));
            expect(decideStep({ plan, step, ...change, verdicts }).next).toBe('rollback');
          }
        },
      ),
    );
  });
});

it('nothing but probation and an A/B test passes without its requests', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 * DAY }),
      fc.integer({ min: 0, max: 99 }),
      fc.constantFrom('canary', 'shadow', 'blue-green'),
      (elapsedMs, candidate, strategy) => {
        const requests = { candidate, champion: 4_000 };
        expect(look({ strategy, undecided: 'promote' }, { elapsedMs, requests }, -1).next).not.toBe(
          'advance',
        );
      },
    ),
  );
});

describe('probation', () => {
  const written = { ...canary, guards: { quality: {} }, probation: { for: '30d' } };
  const verdicts = (state: GuardVerdict['state']) => [...all('waiting'), verdict('quality', state)];

  it('waits for labels alone', () => {
    expect(look(written, { verdicts: verdicts('waiting') }, -1)).toEqual({
      next: 'hold',
      reason: 'probation at 50 % waits: quality is waiting',
    });
    expect(look(written, { verdicts: verdicts('passed') }, -1).next).toBe('advance');
  });

  it.each([
    ['rollback', 'rollback'],
    ['promote', 'advance'],
  ] as const)('that stays undecided ends with %s', (undecided, next) => {
    const decision = look(
      { ...written, undecided },
      { elapsedMs: 30 * DAY, verdicts: verdicts('waiting') },
      -1,
    );
    expect(decision).toEqual({
      next,
      reason: `probation at 50 % is undecided, which means ${undecided}, after 30d: quality is waiting`,
    });
  });
});

describe('an A/B test', () => {
  const written = { strategy: 'ab', guards: { quality: {}, business: { metric: 'revenue' } } } as const;
  const verdicts = (quality: GuardVerdict['state'], business: GuardVerdict['state']) => [
    ...all('passed'),
    verdict('quality', quality),
    verdict('business', business),
  ];

  it.each([
    ['passed', 'passed', 'hold'],
    ['better', 'passed', 'advance'],
    ['passed', 'better', 'advance'],
    ['better', 'waiting', 'hold'],
    ['better', 'breached', 'rollback'],
  ] as const)('with quality %s and business %s: %s', (quality, business, next) =>
    expect(look(written, { verdicts: verdicts(quality, business) }).next).toBe(next),
  );

  it.each([
    ['rollback', 'rollback'],
    ['promote', 'advance'],
  ] as const)('that finds no difference by its end ends with %s', (undecided, next) => {
    const change = { elapsedMs: 14 * DAY, verdicts: verdicts('passed', 'passed') };
    expect(look({ ...written, undecided }, change)).toEqual({
      next,
      reason: `ab at 50 % is undecided, which means ${undecided}, after 14d: neither is significantly better: quality is passed; business is passed`,
    });
  });

  it('has nothing to find out without a champion', () =>
    expect(
      look(written, { requests: { candidate: 400, champion: null }, verdicts: verdicts('passed', 'passed') })
        .next,
    ).toBe('advance'));
});
