import { describe, expect, it } from 'vitest';
import { type AlertEvent, alertNotice, type OpenAlert } from '../../contracts/alerts.ts';
import type { Verdict } from '../../contracts/monitoring.ts';
import { trigger } from '../../contracts/retraining.ts';
import { alertSubject, noticeOf } from '../../domain/monitoring/alert-notice.ts';
import { nextAlerts } from '../../domain/monitoring/alerts.ts';
import { triggersOf } from '../../domain/monitoring/triggers.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { dayWindow, watching } from '../support/window-reports.ts';

const SPEC = watching({ alerts: { severity: { 'data-drift': 'off' }, clearAfter: 2 } }).alerts;
const breached = (check: Verdict['check'], of = '', slice: string | null = null): Verdict =>
  verdictOf(check, 'breached', 500, `${of || 'it'} 0.3, at most 0.2`, {
    of,
    slice,
    observed: 0.3,
    limit: 0.2,
  });

const breaking = (...verdicts: Verdict[]) => nextAlerts(SPEC, [], [], verdicts, dayWindow(0));
const eventsOf = (...verdicts: Verdict[]): AlertEvent[] => breaking(...verdicts).events;

const noticed = (events: AlertEvent[], changes: Partial<Parameters<typeof noticeOf>[0]> = {}) =>
  alertNotice.parse(
    noticeOf({
      endpoint: 'bank',
      pipeline: 'bank-subscription',
      version: '3',
      window: dayWindow(0),
      events,
      next: 'A retraining is asked for.',
      url: null,
      plot: null,
      ...changes,
    }),
  );

describe('the notice of a window', () => {
  it('says in its title what it is about, and has the gravest severity', () => {
    const events = eventsOf(breached('prediction-drift', 'probability'), breached('quality', 'brier_score'));
    expect(noticed(events)).toMatchObject({
      severity: 'critical',
      title: 'bank: quality brier_score is beyond its limit, and 1 more',
      window: { from: dayWindow(0).from, before: dayWindow(0).before },
      events,
    });
    const over = events.map((event) => ({ ...event, kind: 'resolved' as const }));
    expect(noticed(over.slice(0, 1)).title).toBe('bank: quality brier_score is over');
    expect(noticed([...over.slice(0, 1), ...events.slice(1)]).title).toBe(
      'bank: drift of the answers probability is beyond its limit, and 1 more',
    );
  });

  it('names the slice, and what has a slash in its name', () => {
    const [event] = eventsOf(breached('quality', 'a/b~c', 'region = north/west'));
    expect(event && alertSubject(event)).toBe('quality a/b~c where region = north/west');
  });

  it('has one id for the same events, in whatever order, and another for others', () => {
    const events = eventsOf(breached('skew'), breached('quality', 'roc_auc'));
    const { id } = noticed(events);
    expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(noticed([...events].reverse(), { next: 'other words' }).id).toBe(id);
    expect(noticed(events.slice(1)).id).not.toBe(id);
    expect(noticed(events, { endpoint: 'other' }).id).not.toBe(id);
    expect(noticed(events, { endpoint: 'é.\n'.repeat(99) }).id).toMatch(/^[A-Za-z0-9_-]{1,200}$/);
  });

  it('stays within its bounds', () => {
    const many = eventsOf(...Array.from({ length: 150 }, (_, i) => breached('quality', `metric ${i}`)));
    const notice = noticed(many, { next: 'n'.repeat(2_000) });
    expect(notice.events).toHaveLength(100);
    expect(notice.title).toContain('and 149 more');
  });
});

describe('the triggers of a window', () => {
  type Seen = Parameters<typeof triggersOf>[1];
  const seen: Seen = { window: dayWindow(5), labelled: dayWindow(2), version: '3', championSince: null };
  const triggered = (open: OpenAlert[], changes: Partial<Seen> = {}) =>
    triggersOf(open, { ...seen, ...changes }).map((one) => trigger.parse(one));

  it('are the conditions that a new model may mend, also those that nobody is told of', () => {
    const { open, events } = breaking(
      breached('data-drift'),
      breached('multivariate-drift'),
      breached('domain-classifier'),
      breached('prediction-drift', 'probability'),
      breached('concept-drift'),
      breached('quality', 'roc_auc'),
      breached('quality', 'brier_score'),
      breached('estimated-quality', 'roc_auc'),
      breached('skew'),
      breached('operations', 'uptime'),
      breached('label-drift'),
    );
    expect(events.map(({ check }) => check)).not.toContain('data-drift');
    const triggers = triggered(open);
    expect(triggers.map(({ kind }) => kind).sort()).toEqual([
      'concept-drift',
      'data-drift',
      'degradation',
      'estimated-degradation',
      'prediction-drift',
    ]);
    expect(triggers.find(({ kind }) => kind === 'degradation')).toEqual({
      kind: 'degradation',
      reason: 'quality roc_auc: roc_auc 0.3, at most 0.2; quality brier_score: brier_score 0.3, at most 0.2',
      at: dayWindow(5).before,
      version: '3',
    });
  });

  it('leave out what is not raised, what is getting better, and slices', () => {
    const patient = watching({ alerts: { after: 2 } }).alerts;
    expect(triggered(nextAlerts(patient, [], [], [breached('quality', 'f1')], dayWindow(0)).open)).toEqual(
      [],
    );
    const { open } = breaking(breached('quality', 'f1'));
    const fine: Verdict = { ...breached('quality', 'f1'), state: 'ok' };
    const better = nextAlerts(SPEC, open, [], [fine], dayWindow(1)).open;
    expect(better).toHaveLength(1);
    expect(triggered(better)).toEqual([]);
    expect(triggered(breaking(breached('quality', 'f1', 'region = north')).open)).toEqual([]);
  });

  it('say nothing of a model that came after the window, or after the one whose truth is known', () => {
    const { open } = breaking(breached('quality', 'f1'), breached('prediction-drift', 'p'));
    const kinds = (championSince: string) => triggered(open, { championSince }).map(({ kind }) => kind);
    expect(kinds(dayWindow(2).from).sort()).toEqual(['degradation', 'prediction-drift']);
    expect(kinds(dayWindow(3).from)).toEqual(['prediction-drift']);
    expect(kinds(dayWindow(5).before)).toEqual([]);
  });

  it('what version 1 left open is no evidence about version 2: no truth is due, or too little', () => {
    const { open } = breaking(breached('quality', 'f1'), breached('concept-drift'));
    const championSince = dayWindow(4).from;
    const version2 = { championSince, labelled: dayWindow(4) };
    expect(triggered(open, version2)).toHaveLength(2);
    expect(triggered(open, { championSince, labelled: null })).toEqual([]);
    expect(triggered(open, { labelled: null })).toEqual([]);
    const little: Verdict = { ...breached('quality', 'f1'), state: 'insufficient' };
    const unsaid = nextAlerts(SPEC, open, [], [little], dayWindow(5)).open;
    expect(unsaid).toHaveLength(2);
    expect(triggered(unsaid, version2)).toEqual([]);
    const again = nextAlerts(SPEC, unsaid, [], [breached('quality', 'f1')], dayWindow(6)).open;
    expect(triggered(again, version2).map(({ kind }) => kind)).toEqual(['degradation']);
  });
});
