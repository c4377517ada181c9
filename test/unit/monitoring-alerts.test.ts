import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AlertEvent,
  alertEvent,
  type OpenAlert,
  openAlert,
  type Silence,
} from '../../contracts/alerts.ts';
import type { CheckState, Verdict } from '../../contracts/monitoring.ts';
import type { AlertSpec } from '../../contracts/spec/monitoring.ts';
import { alertKey, nextAlerts } from '../../domain/monitoring/alerts.ts';
import { isSilent, lastingSilences } from '../../domain/monitoring/silences.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { dayWindow, watching } from '../support/window-reports.ts';

const alertsOf = (changes: NonNullable<Parameters<typeof watching>[0]>['alerts'] = {}): AlertSpec =>
  watching({ alerts: changes }).alerts;

const quality = (state: CheckState, observed = 0.3, check: Verdict['check'] = 'quality'): Verdict =>
  verdictOf(check, state, 500, `brier_score ${observed} (${state})`, {
    of: 'brier_score',
    observed,
    limit: 0.25,
  });

const KEY = 'quality/brier_score/';
const silenceOf = (from: number, before: number): Silence => ({
  check: null,
  from: dayWindow(from).before,
  before: dayWindow(before).before,
  by: 'Ada',
  reason: 'a release',
});

/** What a letter of a story is: Breached, oK, Insufficient, Unlimited, or nothing at all. */
const LETTERS: Readonly<Record<string, CheckState | null>> = {
  b: 'breached',
  k: 'ok',
  i: 'insufficient',
  u: 'unlimited',
  '-': null,
};

/** Goes through windows; what is told in each, by its letter: Raised, Changed, reMinded, reSolved. */
function told(
  story: string,
  spec: AlertSpec,
  { silences = [], check = 'quality' }: { silences?: Silence[]; check?: Verdict['check'] } = {},
): { told: string; events: AlertEvent[]; open: OpenAlert[]; opens: OpenAlert[][] } {
  let open: OpenAlert[] = [];
  const events: AlertEvent[] = [];
  const opens: OpenAlert[][] = [];
  const letters = [...story].map((letter, index) => {
    const state = LETTERS[letter];
    const verdicts = state ? [quality(state, 0.3 + index / 1_000, check)] : [];
    const next = nextAlerts(
      spec,
      z.array(openAlert).parse(JSON.parse(JSON.stringify(open))),
      silences,
      verdicts,
      dayWindow(index),
    );
    z.array(alertEvent).parse(next.events);
    open = next.open;
    opens.push(open);
    events.push(...next.events);
    return next.events.map(({ kind }) => kind.replace(/^re(.).*/, '$1').slice(0, 1)).join('') || '.';
  });
  return { told: letters.join(''), events, open, opens };
}
// raised → r, changed → c, reminded → m, resolved → s
const RARELY = { remindEvery: '100d' };

