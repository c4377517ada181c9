import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guardVerdict } from '../../contracts/rollout.ts';
import { emptyLedger } from '../../domain/rollout/evidence.ts';
import { shareText } from '../../domain/rollout/guards/words.ts';
import {
  type Answer,
  AT,
  CANDIDATE,
  CHAMPION,
  ledgerOf,
  SINCE,
  stepOf,
  trafficOfAnswers,
  verdictsOn,
} from '../support/rollout-windows.ts';

/** Answers of both that are alike: latencies of 5 to 15 ms, numbers and labels of the same shares. */
const usual = (i: number): Answer => ({
  latency: 5 + (i % 11),
  number: ((i * 37) % 100) / 100,
  label: i % 5 === 0 ? 'yes' : 'no',
});
const failing =
  (failure: NonNullable<Answer['failure']>, every: number) =>
  (i: number): Answer =>
    i % every === 0 ? { ...usual(i), failure } : usual(i);
const candidate = (requests: number, answer = usual) => trafficOfAnswers(CANDIDATE, requests, answer);
const champion = (requests: number, answer = usual) => trafficOfAnswers(CHAMPION, requests, answer);
const states = (verdicts: ReturnType<typeof verdictsOn>) =>
  Object.fromEntries(verdicts.map(({ guard, state }) => [guard, state]));
const one = (verdicts: ReturnType<typeof verdictsOn>, guard: string) => {
  const found = verdicts.find((verdict) => verdict.guard === guard);
  if (!found) throw new Error(`no verdict of ${guard}`);
  return found;
};

const PASSED = { invalidOutputs: 'passed', errorRate: 'passed', latency: 'passed', predictions: 'passed' };
const WAITING = {
  invalidOutputs: 'waiting',
  errorRate: 'waiting',
  latency: 'waiting',
  predictions: 'waiting',
};

describe('guards on traffic', () => {
  it('pass for a candidate that is like the champion', () => {
    const verdicts = verdictsOn(ledgerOf(candidate(600), champion(4_000)));
    expect(states(verdicts)).toEqual(PASSED);
    for (const verdict of verdicts) {
      expect(guardVerdict.parse(verdict)).toEqual(verdict);
      expect(verdict.window).toEqual({ since: SINCE, until: AT });
    }
  });

  it.each([
    ['nothing at all', ledgerOf()],
    ['no candidate', ledgerOf(champion(4_000))],
    ['a candidate with too little', ledgerOf(candidate(99), champion(4_000))],
    ['a champion with too little', ledgerOf(candidate(4_000), champion(99))],
    ['an empty ledger', emptyLedger(7, SINCE)],
  ])('wait for data, and never pass, with %s', (_what, ledger) =>
    expect(states(verdictsOn(ledger))).toEqual(WAITING),
  );

  it('have a minimum each', () => {
    expect(states(verdictsOn(ledgerOf(candidate(100), champion(100))))).toEqual({
      ...WAITING,
      errorRate: 'passed',
      invalidOutputs: 'passed',
    });
    expect(states(verdictsOn(ledgerOf(candidate(200), champion(200))))).toEqual({
      ...PASSED,
      predictions: 'waiting',
    });
  });

  it('that are turned off are left out', () => {
    const guards = { errorRate: false, latency: false } as const;
    expect(verdictsOn(ledgerOf(), { guards }).map(({ guard }) => guard)).toEqual([
      'invalidOutputs',
      'predictions',
    ]);
  });
});

