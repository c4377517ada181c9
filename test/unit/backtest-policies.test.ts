import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BacktestPolicy, BacktestRun, BacktestStep } from '../../contracts/backtest.ts';
import { durationMs } from '../../contracts/durations.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { type RetrainingSpec, retrainingSpec } from '../../contracts/spec/retraining.ts';
import { PolicyRun } from '../../domain/backtest/policy-run.ts';
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
  /** When each run began, and with what in production. */
  began: { asOf: string; champion: string }[];
}

/** Goes through the windows as the workflow does, foreseeing a few of them. */
function went(
  one: BacktestPolicy,
  world: World,
  monitoring: Parameters<typeof watching>[0] = {},
  scheduled: readonly string[] = [],
): Went {
  const spec = watching({ quality: { metric: 'brier_score', max: 0.2 }, ...monitoring });
  const run = new PolicyRun(one, spec, FIRST, scheduled);
  const labelled: ObservedWindow[] = [];
  const began: Went['began'] = [];
  for (let i = 0; i < world.windows.length; i++) {
    const [question] = run.foresee(world.windows.slice(i, i + 6));
    if (!question) break;
    const about = question.labelled;
    if (about) labelled.push(about.window);
    const state = about ? world.bad(about.model, about.window.index) : null;
    const verdicts = about
      ? [
          verdictOf(
            'quality',
            state === null ? 'insufficient' : state ? 'breached' : 'ok',
            500,
            'brier_score',
            { of: 'brier_score', observed: state ? 0.3 : 0.1, limit: 0.2 },
          ),
        ]
      : [];
    const training = run.take(question, verdicts);
    if (!training) continue;
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
  return { steps: run.steps, runs: run.runs, labelled, began };
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
    const scheduled = [dayWindow(3).from, dayWindow(9).from];
    const { runs } = went(policy({ schedule: '0 0 * * *', degradation: false }), breaking(5), {}, scheduled);
    expect(runs.map(({ asOf }) => asOf)).toEqual(scheduled);
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

  it('a debounce of hours begins its run between two windows', () => {
    const { runs } = went(policy(ON_DEGRADATION, { debounce: '6h' }), breaking(5));
    expect(runs.map(({ asOf }) => asOf)).toEqual(['2009-06-07T06:00:00.000Z']);
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
          .map(({ from }) => from)
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
        // What serves is the first model, or one that a run brought before the window began.
        for (const { model, window } of found.steps)
          if (model !== FIRST)
            expect(
              found.runs.some(
                (run) => run.model === model && run.outcome === 'deployed' && model < window.before,
              ),
            ).toBe(true);
        // A run is judged against what served when it began.
        for (const { asOf, champion } of found.began)
          expect(found.steps.findLast(({ window }) => window.before <= asOf)?.model).toBe(champion);
        expect(went(policy(null), world, monitoring).runs).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
