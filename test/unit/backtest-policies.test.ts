import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BacktestPolicy, BacktestRun, BacktestStep } from '../../contracts/backtest.ts';
import { durationMs } from '../../contracts/durations.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { type RetrainingSpec, retrainingSpec } from '../../contracts/spec/retraining.ts';
import { PolicyRun, policyBegin } from '../../domain/backtest/policy-run.ts';
import type { LabelledPart } from '../../domain/backtest/served-models.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { dayWindow, watching } from '../support/window-reports.ts';

const FIRST = dayWindow(0).from;
const policy = (on: RetrainingSpec['on'] | object | null, more: object = {}): BacktestPolicy => ({
  name: 'p',
  retraining: on === null ? null : retrainingSpec.parse({ on, debounce: '0s', maxPerDay: 100, ...more }),
});
const ON_DEGRADATION = { conceptDrift: false, degradation: true };

/** How good models are in this world: the one of `model` in the window of a day; and how trainings end. */
interface World {
  windows: ObservedWindow[];
  bad(model: string, index: number): boolean | null;
  ends(asOf: string): 'deployed' | 'gates_failed' | 'failed';
}

const windows = (count: number): ObservedWindow[] => Array.from({ length: count }, (_, i) => dayWindow(i));

/** Bad from a day on, until a model is trained after it. */
const breaking = (day: number, count = 20): World => ({
  windows: windows(count),
  bad: (model, index) => index >= day && model <= dayWindow(day).from,
  ends: () => 'deployed',
});

interface Went {
  steps: BacktestStep[];
  runs: BacktestRun[];
  labelled: ObservedWindow[];
  parts: LabelledPart[];
  /** When each run began, and with what in production. */
  began: { asOf: string; champion: string }[];
}

/** Goes through the windows as the back-test does, foreseeing a few of them; what it knows goes through JSON each time. */
function went(
  one: BacktestPolicy,
  world: World,
  monitoring: Parameters<typeof watching>[0] = {},
  scheduled: readonly number[] = [],
): Went {
  const spec = watching({ quality: { metric: 'brier_score', max: 0.2 }, ...monitoring });
  const labelled: ObservedWindow[] = [];
  const parts: LabelledPart[] = [];
  const steps: BacktestStep[] = [];
  const began: Went['began'] = [];
  let state = policyBegin(FIRST, FIRST);
  while (state.done < world.windows.length) {
    const run = new PolicyRun(
      { policy: one, monitoring: spec, windows: world.windows, scheduled },
      JSON.parse(JSON.stringify(state)),
    );
    const [question] = run.foresee(6);
    if (!question) break;
    const about = question.labelled;
    if (about) {
      labelled.push(about.window);
      parts.push(...about.parts);
    }
    const bad = about?.parts.map(({ model }) => world.bad(model, about.window.index)) ?? [];
    const found = bad.includes(true) ? true : bad.includes(false) ? false : null;
    const verdicts = about
      ? [
          verdictOf(
            'quality',
            found === null ? 'insufficient' : found ? 'breached' : 'ok',
            500,
            'brier_score',
            { of: 'brier_score', observed: found ? 0.3 : 0.1, limit: 0.2 },
          ),
        ]
      : [];
    const training = run.take(question, verdicts);
    steps.push(...run.steps);
    if (training) {
      const { due, champion } = training;
      began.push({ asOf: due.asOf, champion });
      const outcome = world.ends(due.asOf);
      const trained = outcome === 'failed' ? null : due.asOf;
      run.ended(
        { workflowId: due.workflowId, outcome, message: outcome, version: trained, seconds: 10, cost: 1 },
        trained,
        training,
      );
    }
    state = run.state;
  }
  return { steps, runs: state.runs, labelled, parts, began };
}

