import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs } from '../../contracts/durations.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import { type RetrainingSpec, retrainingSpec, TRIGGERS } from '../../contracts/spec/retraining.ts';
import { RetrainingBook } from '../../domain/retraining/book.ts';
import { noted } from '../../domain/retraining/journal.ts';
import { isQuiet } from '../../domain/retraining/quiet-hours.ts';

const START = Date.parse('2009-05-01T00:00:00Z');
const MINUTE = 60_000;
const DAY = 86_400_000;
const iso = (at: number): string => new Date(at).toISOString();

const clock = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom('00', '15', '30'))
  .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${minute}`);
const anySpec: fc.Arbitrary<RetrainingSpec> = fc
  .record({
    on: fc.record({
      dataDrift: fc.boolean(),
      predictionDrift: fc.boolean(),
      conceptDrift: fc.boolean(),
      degradation: fc.boolean(),
      estimatedDegradation: fc.boolean(),
    }),
    debounce: fc.constantFrom('1m', '30m', '6h'),
    cooldown: fc.constantFrom('1m', '2h', '1d', '3d'),
    maxPerDay: fc.integer({ min: 1, max: 4 }),
    provenAfter: fc.constantFrom('1d', '7d'),
    giveUpAfter: fc.integer({ min: 1, max: 4 }),
    quietHours: fc.array(
      fc
        .record({ from: clock, to: clock, utcOffset: fc.constantFrom('+00:00', '+05:30', '-08:00') })
        .filter(({ from, to }) => from !== to),
      { maxLength: 3 },
    ),
    budget: fc.option(fc.record({ time: fc.constantFrom('1h', '5h'), per: fc.constantFrom('2d', '10d') }), {
      nil: undefined,
    }),
  })
  .map((spec) => retrainingSpec.parse(spec));

const OUTCOMES = ['deployed', 'gates_failed', 'rejected', 'rolling_out', 'failed', 'superseded'] as const;
type Happening =
  | { what: 'trigger'; kind: (typeof TRIGGERS)[number]; by: boolean; version: number | null }
  | { what: 'end'; outcome: (typeof OUTCOMES)[number]; hours: number }
  | { what: 'answer'; decision: 'pause' | 'resume' }
  | { what: 'tick' };
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant('trigger' as const),
      kind: fc.constantFrom(...TRIGGERS),
      by: fc.boolean(),
      version: fc.option(fc.integer({ min: 1, max: 5 })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('end' as const),
      outcome: fc.constantFrom(...OUTCOMES),
      hours: fc.integer({ min: 0, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('tick' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('answer' as const),
      decision: fc.constantFrom('pause' as const, 'resume' as const, 'resume' as const),
    }),
  },
);
const story = fc.array(fc.tuple(fc.integer({ min: 0, max: 2_000 }), happening), {
  minLength: 1,
  maxLength: 60,
});

interface Begun {
  at: number;
  demanded: boolean;
  named: boolean;
  gaveUp: boolean;
  /** When the runs before it had ended: its own end may come at the moment at which it begins. */
  endsBefore: number[];
}

/** Lives through a story, with looks whenever the book asked for one. */
function lived(spec: RetrainingSpec, events: readonly (readonly [number, Happening])[]) {
  const recorded: RetrainingDecision[] = [];
  const book = new RetrainingBook(spec, undefined, [], (decision) => recorded.push(decision));
  const begun: Begun[] = [];
  const ends: number[] = [];
  let looks = 0;
  let overlaps = 0;
  let version = 1;
  let now = START;
  let until: string | null = null;
  const look = (at: number): RetrainingDecision => {
    looks += 1;
    const running = book.running !== null;
    const { decision, due, until: next } = book.decide(iso(at), () => `run-${begun.length}`);
    until = next;
    if (due) {
      if (running) overlaps += 1;
      const demands = due.reasons.filter(({ kind }) => kind === 'demand');
      begun.push({
        at,
        demanded: demands.length > 0,
        named: demands.some(({ by }) => by !== null),
        gaveUp: book.state.gaveUpAt !== null,
        endsBefore: [...ends],
      });
    }
    return decision;
  };
  for (const [minutes, event] of events) {
    const at = now + minutes * MINUTE;
    // Timers fire on the way.
    for (let timers = 0; until !== null && Date.parse(until) <= at; timers++) {
      expect(timers).toBeLessThan(50);
      look(Math.max(now, Date.parse(until)));
    }
    now = at;
    if (event.what === 'trigger') {
      const skip = book.trigger(
        {
          kind: event.kind,
          reason: '',
          version: event.version === null ? null : String(event.version),
          ...(event.by ? { by: 'ada' } : {}),
        },
        iso(now),
      );
      const decision = skip ?? look(now);
      // Every trigger ends in a decision that is on record.
      expect(book.decisions).toContainEqual(
        expect.objectContaining({ decision: decision.decision, why: decision.why, until: decision.until }),
      );
    } else if (event.what === 'end') {
      const { running } = book;
      if (!running) continue;
      version += 1;
      book.end(
        {
          workflowId: running.workflowId,
          outcome: event.outcome,
          message: '',
          version: String(version),
          seconds: event.hours * 3_600,
          cost: 0,
        },
        iso(now),
      );
      ends.push(now);
      look(now);
    } else if (event.what === 'tick') {
      book.tick({ asOf: iso(now), champion: { version: String(version), since: iso(now) } }, iso(now));
      look(now);
    } else {
      book.answer(event);
      look(now);
    }
  }
  return { book, recorded, begun, ends, looks, overlaps };
}

describe('over any story', () => {
  const always = (check: (spec: RetrainingSpec, result: ReturnType<typeof lived>) => void): void =>
    fc.assert(
      fc.property(anySpec, story, (spec, events) => {
        check(spec, lived(spec, events));
      }),
      { numRuns: 300 },
    );

  it('one run goes on at a time', () =>
    always((_, { overlaps }) => {
      expect(overlaps).toBe(0);
    }));

  it('no run begins within the cool-down, unless somebody demanded it', () =>
    always(({ cooldown }, { begun }) => {
      for (const { at, demanded, endsBefore } of begun)
        if (!demanded)
          for (const end of endsBefore) expect(at - end).toBeGreaterThanOrEqual(durationMs(cooldown));
    }));

  it('a run that ends at the moment at which it begins is not within its own cool-down', () => {
    const spec = retrainingSpec.parse({ debounce: '1m', cooldown: '1m', maxPerDay: 1 });
    const end = { what: 'end', outcome: 'deployed', hours: 0 } as const;
    const told = { what: 'trigger', kind: 'concept-drift', by: false, version: null } as const;
    const { begun, ends } = lived(spec, [
      [0, told],
      [1, end],
      [0, end],
    ]);
    expect(begun).toMatchObject([{ at: START + MINUTE, endsBefore: [] }]);
    expect(ends).toEqual([START + MINUTE]);
  });

  it('never more than so many in 24 hours', () =>
    always(({ maxPerDay }, { begun }) => {
      for (const { at } of begun)
        expect(begun.filter((other) => other.at <= at && other.at > at - DAY).length).toBeLessThanOrEqual(
          maxPerDay,
        );
    }));

  it('never in quiet hours', () =>
    always(({ quietHours }, { begun }) => {
      for (const { at } of begun) expect(isQuiet(quietHours, at)).toBe(false);
    }));

  it('never where the budget is used up', () =>
    always(({ budget }, { book, begun }) => {
      if (!budget?.time) return;
      for (const { at } of begun) {
        const from = at - durationMs(budget.per);
        const spent = book.state.runs
          .filter(({ startedAt }) => Date.parse(startedAt) < at && Date.parse(startedAt) > from)
          .reduce((sum, { seconds }) => sum + seconds, 0);
        expect(spent * 1_000).toBeLessThan(durationMs(budget.time));
      }
    }));

  it('every run has a start and, where it ended, an end on record', () =>
    always((_, { recorded, begun, ends }) => {
      const count = (kind: string): number => recorded.filter(({ decision }) => decision === kind).length;
      expect(count('start')).toBe(begun.length);
      expect(count('ended')).toBe(ends.length);
    }));

  it('after the giving-up only a demand with a name begins a run', () =>
    always((_, { begun }) => {
      for (const { gaveUp, named } of begun) expect(!gaveUp || named).toBe(true);
    }));

  it('the state stays small', () =>
    always((_, { book }) => {
      expect(book.state.pending.length).toBeLessThanOrEqual(TRIGGERS.length);
      expect(book.decisions.length).toBeLessThanOrEqual(100);
    }));
});

describe('the record', () => {
  const decision = (more: Partial<RetrainingDecision>): RetrainingDecision => ({
    at: iso(START),
    decision: 'wait',
    reasons: [{ kind: 'degradation', reason: '', times: 1 }],
    why: 'cool-down',
    until: null,
    run: null,
    ...more,
  });
  const wait = decision({});
  const skip = decision({ decision: 'skip', reasons: [{ kind: 'data-drift', reason: '', times: 1 }] });

  it.each<[string, RetrainingDecision[], RetrainingDecision, boolean]>([
    ['the same again', [wait], decision({ at: iso(START + 1) }), false],
    [
      'told more often',
      [wait],
      decision({ reasons: [{ kind: 'degradation', reason: 'x', times: 9 }] }),
      false,
    ],
    ['the same after another kind was skipped', [wait, skip], wait, false],
    ['the same skip after a wait', [skip, wait], skip, false],
    ['another time', [wait], decision({ until: iso(START) }), true],
    ['another rule', [wait], decision({ why: 'debounce' }), true],
    ['another reason beside it', [wait], decision({ reasons: [...wait.reasons, ...skip.reasons] }), true],
    ['the same after a run has ended', [wait, decision({ decision: 'ended' })], wait, true],
    ['a start', [decision({ decision: 'start' })], decision({ decision: 'start' }), true],
  ])('%s', (_, before, next, isNew) => {
    expect(noted(before, next).isNew).toBe(isNew);
  });

  it('keeps the latest hundred', () => {
    const many = Array.from({ length: 150 }, (_, i) => decision({ why: `${i}` })).reduce<
      RetrainingDecision[]
    >((list, one) => noted(list, one).decisions, []);
    expect(many).toHaveLength(100);
    expect(many.at(-1)?.why).toBe('149');
  });
});