it('nothing passes below its minimum, and every verdict is one of the contract, whatever was counted', () => {
  const side = fc.record({
    requests: fc.integer({ min: 0, max: 250 }),
    failures: fc.integer({ min: 0, max: 250 }),
    invalid: fc.integer({ min: 0, max: 250 }),
    latency: fc.double({ min: 0, max: 1e6, noNaN: true }),
    number: fc.double({ min: -1e12, max: 1e12, noNaN: true }),
  });
  fc.assert(
    fc.property(side, side, fc.option(fc.constant(CHAMPION)), (own, other, serving) => {
      const of = (version: string, { requests, failures, invalid, latency, number }: typeof own) =>
        trafficOfAnswers(version, requests, (i) => ({
          latency: latency * (1 + (i % 7)),
          number: number * (i % 5),
          ...(i < invalid
            ? { failure: 'invalid-output' }
            : i < invalid + failures
              ? { failure: 'error' }
              : {}),
        }));
      const verdicts = verdictsOn(ledgerOf(of(CANDIDATE, own), of(CHAMPION, other)), { champion: serving });
      expect(verdicts).toHaveLength(4);
      for (const verdict of verdicts) {
        expect(guardVerdict.parse(verdict)).toEqual(verdict);
        const { state, samples, needed } = verdict;
        const fewest = serving === null ? samples.candidate : Math.min(samples.candidate, samples.champion);
        if (state === 'passed') expect(fewest).toBeGreaterThanOrEqual(needed);
        expect(['waiting', 'passed', 'breached']).toContain(state);
      }
    }),
    { numRuns: 60 },
  );
});

describe('failures', () => {
  it('are counted with numbers in a sentence', () => {
    const ledger = ledgerOf(
      candidate(120, (i) => (i < 37 ? { failure: i % 2 ? 'crash' : 'deadline' } : usual(i))),
      champion(2_281, (i) => (i < 2 ? { failure: 'error' } : usual(i))),
    );
    const found = one(verdictsOn(ledger), 'errorRate');
    expect(found).toMatchObject({
      state: 'breached',
      candidate: 37 / 120,
      champion: 2 / 2_281,
      limit: 2 / 2_281 + 0.01,
      samples: { candidate: 120, champion: 2_281 },
      needed: 100,
      message:
        'errorRate: 37 of 120 requests failed (31 %), the champion 2 of 2,281 (0.1 %); allowed is 1 % more',
    });
  });

  it('of a candidate that answers NaN are named as that, and first', () => {
    const ledger = ledgerOf(candidate(30, failing('invalid-output', 1)), champion(570));
    const verdicts = verdictsOn(ledger);
    expect(verdicts[0]).toMatchObject({ guard: 'invalidOutputs', state: 'breached' });
    expect(verdicts.filter(({ state }) => state === 'breached')).toHaveLength(1);
    expect(one(verdicts, 'errorRate').candidate).toBe(0);
    expect(verdicts[0]?.message).toBe(
      'invalidOutputs: 30 of 30 requests had NaN, infinity or nothing in the answer (100 %), the champion 0 of 570 (0 %); allowed is 0.1 % more',
    );
  });

  it.each(['crash', 'deadline', 'refused-input', 'error', 'overload'] as const)(
    'by %s are errors, and found long before the minimum',
    (kind) => {
      const verdicts = verdictsOn(ledgerOf(candidate(6, failing(kind, 1)), champion(114)));
      expect(states(verdicts)).toMatchObject({ errorRate: 'breached', invalidOutputs: 'waiting' });
    },
  );

  it('for want of features are the candidate’s where only it fails, and named', () => {
    const ledger = ledgerOf(candidate(60, failing('features', 2)), champion(1_140));
    expect(one(verdictsOn(ledger), 'errorRate')).toMatchObject({
      state: 'breached',
      message:
        'errorRate: 30 of 60 requests failed (50 %), the champion 0 of 1,140 (0 %); allowed is 1 % more; 30 of them because features could not be looked up',
    });
  });

  it('of a champion that gets no features excuse no candidate', () => {
    const broken = candidate(400, failing('error', 4));
    const without = champion(4_000, failing('features', 4));
    expect(one(verdictsOn(ledgerOf(broken, without)), 'errorRate')).toMatchObject({
      state: 'breached',
      champion: 0,
      samples: { champion: 3_000 },
    });
    expect(states(verdictsOn(ledgerOf(candidate(400), without)))).toMatchObject({ errorRate: 'passed' });
  });

  it('that the champion has as well are no reason', () =>
    expect(
      states(verdictsOn(ledgerOf(candidate(400, failing('error', 4)), champion(4_000, failing('error', 4))))),
    ).toMatchObject({ errorRate: 'passed' }));

  it('that are more than allowed but may be chance are waited for', () => {
    const found = one(
      verdictsOn(ledgerOf(candidate(100, failing('error', 50)), champion(2_000))),
      'errorRate',
    );
    expect(found.state).toBe('waiting');
    expect(found.message).toContain('may still be chance');
  });

  it('are held against nothing where there is no champion', () => {
    const alone = { champion: null };
    expect(states(verdictsOn(ledgerOf(candidate(600)), alone))).toEqual(PASSED);
    expect(states(verdictsOn(ledgerOf(candidate(60)), alone))).toEqual({
      ...PASSED,
      errorRate: 'waiting',
      invalidOutputs: 'waiting',
    });
    const bad = verdictsOn(ledgerOf(candidate(60, failing('crash', 3))), alone);
    expect(one(bad, 'errorRate')).toMatchObject({
      state: 'breached',
      champion: null,
      limit: 0.01,
      message: 'errorRate: 20 of 60 requests failed (33 %); allowed is 1 %',
    });
    for (const guard of ['latency', 'predictions'])
      expect(one(bad, guard).message).toContain('nothing to compare with');
  });
});

