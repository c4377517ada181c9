import { describe, expect, it } from 'vitest';
import type { PendingReason, RetrainingRun, RetrainingState } from '../../contracts/retraining.ts';
import { retrainingSpec, type TriggerKind } from '../../contracts/spec/retraining.ts';
import { ageTrigger, expiryOf } from '../../domain/retraining/age.ts';
import { decide, emptyRetraining } from '../../domain/retraining/decision.ts';
import { isQuiet, quietUntil } from '../../domain/retraining/quiet-hours.ts';
import { answered, beginRun, endRun, settled } from '../../domain/retraining/runs.ts';
import { takeSpec, takeTick, takeTrigger } from '../../domain/retraining/triggers.ts';

const NOW = '2026-11-21T10:00:00.000Z';
const ago = (hours: number): string => new Date(Date.parse(NOW) - hours * 3_600_000).toISOString();
const ahead = (hours: number): string => ago(-hours);

const spec = (more: object = {}) =>
  retrainingSpec.parse({ on: { dataDrift: true, schedule: '0 3 1 * *' }, ...more });
const reason = (kind: TriggerKind, more: Partial<PendingReason> = {}): PendingReason => ({
  kind,
  reason: '',
  version: null,
  firstAt: ago(1),
  lastAt: ago(1),
  times: 1,
  by: null,
  ...more,
});
const run = (more: Partial<RetrainingRun> = {}): RetrainingRun => ({
  workflowId: 'run-1',
  startedAt: ago(50),
  endedAt: ago(49),
  kinds: ['degradation'],
  outcome: 'deployed',
  message: '',
  version: '2',
  helped: true,
  seconds: 600,
  cost: 1,
  ...more,
});
const state = (more: Partial<RetrainingState> = {}): RetrainingState => ({ ...emptyRetraining(), ...more });
const told = (kind: TriggerKind, version: string | null = null) => ({ kind, reason: 'why', version });

