import { describe, expect, it } from 'vitest';
import { rolloutStep } from '../../contracts/rollout.ts';
import { rolloutSpec, STRATEGIES } from '../../contracts/spec/rollout.ts';
import { rolloutSteps } from '../../domain/rollout/plan.ts';

type Written = Parameters<typeof rolloutSpec.parse>[0];
const steps = (spec: Written) => rolloutSteps(rolloutSpec.parse(spec));
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const judged = { guards: { quality: {} } };
const probation = { ...judged, probation: {} };

describe('the steps', () => {
  it('of direct are none', () => expect(steps({})).toEqual([]));

  it('of a canary are its own', () => {
    expect(
      steps({
        strategy: 'canary',
        steps: [{ share: 1, hold: '2m', minRequests: 7 }, { share: 20 }],
        patience: '6h',
      }),
    ).toEqual([
      {
        name: 'canary',
        share: 1,
        role: 'challenger',
        holdMs: 2 * MINUTE,
        minRequests: 7,
        patienceMs: 360 * MINUTE,
        lookMs: 6_000,
        needsLabels: false,
        needsTraffic: true,
      },
      {
        name: 'canary',
        share: 20,
        role: 'challenger',
        holdMs: 10 * MINUTE,
        minRequests: 100,
        patienceMs: 360 * MINUTE,
        lookMs: 30_000,
        needsLabels: false,
        needsTraffic: true,
      },
    ]);
  });

  it('of blue-green are a warm-up that needs nothing, and the switch', () => {
    expect(steps({ strategy: 'blue-green', hold: '1m', minRequests: 50 })).toMatchObject([
      { name: 'warm-up', share: 0, holdMs: 0, minRequests: 0, needsTraffic: false, needsLabels: false },
      { name: 'blue-green', share: 100, holdMs: MINUTE, minRequests: 50, needsTraffic: true },
    ]);
  });

  it.each([
    [undefined, 100],
    [20, 20],
  ])('of a shadow with share %s are one at %d %%', (share, expected) => {
    expect(steps({ strategy: 'shadow', share })).toMatchObject([
      { name: 'shadow', role: 'shadow', share: expected, holdMs: 10 * MINUTE, needsTraffic: true },
    ]);
  });

  it.each([
    [undefined, 50],
    [10, 10],
  ])('of an A/B test with share %s are one at %d %% until its end', (share, expected) => {
    expect(steps({ strategy: 'ab', share, end: '7d', ...judged })).toMatchObject([
      {
        name: 'ab',
        share: expected,
        role: 'challenger',
        holdMs: 0,
        patienceMs: 7 * DAY,
        lookMs: MINUTE,
        needsLabels: true,
        needsTraffic: true,
      },
    ]);
  });
});

describe('labels', () => {
  it('are needed in each step where there is no probation', () =>
    expect(steps({ strategy: 'canary', ...judged }).map(({ needsLabels }) => needsLabels)).toEqual([
      true,
      true,
      true,
    ]));

  it('are needed in probation alone where there is one', () =>
    expect(steps({ strategy: 'canary', ...probation }).map(({ needsLabels }) => needsLabels)).toEqual([
      false,
      false,
      false,
      true,
    ]));

  it.each(['direct', 'blue-green'])(
    'cannot be asked for of %s without probation, which leaves nothing to compare with',
    (strategy) => {
      const { error } = rolloutSpec.safeParse({ strategy, ...judged });
      expect(error?.issues.map(({ path, message }) => [path, message])).toEqual([
        [['guards'], expect.stringContaining('add probation')],
      ]);
      expect(rolloutSpec.safeParse({ strategy, ...probation }).success).toBe(true);
    },
  );
});

describe('probation', () => {
  it.each([
    ['direct', 90, 'challenger'],
    ['blue-green', 90, 'challenger'],
    ['canary', 50, 'challenger'],
    ['shadow', 100, 'shadow'],
  ] as const)('of %s keeps a share of %d %% as %s', (strategy, share, role) => {
    expect(steps({ strategy, ...judged, probation: { for: '20d', look: '2h' } }).at(-1)).toEqual({
      name: 'probation',
      share,
      role,
      holdMs: 0,
      minRequests: 0,
      patienceMs: 20 * DAY,
      lookMs: 120 * MINUTE,
      needsLabels: true,
      needsTraffic: strategy === 'direct',
    });
  });

  it('has a share of its own where it is told', () =>
    expect(steps({ strategy: 'canary', ...judged, probation: { share: 30 } }).at(-1)?.share).toBe(30));
});

describe('every step', () => {
  it.each(STRATEGIES)('of %s is one of the contract, and is looked at often enough', (strategy) => {
    for (const hold of ['1ms', '5s', '10m', '30d']) {
      const spec = strategy === 'ab' ? judged : probation;
      for (const step of steps({ strategy, hold, ...spec, ...(strategy === 'ab' ? { end: '2s' } : {}) })) {
        expect(rolloutStep.parse(step)).toEqual(step);
        if (step.name !== 'probation') expect(step.lookMs).toBeGreaterThanOrEqual(1_000);
        if (step.name !== 'probation') expect(step.lookMs).toBeLessThanOrEqual(60_000);
      }
    }
  });
});