describe('latency', () => {
  const slow =
    (every: number, latency: number) =>
    (i: number): Answer => ({ ...usual(i), ...(i % every === 0 ? { latency } : {}) });

  it('is breached by one in ten requests beyond twice the champion’s percentile and 5 ms', () => {
    const found = one(verdictsOn(ledgerOf(candidate(300, slow(10, 80)), champion(5_000))), 'latency');
    expect(found.state).toBe('breached');
    expect(found.champion).toBeCloseTo(15, 0);
    expect(found.candidate).toBeGreaterThan(75);
    expect(found.limit).toBeCloseTo(2 * (found.champion ?? 0) + 5, 9);
    expect(found.message).toMatch(
      /^latency: 30 of 300 requests \(10 %\) took longer than 3\d\.?\d* ms, which is 2 times the 99th percentile of the champion \(1\d\.?\d* ms over 5,000\) and 5ms; allowed is 1 %$/,
    );
  });

  it('is found before the minimum where all requests are slow, also beside a champion with few', () =>
    expect(
      states(verdictsOn(ledgerOf(candidate(30, slow(1, 900)), champion(60)), { guards: { latency: {} } })),
    ).toMatchObject({ latency: 'breached' }));

  it('may be beyond the limit for one request in two hundred', () =>
    expect(states(verdictsOn(ledgerOf(candidate(2_000, slow(200, 900)), champion(5_000))))).toMatchObject({
      latency: 'passed',
    }));

  it('is waited for where one in fifty may be chance', () =>
    expect(states(verdictsOn(ledgerOf(candidate(200, slow(50, 80)), champion(5_000))))).toMatchObject({
      latency: 'waiting',
    }));

  it('follows ratio and allowance', () => {
    const ledger = ledgerOf(candidate(600, slow(10, 80)), champion(5_000));
    for (const latency of [{ maxRatio: 8 }, { allowance: '60ms' }])
      expect(states(verdictsOn(ledger, { guards: { latency } }))).toMatchObject({ latency: 'passed' });
  });
});