describe('a run begins', () => {
  it('for reasons that have waited long enough', () => {
    expect(decide(spec(), state({ pending: [reason('degradation')] }), null, NOW)).toEqual({
      decision: 'start',
      why: 'no rule holds it back',
      until: null,
    });
  });

  it.each<[string, object, Partial<RetrainingState>, string | null, RegExp, string | null]>([
    ['without a reason', {}, {}, null, /no reason/, null],
    [
      'while another goes on',
      {},
      { pending: [reason('degradation')] },
      'run-9',
      /^one run at a time: run-9/,
      null,
    ],
    ['paused', {}, { pending: [reason('demand', { by: 'ada' })], paused: true }, null, /^paused/, null],
    [
      'too soon after the first reason',
      { debounce: '2h' },
      { pending: [reason('degradation'), reason('data-drift', { firstAt: ago(0.1) })] },
      null,
      /^debounce/,
      ahead(1),
    ],
    [
      'within the cool-down, counted from the end of the last run',
      {},
      { pending: [reason('degradation')], runs: [run({ startedAt: ago(30), endedAt: ago(20) })] },
      null,
      /^cool-down/,
      ahead(4),
    ],
    [
      'more often than so many times a day',
      { cooldown: '1h', maxPerDay: 2 },
      {
        pending: [reason('demand')],
        runs: [20, 10].map((hours) => run({ startedAt: ago(hours), endedAt: ago(hours - 1) })),
      },
      null,
      /^maximum per day: 2 of 2/,
      ahead(4),
    ],
    [
      'where the time of training is used up, until enough of it is out of the period',
      { cooldown: '1h', budget: { time: '20m', per: '10d' } },
      {
        pending: [reason('demand')],
        runs: [200, 100, 50].map((hours) => run({ startedAt: ago(hours), endedAt: ago(hours - 1) })),
      },
      null,
      /^budget: 0.5 of 0.33 hours/,
      // Two of the three must be out of the period.
      new Date(Date.parse(ago(100)) + 10 * 86_400_000).toISOString(),
    ],
    [
      'where the money is used up',
      { cooldown: '1h', budget: { cost: 1, per: '10d' } },
      { pending: [reason('demand')], runs: [run()] },
      null,
      /^budget: a cost of 1 of 1 /,
      new Date(Date.parse(ago(50)) + 10 * 86_400_000).toISOString(),
    ],
    [
      'in quiet hours',
      { quietHours: [{ from: '08:00', to: '18:00' }] },
      { pending: [reason('demand', { by: 'ada' })] },
      null,
      /^quiet hours: no run begins from 08:00 to 18:00/,
      '2026-11-21T18:00:00.000Z',
    ],
    [
      'in hours that leave no time at all, and nobody waits for it',
      {
        quietHours: [
          { from: '00:00', to: '12:00' },
          { from: '12:00', to: '00:00' },
        ],
      },
      { pending: [reason('degradation')] },
      null,
      /^quiet hours/,
      null,
    ],
    [
      'after the cool-down where that ends in quiet hours',
      { quietHours: [{ from: '12:00', to: '15:00' }] },
      { pending: [reason('degradation')], runs: [run({ endedAt: ago(20) })] },
      null,
      /^cool-down/,
      '2026-11-21T15:00:00.000Z',
    ],
  ])('not %s', (_, more, changes, running, why, until) => {
    const verdict = decide(spec(more), state(changes), running, NOW);
    expect(verdict.decision).toBe(changes.pending ? 'wait' : 'skip');
    expect(verdict.why).toMatch(why);
    expect(verdict.until).toBe(until);
  });

  it('at the moment that it said', () => {
    const pending = [reason('degradation')];
    const held = state({ pending, runs: [run({ endedAt: ago(20) })] });
    const { until } = decide(spec(), held, null, NOW);
    expect(decide(spec(), held, null, until ?? '').decision).toBe('start');
  });

  it('at once for a demand, which passes debounce and cool-down and takes the others along', () => {
    const recent = state({
      pending: [reason('degradation', { firstAt: NOW }), reason('demand', { firstAt: NOW, by: 'ada' })],
      runs: [run({ startedAt: ago(2), endedAt: ago(1) })],
    });
    expect(decide(spec(), recent, null, NOW)).toMatchObject({ decision: 'start', why: 'demanded by ada' });
  });

  it('no more after the giving-up, but for a demand with a name', () => {
    const stopped = (one: PendingReason) => state({ pending: [one], gaveUpAt: ago(2), failures: 3 });
    expect(decide(spec(), stopped(reason('degradation')), null, NOW)).toMatchObject({ decision: 'give-up' });
    expect(decide(spec(), stopped(reason('demand')), null, NOW)).toMatchObject({ decision: 'give-up' });
    expect(decide(spec(), stopped(reason('demand', { by: 'ada' })), null, NOW)).toMatchObject({
      decision: 'start',
    });
  });
});

describe('quiet hours', () => {
  const hours = (from: string, to: string, utcOffset = '+00:00') => [{ from, to, utcOffset }];
  const at = (text: string): number => Date.parse(`2026-11-21T${text}Z`);
  it.each([
    ['in the middle', hours('22:00', '06:00'), '23:30:00', '2026-11-22T06:00:00.000Z'],
    ['after midnight', hours('22:00', '06:00'), '05:59:59', '2026-11-21T06:00:00.000Z'],
    ['at the very end', hours('22:00', '06:00'), '06:00:00', '2026-11-21T06:00:00.000Z'],
    ['at the very beginning', hours('22:00', '06:00'), '22:00:00', '2026-11-22T06:00:00.000Z'],
    ['just before', hours('22:00', '06:00'), '21:59:59', '2026-11-21T21:59:59.000Z'],
    ['east of Greenwich', hours('22:00', '06:00', '+05:30'), '17:00:00', '2026-11-22T00:30:00.000Z'],
    ['west of Greenwich', hours('22:00', '06:00', '-05:00'), '02:00:00', '2026-11-21T02:00:00.000Z'],
    ['seconds included', hours('10:00', '11:00'), '10:30:30.500', '2026-11-21T11:00:00.000Z'],
  ])('%s', (_, quiet, moment, until) => {
    expect(new Date(quietUntil(quiet, at(moment)) ?? 0).toISOString()).toBe(until);
    expect(isQuiet(quiet, at(moment))).toBe(new Date(at(moment)).toISOString() !== until);
  });

  it('that follow each other are one', () => {
    const two = [...hours('10:00', '12:00'), ...hours('11:30', '14:00')];
    expect(quietUntil(two, at('10:30:00'))).toBe(at('14:00:00'));
  });

  it('before 1970 as well', () => {
    const moment = Date.parse('1969-12-31T23:00:00Z');
    expect(quietUntil(hours('22:00', '06:00'), moment)).toBe(Date.parse('1970-01-01T06:00:00Z'));
  });
});