describe('a policy on its way through recorded time', () => {
  it('never: the first model stays, and what is bad is told all the same', () => {
    const { steps, runs } = went(policy(null), breaking(5));
    expect(runs).toEqual([]);
    expect(new Set(steps.map(({ model }) => model))).toEqual(new Set([FIRST]));
    expect(steps.map(({ raised }) => raised.length)).toEqual([...Array(5).fill(0), 1, ...Array(14).fill(0)]);
  });

  it('on degradation: one training when it breaks, and the new model serves from the next window on', () => {
    const { steps, runs } = went(policy(ON_DEGRADATION), breaking(5));
    expect(runs).toMatchObject([{ asOf: dayWindow(5).before, outcome: 'deployed', seconds: 10, cost: 1 }]);
    expect(runs[0]?.reasons[0]).toMatch(/^degradation: quality brier_score: /);
    expect(steps[5]).toMatchObject({ model: FIRST, decision: expect.stringMatching(/^start: /) });
    expect(steps[6]?.model).toBe(dayWindow(5).before);
  });

  it('the truth that comes late about the model of before is no reason to train the new one again', () => {
    const { runs, steps } = went(policy(ON_DEGRADATION, { cooldown: '1ms' }), breaking(5), {
      groundTruthDelay: '3d',
    });
    expect(runs.map(({ asOf }) => asOf)).toEqual([dayWindow(8).before]);
    expect(steps.filter(({ raised }) => raised.length > 0)).toHaveLength(1);
  });

  it('by the calendar: at each time of the schedule, and no reason is needed', () => {
    const scheduled = [2, 8];
    const { runs } = went(policy({ schedule: '0 0 * * *', degradation: false }), breaking(5), {}, scheduled);
    expect(runs.map(({ asOf }) => asOf)).toEqual(scheduled.map((day) => dayWindow(day).before));
    expect(runs.map(({ reasons }) => reasons)).toEqual([['schedule'], ['schedule']]);
  });

  it('a training that fails the gates, or breaks, changes nothing, and the policy goes on', () => {
    const world: World = {
      ...breaking(2),
      ends: (asOf) => (asOf === dayWindow(2).before ? 'failed' : 'gates_failed'),
    };
    const { runs, steps } = went(policy(ON_DEGRADATION, { cooldown: '2d', giveUpAfter: 3 }), world);
    expect(runs.map(({ outcome }) => outcome)).toEqual(['failed', 'gates_failed', 'gates_failed']);
    expect(runs.map(({ asOf }) => asOf)).toEqual([2, 4, 6].map((day) => dayWindow(day).before));
    expect(steps).toHaveLength(20);
    expect(steps.every(({ model }) => model === FIRST)).toBe(true);
    // Three times in a row that did not help: nobody is there who could say that it may go on.
    expect(steps.at(-1)?.decision).toMatch(/^give-up: /);
  });

  it('alerts for information are nobody’s call', () => {
    const { steps } = went(policy(null), breaking(5), { alerts: { severity: { quality: 'info' } } });
    expect(steps.flatMap(({ raised }) => raised)).toEqual([]);
  });

  it('nobody waits for more reasons: those of a window are told together, at its end', () => {
    const { runs, steps } = went(policy(ON_DEGRADATION, { debounce: '6h' }), breaking(5));
    expect(runs.map(({ asOf }) => asOf)).toEqual([dayWindow(5).before]);
    expect(steps[6]?.model).toBe(dayWindow(5).before);
  });

  it('a model of a run between two windows serves from the next window on: it must not answer what it was trained on', () => {
    const quietHours = [{ from: '23:00', to: '06:00' }];
    const { runs, steps, began } = went(policy(ON_DEGRADATION, { quietHours }), breaking(5), {
      groundTruthDelay: '1d',
    });
    const asOf = '2009-06-08T06:00:00.000Z';
    expect(runs.map((one) => one.asOf)).toEqual([asOf]);
    // The window that runs at that time is the former model's to its end, and judged as such.
    expect(steps.slice(6, 10).map(({ model }) => model)).toEqual([FIRST, FIRST, asOf, asOf]);
    expect(began).toEqual([{ asOf, champion: FIRST }]);
  });

  it('truth of several windows at once is each model’s own', () => {
    // Months: in February a delay of 30 days is longer than one, in March the truth of two months comes.
    const month = (index: number): ObservedWindow => ({
      index,
      from: new Date(Date.UTC(2009, index, 1)).toISOString(),
      before: new Date(Date.UTC(2009, index + 1, 1)).toISOString(),
    });
    const first = month(0).from;
    const run = new PolicyRun(
      {
        policy: policy({ schedule: '0 0 1 * *', degradation: false }),
        monitoring: watching({ groundTruthDelay: '30d', window: 'month' }),
        windows: Array.from({ length: 4 }, (_, i) => month(i)),
        scheduled: [0],
      },
      policyBegin(first, first),
    );
    const labelled = [];
    for (let i = 0; i < 4; i++) {
      const [question] = run.foresee(1);
      if (!question) break;
      labelled.push(question.labelled);
      const training = run.take(question, []);
      if (!training) continue;
      const { due } = training;
      const ended = { workflowId: due.workflowId, message: '', version: due.asOf, seconds: 1, cost: 0 };
      run.ended({ ...ended, outcome: 'deployed' }, due.asOf, training);
    }
    const [january, february] = [month(0), month(1)];
    expect(labelled).toEqual([
      null,
      null,
      {
        window: { index: 1, from: january.from, before: february.before },
        parts: [
          { model: first, from: january.from, before: january.before, since: january.from },
          { model: february.from, from: february.from, before: february.before, since: february.from },
        ],
      },
      expect.objectContaining({
        parts: [expect.objectContaining({ model: february.from, since: february.from })],
      }),
    ]);
  });
});