describe('predictions', () => {
  it('that became a constant are found before the minimum, by the worst output', () => {
    const constant = (i: number): Answer => ({ ...usual(i), number: 0.5 });
    const found = one(verdictsOn(ledgerOf(candidate(120, constant), champion(2_280))), 'predictions');
    expect(found).toMatchObject({
      state: 'breached',
      limit: 0.25,
      champion: null,
      samples: { candidate: 120, champion: 2_280 },
    });
    expect(found.candidate).toBeGreaterThan(1);
    expect(found.message).toContain('the answers probability differ by PSI');
  });

  it('that name a class far more often are found', () => {
    const often = (i: number): Answer => ({ ...usual(i), label: i % 2 ? 'yes' : 'no' });
    const found = one(verdictsOn(ledgerOf(candidate(3_000, often), champion(6_000))), 'predictions');
    expect(found.state).toBe('breached');
    expect(found.message).toContain('the answers label differ by PSI');
  });

  it('count requests, not rows, as what is independent', () => {
    const shifted = (i: number): Answer => ({ ...usual(i), number: 0.4 + ((i * 37) % 100) / 160 });
    const own = candidate(1_000, shifted);
    const ledger = (requests: number) => ledgerOf({ ...own, requests }, champion(20_000));
    expect(states(verdictsOn(ledger(1_000)))).toMatchObject({ predictions: 'breached' });
    expect(states(verdictsOn(ledger(20)))).toMatchObject({ predictions: 'waiting' });
  });

  it('of a class with a long name are told in a short sentence', () => {
    const renamed = (version: typeof CANDIDATE | typeof CHAMPION, answer = usual) => {
      const { numbers, ...others } = trafficOfAnswers(version, 3_000, answer);
      return {
        ...others,
        labels: {},
        numbers: { ['x'.repeat(5_000)]: numbers.probability ?? others.latency },
      };
    };
    const constant = (i: number): Answer => ({ ...usual(i), number: 0.5 });
    const found = one(verdictsOn(ledgerOf(renamed(CANDIDATE, constant), renamed(CHAMPION))), 'predictions');
    expect(found.state).toBe('breached');
    expect(found.message.length).toBeLessThan(300);
  });

  it('under other names are not compared, and that never passes', () => {
    const own = candidate(600);
    const ledger = ledgerOf(
      { ...own, numbers: { other: own.numbers.probability ?? own.latency }, labels: {} },
      champion(4_000),
    );
    const found = one(verdictsOn(ledger), 'predictions');
    expect(found.state).toBe('waiting');
    expect(found.message).toContain('no output of the same name');
  });
});

describe('a window', () => {
  it('of a blue-green switch is held against the champion before it', () => {
    const step = stepOf({ strategy: 'blue-green' }, 1);
    const ledger = ledgerOf(candidate(3_000, failing('crash', 10)));
    const baseline = ledgerOf(champion(5_000));
    const [, errors] = verdictsOn(ledger, { step, baseline });
    expect(errors).toMatchObject({ state: 'breached', samples: { candidate: 3_000, champion: 5_000 } });
    expect(errors?.message).toContain('the champion before the switch 0 of 5,000');
    expect(states(verdictsOn(ledgerOf(candidate(3_000)), { step, baseline }))).toEqual(PASSED);
    expect(states(verdictsOn(ledgerOf(candidate(3_000)), { step }))).toEqual(WAITING);
  });

  it('of a shadow speaks of copies', () => {
    const ledger = ledgerOf({ ...candidate(300, failing('overload', 2)), role: 'shadow' }, champion(600));
    const found = one(verdictsOn(ledger, { step: stepOf({ strategy: 'shadow' }) }), 'errorRate');
    expect(found.message).toContain('150 of 300 copies of requests failed');
  });
});

describe('shares', () => {
  it.each([
    [0, '0 %'],
    [0.00004, '0.004 %'],
    [2 / 2_281, '0.1 %'],
    [0.0125, '1.3 %'],
    [0.01, '1 %'],
    [37 / 120, '31 %'],
    [1, '100 %'],
  ])('%d are written %s', (share, text) => expect(shareText(share)).toBe(text));
});