describe('a trigger', () => {
  it('told again is the same reason', () => {
    const once = takeTrigger(spec(), state(), { ...told('degradation'), at: ago(3) }, NOW).state;
    const twice = takeTrigger(
      spec(),
      once,
      { ...told('degradation'), reason: 'worse', by: 'ada' },
      NOW,
    ).state;
    expect(twice.pending).toEqual([
      {
        kind: 'degradation',
        reason: 'worse',
        version: null,
        firstAt: ago(3),
        lastAt: NOW,
        times: 2,
        by: 'ada',
      },
    ]);
  });

  it('from the future is one of now', () => {
    const { state: next } = takeTrigger(spec(), state(), { ...told('degradation'), at: ahead(5) }, NOW);
    expect(next.pending[0]?.firstAt).toBe(NOW);
  });

  it.each<[TriggerKind, object, boolean]>([
    ['demand', {}, true],
    ['degradation', {}, true],
    ['degradation', { degradation: false }, false],
    ['concept-drift', {}, true],
    ['data-drift', {}, false],
    ['data-drift', { dataDrift: true }, true],
    ['prediction-drift', {}, false],
    ['estimated-degradation', {}, false],
    ['schedule', {}, false],
    ['new-data', {}, false],
    ['new-data', { newData: {} }, true],
    ['age', {}, false],
    ['age', { maxAge: '90d' }, true],
  ])('of kind %s with %o', (kind, on, wanted) => {
    const { skip, state: next } = takeTrigger(retrainingSpec.parse({ on }), state(), told(kind), NOW);
    expect(skip === null).toBe(wanted);
    expect(next.pending).toHaveLength(wanted ? 1 : 0);
    if (skip) expect(skip).toMatchObject({ decision: 'skip', reasons: [{ kind }] });
  });

  it('about a version of before is skipped; where nobody knows what is in production, it counts', () => {
    const champion = { version: '7', since: ago(1) };
    expect(takeTrigger(spec(), state({ champion }), told('degradation', '6'), NOW).skip?.why).toContain(
      'version 6',
    );
    expect(takeTrigger(spec(), state({ champion }), told('degradation', '7'), NOW).skip).toBeNull();
    expect(takeTrigger(spec(), state(), told('degradation', '6'), NOW).skip).toBeNull();
    expect(takeTrigger(spec(), state({ champion: null }), told('degradation', '6'), NOW).skip).toBeNull();
  });

  it('is dropped where another version comes, or the spec does not ask for it any more', () => {
    const waiting = state({ pending: [reason('degradation', { version: '6' }), reason('schedule')] });
    const tick = takeTick(spec(), waiting, { asOf: NOW, champion: { version: '7', since: NOW } }, NOW);
    expect(tick.state.pending.map(({ kind }) => kind)).toEqual(['schedule']);
    expect(tick.skip).toMatchObject({ decision: 'skip', reasons: [{ kind: 'degradation' }] });
    const changed = takeSpec(retrainingSpec.parse({}), waiting, NOW);
    expect(changed.state.pending.map(({ kind }) => kind)).toEqual(['degradation']);
    expect(changed.skip).toMatchObject({ reasons: [{ kind: 'schedule' }] });
  });
});