describe('an alert', () => {
  it('is raised once, and is over', () => {
    const { events, open } = told('kbbbkk', alertsOf(RARELY));
    expect(events).toEqual([
      {
        id: `${KEY}#raised@${dayWindow(1).before}`,
        kind: 'raised',
        key: KEY,
        check: 'quality',
        severity: 'critical',
        at: dayWindow(1).before,
        since: dayWindow(1).from,
        words: 'brier_score 0.301 (breached)',
        observed: 0.301,
        limit: 0.25,
      },
      expect.objectContaining({
        kind: 'resolved',
        at: dayWindow(4).before,
        since: dayWindow(1).from,
        observed: 0.304,
        words: 'brier_score 0.304 (ok)',
      }),
    ]);
    expect(open).toEqual([]);
  });

  it.each([
    // after 3, clear after 2
    ['bbkbbb', '.....r'],
    ['bbbkbkk', '..r...s'],
    ['bbbkbkbk', '..r.....'],
    // What is insufficient neither raises nor clears, nor begins anew.
    ['bbib', '...r'],
    ['bbbkik', '..r..s'],
    ['iiii', '....'],
    ['uuu', '...'],
    ['bbbu', '..rs'],
    ['bbu', '...'],
  ])('waits for windows in a row: %s is told %s', (story, expected) => {
    expect(told(story, alertsOf({ after: 3, clearAfter: 2, ...RARELY })).told).toBe(expected);
  });

  it('of concept drift does not wait: a change is found once', () => {
    expect(told('kbkk', alertsOf({ after: 3, ...RARELY }), { check: 'concept-drift' }).told).toBe('.rs.');
  });

  it('that stays is told again, unless it is getting better', () => {
    expect(told('bbbbbbb', alertsOf({ remindEvery: '2d' })).told).toBe('r.m.m.m');
    expect(told('bbiii', alertsOf({ remindEvery: '2d' })).events.at(-1)?.words).toBe(
      'brier_score 0.301 (breached); the latest window is insufficient: brier_score 0.304 (insufficient)',
    );
    expect(told('bkkkb', alertsOf({ remindEvery: '2d', clearAfter: 9 })).told).toBe('r...m');
  });

  it('that is not spoken of any more is over in the end', () => {
    expect(told(`b${'-'.repeat(11)}`, alertsOf(RARELY)).told).toBe('r.........s.');
    // Spoken of in between, or the check has no data: that is another thing.
    expect(told(`b${'-'.repeat(9)}i${'-'.repeat(9)}`, alertsOf(RARELY)).told).not.toContain('s');
    expect(told(`bi${'i'.repeat(20)}`, alertsOf(RARELY)).told).not.toContain('s');
  });

  it('of an output is not forgotten while its check has no data at all', () => {
    const none = verdictOf('quality', 'insufficient', 3, 'no rows');
    let { open } = told('b', alertsOf(RARELY));
    for (let index = 1; index < 30; index++) {
      const next = nextAlerts(alertsOf(RARELY), open, [], [none], dayWindow(index));
      expect(next.events).toEqual([]);
      open = next.open;
    }
    expect(open).toMatchObject([{ key: KEY, raisedAt: dayWindow(0).before }]);
  });

  it('has the severity of its check, or of the spec', () => {
    const severityOf = (check: Verdict['check'], spec = alertsOf()) =>
      told('b', spec, { check }).events[0]?.severity;
    expect(severityOf('operations')).toBe('critical');
    expect(severityOf('prediction-drift')).toBe('warning');
    expect(severityOf('data-drift')).toBe('info');
    expect(severityOf('data-drift', alertsOf({ severity: { 'data-drift': 'critical' } }))).toBe('critical');
  });

  it('with severity off is kept, and not told', () => {
    const { events, opens } = told('bbk', alertsOf({ severity: { quality: 'off' } }));
    expect(events).toEqual([]);
    expect(opens[1]).toMatchObject([{ key: KEY, raisedAt: dayWindow(0).before, toldAt: null, beyond: 2 }]);
    expect(opens[2]).toEqual([]);
  });

  it('says that its severity changed, and is told when it is no longer off', () => {
    const spec = alertsOf(RARELY);
    const { open } = told('b', spec);
    const info = alertsOf({ severity: { quality: 'info' }, ...RARELY });
    const changed = nextAlerts(info, open, [], [quality('breached')], dayWindow(1));
    expect(changed.events).toMatchObject([{ kind: 'changed', severity: 'info' }]);
    expect(nextAlerts(info, changed.open, [], [quality('breached')], dayWindow(2)).events).toEqual([]);
    const silenced = alertsOf({ severity: { quality: 'off' } });
    const never = told('b', silenced).open;
    const noLonger = nextAlerts(silenced, open, [], [quality('breached')], dayWindow(1)).open;
    for (const off of [never, noLonger])
      expect(nextAlerts(spec, off, [], [quality('breached')], dayWindow(2)).events).toMatchObject([
        { kind: 'raised', severity: 'critical' },
      ]);
  });

  it('is told with the gravest first', () => {
    const verdicts = [
      quality('breached', 1, 'data-drift'),
      quality('breached', 1, 'operations'),
      quality('breached', 1, 'skew'),
      quality('breached', 1, 'quality'),
    ];
    const { events } = nextAlerts(alertsOf(), [], [], verdicts, dayWindow(0));
    expect(events.map(({ check }) => check)).toEqual(['operations', 'quality', 'skew', 'data-drift']);
  });

  it('has a key that no other has, whatever columns and slices are called', () => {
    const part = fc.string({ unit: fc.constantFrom('/', '~', '0', '1', 'a'), maxLength: 6 });
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, d) => {
        const key = (of: string, slice: string) => alertKey({ check: 'quality', of, slice });
        expect(key(a, b) === key(c, d)).toBe(a === c && b === d);
      }),
    );
  });
});