/** Any world: what is bad is bad by chance, and by the model that looks at it. */
const anyWorld: fc.Arbitrary<World> = fc
  .record({
    bad: fc.array(fc.constantFrom(true, false, false, null), { minLength: 1, maxLength: 40 }),
    ends: fc.array(fc.constantFrom('deployed', 'deployed', 'gates_failed', 'failed'), {
      minLength: 5,
      maxLength: 5,
    }),
  })
  .map(({ bad, ends }) => ({
    windows: windows(bad.length),
    bad: (model: string, index: number) => (bad[index] ?? null) && (model.length + index) % 3 > 0,
    ends: (asOf: string) => (ends[new Date(asOf).getUTCDate() % 5] ?? 'deployed') as 'deployed',
  }));
const anyPolicy = fc
  .record({
    cooldown: fc.constantFrom('1ms', '6h', '1d', '50h', '7d'),
    debounce: fc.constantFrom('0s', '5m', '30h'),
    quietHours: fc.constantFrom([], [{ from: '22:00', to: '05:00' }]),
    maxPerDay: fc.integer({ min: 1, max: 3 }),
    giveUpAfter: fc.integer({ min: 1, max: 4 }),
    provenAfter: fc.constantFrom('1d', '3d', '14d'),
    schedule: fc.boolean(),
    delay: fc.constantFrom(undefined, '1d', '36h', '9d'),
  })
  .map(({ schedule, delay, ...more }) => ({
    policy: policy(schedule ? { ...ON_DEGRADATION, schedule: '0 12 * * 1' } : ON_DEGRADATION, more),
    scheduled: schedule
      ? windows(40)
          .filter((_, i) => i % 7 === 3)
          .map(({ index }) => index)
      : [],
    monitoring: delay === undefined ? {} : { groundTruthDelay: delay },
  }));

describe('whatever the world and the policy', () => {
  it('the same comes out again; runs keep their distance; each part of the truth is judged once', () => {
    fc.assert(
      fc.property(anyWorld, anyPolicy, (world, { policy: one, scheduled, monitoring }) => {
        const found = went(one, world, monitoring, scheduled);
        expect(went(one, world, monitoring, scheduled)).toEqual(found);
        expect(found.steps.map(({ window }) => window)).toEqual(world.windows);
        const cooldown = durationMs(one.retraining?.cooldown ?? '1d');
        for (const [i, { asOf }] of found.runs.entries()) {
          const before = found.runs[i - 1];
          if (before) expect(Date.parse(asOf) - Date.parse(before.asOf)).toBeGreaterThanOrEqual(cooldown);
        }
        for (const [i, { from, before }] of found.labelled.entries()) {
          expect(from).toBe(found.labelled[i - 1]?.before ?? FIRST);
          expect(before > from).toBe(true);
        }
        // Each row whose truth came is one model's, that of its window, and is looked at once.
        for (const [i, { from }] of found.parts.entries())
          expect(from).toBe(found.parts[i - 1]?.before ?? FIRST);
        expect(found.parts.at(-1)?.before).toBe(found.labelled.at(-1)?.before);
        for (const { model, from, before, since } of found.parts) {
          const own = found.steps.filter(({ window }) => window.from >= from && window.before <= before);
          expect(new Set(own.map((step) => step.model))).toEqual(new Set([model]));
          expect(found.steps.find((step) => step.model === model)?.window.from).toBe(since);
        }
        // What serves is the latest model that was there when the window began; no window is of a model of later rows.
        const deployed = found.runs.filter(({ outcome }) => outcome === 'deployed').map(({ asOf }) => asOf);
        for (const { model, window } of found.steps)
          expect(model).toBe(deployed.findLast((asOf) => asOf <= window.from) ?? FIRST);
        // A run is judged against what was in production when it began.
        for (const { asOf, champion } of found.began)
          expect(champion).toBe(deployed.findLast((one) => one < asOf) ?? FIRST);
        expect(went(policy(null), world, monitoring).runs).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