describe('what helped', () => {
  const ended = (outcome: 'deployed' | 'gates_failed' | 'failed' | 'superseded', more: object = {}) => ({
    workflowId: 'run-1',
    outcome,
    message: 'why',
    version: outcome === 'deployed' ? '2' : null,
    seconds: 60,
    cost: 0,
    ...more,
  });
  const begun = (pending: PendingReason[], more: Partial<RetrainingState> = {}): RetrainingState =>
    beginRun(state({ pending, ...more }), 'run-1', ago(2));

  it('a version in production is not known to have, until nothing bad was told of it for long enough', () => {
    const { state: done } = endRun(spec(), begun([reason('degradation')]), ended('deployed'), NOW);
    expect(done.runs[0]).toMatchObject({ helped: null, endedAt: NOW, seconds: 60 });
    expect(settled(spec(), done, ahead(13 * 24)).runs[0]?.helped).toBeNull();
    expect(settled(spec(), done, ahead(14 * 24)).runs[0]?.helped).toBe(true);
  });

  it('not one that is told to be bad again for the same reason', () => {
    const { state: done } = endRun(spec(), begun([reason('degradation')]), ended('deployed'), NOW);
    const other = takeTrigger(spec(), done, told('data-drift', '2'), ahead(1)).state;
    expect(other.runs[0]?.helped).toBeNull();
    const same = takeTrigger(spec(), done, told('degradation', '2'), ahead(1)).state;
    expect(same).toMatchObject({ failures: 1, runs: [{ helped: false }] });
    // What comes after it has proven itself is another story.
    const late = takeTrigger(spec(), done, told('degradation', '2'), ahead(20 * 24)).state;
    expect(late).toMatchObject({ failures: 0, runs: [{ helped: true }] });
  });

  it('not one whose candidate was not good enough; after so many a person is asked', () => {
    let now = state();
    for (const failures of [1, 2, 3]) {
      now = beginRun({ ...now, pending: [reason('degradation')] }, `run-${failures}`, NOW);
      const next = endRun(spec(), now, ended('gates_failed', { workflowId: `run-${failures}` }), NOW);
      expect(next.decisions[0]?.why).toContain(`run ${failures} of 3 in a row`);
      now = next.state;
      expect(now).toMatchObject({ failures, gaveUpAt: failures < 3 ? null : NOW, pending: [] });
    }
    const resumed = answered(now, { decision: 'resume' });
    expect(resumed).toMatchObject({ failures: 0, gaveUpAt: null, paused: false });
    const fourth = beginRun({ ...resumed, pending: [reason('degradation')] }, 'run-4', NOW);
    expect(endRun(spec(), fourth, ended('gates_failed', { workflowId: 'run-4' }), NOW).state).toMatchObject({
      failures: 1,
      gaveUpAt: null,
    });
  });

  it('one that another overtook says nothing', () => {
    const { state: done } = endRun(
      spec(),
      begun([reason('degradation')], { failures: 2 }),
      ended('superseded'),
      NOW,
    );
    expect(settled(spec(), done, ahead(1_000)).runs[0]?.helped).toBeNull();
  });

  it('a roll-out that went on counts by what is in production later', () => {
    const rolling = { ...ended('deployed'), outcome: 'rolling_out' as const, version: '2' };
    const { state: done } = endRun(spec(), begun([reason('degradation')]), rolling, NOW);
    const later = (version: string, since: string) =>
      settled(spec(), { ...done, champion: { version, since } }, ahead(14 * 24)).runs[0]?.helped;
    expect(later('2', ahead(1))).toBe(true);
    expect(later('1', ago(500))).toBe(false);
  });

  it('a run that broke is tried again for its reasons, but not for a demand, nor where a person ended it', () => {
    const reasons = [reason('degradation', { times: 3 }), reason('demand')];
    const meanwhile = { ...begun(reasons), pending: [reason('degradation', { reason: 'worse' })] };
    const again = endRun(spec(), meanwhile, ended('failed'), NOW).state;
    expect(again.pending).toMatchObject([{ kind: 'degradation', reason: 'worse', times: 4 }]);
    expect(endRun(spec(), begun(reasons), ended('failed', { cancelled: true }), NOW).state.pending).toEqual(
      [],
    );
  });

  it('reasons about the version that it replaced are none any more', () => {
    const meanwhile = {
      ...begun([reason('degradation')]),
      pending: [reason('concept-drift', { version: '1' })],
    };
    const { state: done, decisions } = endRun(spec(), meanwhile, ended('deployed'), NOW);
    expect(done).toMatchObject({ pending: [], champion: { version: '2', since: NOW } });
    expect(decisions.map(({ decision }) => decision)).toEqual(['ended', 'skip']);
  });
});

describe('age', () => {
  const champion = { version: '7', since: ago(24) };
  it('is a reason from the day on that the spec says', () => {
    const old = spec({ on: { maxAge: '2d' } });
    expect(expiryOf(old, champion)).toBe(ahead(24));
    expect(ageTrigger(old, champion, ahead(23))).toBeNull();
    expect(ageTrigger(old, champion, ahead(24))).toMatchObject({ kind: 'age', version: '7', at: ahead(24) });
    expect(ageTrigger(old, null, ahead(24))).toBeNull();
    expect(ageTrigger(spec(), champion, ahead(9_999))).toBeNull();
  });
});
