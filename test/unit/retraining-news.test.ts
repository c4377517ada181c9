import { describe, expect, it } from 'vitest';
import { type RetrainingStatus, retrainingSettings } from '../../contracts/retraining.ts';
import { RetrainingBook } from '../../domain/retraining/book.ts';
import { isNews } from '../../domain/retraining/news.ts';
import { artifact } from '../support/samples.ts';

const DAY = 86_400_000;
const START = Date.parse('2026-11-01T00:00:00Z');
const at = (day: number): string => new Date(START + day * DAY).toISOString();
const champion = { version: '3', since: at(0) };

/** What a retraining says of itself that has taken a tick, and whose run has brought version 4. */
function statusOf(day: number, clock: 'wall' | 'event' = 'wall', ran = false): RetrainingStatus {
  const settings = retrainingSettings.parse({
    pipeline: 'churn',
    specRef: artifact('spec', 'application/json'),
    retraining: { provenAfter: '14d' },
    clock,
  });
  const book = new RetrainingBook(settings.retraining);
  book.tick({ asOf: at(0), champion }, at(0));
  if (ran) {
    book.trigger({ kind: 'demand', reason: '', version: null }, at(1));
    book.decide(at(1), () => 'run-1');
    const end = { outcome: 'deployed', message: '', version: '3', seconds: 1, cost: 0 } as const;
    book.end({ workflowId: 'run-1', ...end }, at(1));
  }
  return { settings, state: book.state, decisions: book.decisions, asOf: at(day) };
}

describe('a tick', () => {
  it('that says what is known is no news, however the time is written', () => {
    expect(isNews(statusOf(1), { asOf: at(1), champion })).toBe(false);
    const same = { version: '3', since: '2026-11-01T01:00:00+01:00' };
    expect(isNews(statusOf(1), { asOf: at(1), champion: same })).toBe(false);
  });

  it('is news where the champion is another, came earlier, or is gone', () => {
    for (const other of [{ ...champion, version: '4' }, { ...champion, since: at(-1) }, null])
      expect(isNews(statusOf(1), { asOf: at(1), champion: other })).toBe(true);
    expect(isNews(statusOf(1), { asOf: at(1), champion: { ...champion, since: at(1) } })).toBe(false);
  });

  it('is news in event time, and where none came yet', () => {
    expect(isNews(statusOf(1, 'event'), { asOf: at(1), champion })).toBe(true);
    const first = statusOf(1);
    const { champion: _, ...state } = first.state;
    expect(isNews({ ...first, state }, { asOf: at(1), champion })).toBe(true);
    const none = { ...first, state: { ...state, champion: null } };
    expect(isNews(none, { asOf: at(1), champion: null })).toBe(false);
  });

  it('is news once when a run has proven itself', () => {
    const brought = { version: '3', since: at(1) };
    expect(isNews(statusOf(10, 'wall', true), { asOf: at(10), champion: brought })).toBe(false);
    expect(isNews(statusOf(20, 'wall', true), { asOf: at(20), champion: brought })).toBe(true);
  });
});