describe('a silence', () => {
  const during = (story: string, from: number, before: number, changes = {}) =>
    told(story, alertsOf({ ...RARELY, ...changes }), { silences: [silenceOf(from, before)] }).told;

  it('holds back what begins within, and tells it afterwards where it lasts', () => {
    expect(during('bbbbb', 1, 3)).toBe('r....');
    expect(during('kbbbb', 1, 3)).toBe('...r.');
    expect(during('kbbkk', 1, 5)).toBe('.....');
  });

  it('holds back the end, and tells it afterwards', () => {
    expect(during('bbkkkk', 1, 4)).toBe('r...s.');
    expect(during('bbkiik', 1, 4)).toBe('r...s.');
    // It came back within the silence: for those who were told it never ended.
    expect(during('bbkbbk', 1, 4)).toBe('r....s');
  });

  it('counts all the same', () => {
    expect(during('bbb', 0, 2, { after: 3 })).toBe('..r');
    expect(during('bbbb', 0, 3, { after: 3 })).toBe('...r');
  });

  it('by people counts when they would be told, by the spec at the time of the window', () => {
    const window = dayWindow(0);
    const now = '2009-06-20T10:30:00.000Z';
    const asked = {
      ...silenceOf(0, 1),
      from: '2009-06-20T10:00:00.000Z',
      before: '2009-06-20T12:00:00.000Z',
    };
    const events = (silences: Silence[], tellingAt?: string, changes = {}) =>
      nextAlerts(alertsOf(changes), [], silences, [quality('breached')], window, tellingAt).events.length;
    expect(events([asked], now)).toBe(0);
    expect(events([asked], '2009-06-20T12:00:00.000Z')).toBe(1);
    expect(events([{ ...asked, check: 'skew' }], now)).toBe(1);
    // A silence of the past does not reach what is told now, whatever the window.
    expect(events([silenceOf(0, 1)], now)).toBe(1);
    expect(events([silenceOf(0, 1)])).toBe(0);
    const silence = [{ from: '2009-06-01', before: '2009-06-03' }];
    expect(events([], now, { silence })).toBe(0);
    expect(events([], now, { silence: [{ from: '2009-06-20', before: '2009-06-21' }] })).toBe(1);
  });

  it('is of a check, or of all, by people and by the spec, up to its end', () => {
    const [at, later] = [dayWindow(0).before, dayWindow(1).before];
    const silence = silenceOf(0, 1);
    expect(isSilent(alertsOf(), [silence], 'skew', at)).toBe(true);
    expect(isSilent(alertsOf(), [silence], 'skew', later)).toBe(false);
    expect(isSilent(alertsOf(), [{ ...silence, check: 'quality' }], 'skew', at)).toBe(false);
    const spec = alertsOf({
      silence: [{ check: 'skew', from: '2009-06-02', before: '2009-06-02T12:00:00+02:00' }],
    });
    expect(isSilent(spec, [], 'skew', '2009-06-02T09:59:59.000Z')).toBe(true);
    expect(isSilent(spec, [], 'skew', '2009-06-02T10:00:00.000Z')).toBe(false);
    expect(isSilent(spec, [], 'quality', '2009-06-02T09:00:00.000Z')).toBe(false);
    expect(lastingSilences([silence], at)).toEqual([silence]);
    expect(lastingSilences([silence], later)).toEqual([]);
  });
});

describe('over any story', () => {
  const story = fc
    .array(fc.constantFrom('b', 'k', 'i', 'u', '-'), { minLength: 1, maxLength: 60 })
    .map((letters) => letters.join(''));
  const settings = fc.record({
    after: fc.integer({ min: 1, max: 4 }),
    clearAfter: fc.integer({ min: 1, max: 4 }),
    remindEvery: fc.constantFrom('1d', '3d', '100d'),
  });
  const silent = fc.option(
    fc.tuple(fc.nat(30), fc.nat(30)).map(([from, length]) => silenceOf(from, from + length)),
  );

  it('raised and resolved alternate, nothing is told in a silence, every id is its own', () => {
    fc.assert(
      fc.property(story, settings, silent, (windows, changes, silence) => {
        const silences = silence ? [silence] : [];
        const { events, opens } = told(windows, alertsOf(changes), { silences });
        let isOpen = false;
        for (const { kind, at } of events) {
          expect(kind === 'raised').toBe(!isOpen);
          isOpen = kind !== 'resolved';
          if (silence) expect(at >= silence.from && at < silence.before).toBe(false);
        }
        expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
        for (const [index, open] of opens.entries()) {
          const at = dayWindow(index).before;
          if (silence && at >= silence.from && at < silence.before) continue;
          // Outside of silences, what people believe is what is so.
          const believed = events.filter((one) => one.at <= at).at(-1)?.kind ?? 'resolved';
          const raised = open.some(
            ({ raisedAt, toldAt, beyond }) => raisedAt !== null || (toldAt !== null && beyond > 0),
          );
          expect(believed !== 'resolved').toBe(raised);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('nothing is raised before so many windows in a row were beyond', () => {
    fc.assert(
      fc.property(story, settings, (windows, changes) => {
        const { events } = told(windows, alertsOf(changes));
        for (const { kind, at } of events.filter((one) => one.kind === 'raised')) {
          const index = [...windows].findIndex((_, i) => dayWindow(i).before === at);
          const seen = windows.slice(0, index + 1).replaceAll(/[i-]/g, '');
          expect(kind).toBe('raised');
          expect(seen.endsWith('b'.repeat(changes.after))).toBe(true);
        }
        for (const { at } of events.filter((one) => one.kind === 'resolved')) {
          const index = [...windows].findIndex((_, i) => dayWindow(i).before === at);
          const seen = windows.slice(0, index + 1).replaceAll(/[i-]/g, '');
          const gone = /u$/.test(windows.slice(0, index + 1)) || /-$/.test(windows.slice(0, index + 1));
          expect(gone || seen.endsWith('k'.repeat(changes.clearAfter))).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a silence changes what is told, never what is so', () => {
    fc.assert(
      fc.property(story, settings, silent, (windows, changes, silence) => {
        const stateOf = (silences: Silence[]) =>
          told(windows, alertsOf(changes), { silences }).opens.map((open) =>
            open
              .filter(({ raisedAt }) => raisedAt !== null)
              .map(({ key, raisedAt, since, within }) => ({ key, raisedAt, since, within })),
          );
        expect(stateOf(silence ? [silence] : [])).toEqual(stateOf([]));
      }),
      { numRuns: 300 },
    );
  });
});
