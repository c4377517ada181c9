import type { AlertEvent, OpenAlert, Silence } from '../../contracts/alerts.ts';
import { durationMs } from '../../contracts/durations.ts';
import type { ObservedWindow, Verdict } from '../../contracts/monitoring.ts';
import {
  type AlertSpec,
  type CheckName,
  SEVERITIES,
  type Severity,
} from '../../contracts/spec/monitoring.ts';
import { isSilent } from './silences.ts';
import { clipped } from './verdict.ts';

const LONGEST_KEY = 600;
const LONGEST_WORDS = 1_000;
/** Windows in a row that say nothing of a condition, after which it is over. */
const UNSEEN_WINDOWS = 10;

const DEFAULT_SEVERITY: Readonly<Record<CheckName, Severity>> = {
  quality: 'critical',
  operations: 'critical',
  'concept-drift': 'warning',
  'estimated-quality': 'warning',
  'prediction-drift': 'warning',
  skew: 'warning',
  'feature-parity': 'warning',
  'data-drift': 'info',
  'multivariate-drift': 'info',
  'domain-classifier': 'info',
  'label-drift': 'info',
};

/** How grave a breach of a check is. */
export const severityOf = (spec: AlertSpec, check: CheckName): Severity | 'off' =>
  spec.severity[check] ?? DEFAULT_SEVERITY[check];

/** The gravest of some; `info` of none. */
export const gravest = (severities: readonly Severity[]): Severity =>
  SEVERITIES.findLast((one) => severities.includes(one)) ?? 'info';

const escaped = (text: string): string => text.replaceAll('~', '~0').replaceAll('/', '~1');

/** What a verdict is about, as `<check>/<of>/<slice>`; `/` in a name is `~1`, and `~` is `~0`. */
export const alertKey = ({ check, of, slice }: Pick<Verdict, 'check' | 'of' | 'slice'>): string =>
  `${check}/${escaped(of)}/${escaped(slice ?? '')}`.slice(0, LONGEST_KEY);

/** What is settled of a condition by one window, before anything is told. */
interface Step {
  alert: OpenAlert;
  /** Why it is over, in this window. */
  over: string | null;
}

/** A detector waits for its evidence by itself: its change is seen in one window, once. */
const windowsBefore = (spec: AlertSpec, check: CheckName): number =>
  check === 'concept-drift' ? 1 : spec.after;

function beyond(
  spec: AlertSpec,
  alert: OpenAlert | undefined,
  verdict: Verdict,
  window: ObservedWindow,
): Step {
  const { check, words, observed, limit } = verdict;
  const severity = severityOf(spec, check);
  const count = (alert?.beyond ?? 0) + 1;
  const isRaised = alert?.raisedAt != null || count >= windowsBefore(spec, check);
  const begins = alert === undefined || (alert.raisedAt === null && alert.beyond === 0);
  return {
    over: null,
    alert: {
      key: alertKey(verdict),
      check,
      severity: severity === 'off' ? DEFAULT_SEVERITY[check] : severity,
      since: begins ? window.from : alert.since,
      raisedAt: isRaised ? (alert?.raisedAt ?? window.before) : null,
      beyond: count,
      within: 0,
      toldAt: alert?.toldAt ?? null,
      words,
      observed,
      limit,
    },
  };
}

function within(spec: AlertSpec, alert: OpenAlert, verdict: Verdict): Step {
  const calm = { ...alert, beyond: 0, within: alert.within + 1, unseen: 0, unjudged: 0 };
  const done = alert.raisedAt === null || calm.within >= spec.clearAfter;
  return { alert: calm, over: done ? verdict.words : null };
}

/** It ended within a silence, and whoever was told that it began does not know. */
const isOverUntold = ({ raisedAt, toldAt, beyond: windows }: OpenAlert): boolean =>
  raisedAt === null && toldAt !== null && windows === 0;

/** Nothing is known: what was raised stays raised, what was counted stays counted. */
function unseen(alert: OpenAlert, judged: boolean): Step {
  const windows = (alert.unseen ?? 0) + (judged ? 1 : 0);
  return {
    alert: { ...alert, unseen: windows, unjudged: (alert.unjudged ?? 0) + 1 },
    over: windows >= UNSEEN_WINDOWS ? `not looked at any more for ${windows} windows` : null,
  };
}

function stepOf(
  spec: AlertSpec,
  alert: OpenAlert | undefined,
  verdict: Verdict | undefined,
  window: ObservedWindow,
  judged: boolean,
): Step | undefined {
  if (verdict?.state === 'breached') return beyond(spec, alert, verdict, window);
  if (!alert) return undefined;
  if (isOverUntold(alert)) return { alert, over: verdict?.state === 'ok' ? verdict.words : alert.words };
  if (verdict?.state === 'ok') return within(spec, alert, verdict);
  if (verdict?.state === 'unlimited') return { alert, over: 'nothing is asked of it any more' };
  if (verdict) return { alert: { ...alert, unseen: 0, unjudged: (alert.unjudged ?? 0) + 1 }, over: null };
  return unseen(alert, judged);
}

/**
 * Goes on by one window. An alert is raised after `after` windows in a row beyond the limit (concept drift: after one),
 * and is over after `clearAfter` within it. A window that is insufficient neither raises nor clears. Within a silence, and
 * where the severity is `off`, nothing is told, and everything is counted all the same; what is raised, or over, when a
 * silence ends is told then. A key is raised once, and then told as changed, reminded or resolved.
 *
 * @param window whose verdicts these are; its end is the time of what happens
 * @param tellingAt when people are told, ISO 8601, for the silences that they asked for. Default: the window's end, which
 *   is right where recorded data are replayed
 * @returns what lasts, also what was not raised yet, and what is to be told, the gravest first
 */
export function nextAlerts(
  spec: AlertSpec,
  open: readonly OpenAlert[],
  silences: readonly Silence[],
  verdicts: readonly Verdict[],
  window: ObservedWindow,
  tellingAt: string = window.before,
): { open: OpenAlert[]; events: AlertEvent[] } {
  const known = new Map(open.map((alert) => [alert.key, alert]));
  const said = new Map(verdicts.map((verdict) => [alertKey(verdict), verdict]));
  const uncertain = new Set(
    verdicts.filter(({ state }) => state === 'insufficient').map(({ check }) => check),
  );
  const lasting: OpenAlert[] = [];
  const events: AlertEvent[] = [];
  for (const key of new Set([...known.keys(), ...said.keys()])) {
    const alert = known.get(key);
    const verdict = said.get(key);
    const judged = alert !== undefined && !uncertain.has(alert.check);
    const step = stepOf(spec, alert, verdict, window, judged);
    if (!step) continue;
    const severity = severityOf(spec, step.alert.check);
    const silent = isSilent(spec, silences, step.alert.check, window.before, tellingAt);
    const next = told(spec, { step, severity, silent, former: alert?.severity, verdict, at: window.before });
    if (next.alert) lasting.push(next.alert);
    if (next.event) events.push(next.event);
  }
  return { open: lasting, events: events.sort(byGravity) };
}

/** What is told of a step, and what is left of its alert. */
function told(
  spec: AlertSpec,
  {
    step: { alert, over },
    severity,
    silent,
    former,
    verdict,
    at,
  }: {
    step: Step;
    severity: Severity | 'off';
    silent: boolean;
    former: Severity | undefined;
    verdict: Verdict | undefined;
    at: string;
  },
): { alert: OpenAlert | null; event: AlertEvent | null } {
  if (severity === 'off') {
    const untold = { ...alert, toldAt: null };
    return { alert: over === null ? untold : null, event: null };
  }
  const event = (kind: AlertEvent['kind'], words = alert.words): AlertEvent => ({
    id: `${alert.key}#${kind}@${at}`,
    kind,
    key: alert.key,
    check: alert.check,
    severity,
    at,
    since: alert.since,
    words: clipped(words, LONGEST_WORDS),
    observed: kind === 'resolved' ? (verdict?.observed ?? null) : alert.observed,
    limit: kind === 'resolved' ? (verdict?.limit ?? null) : alert.limit,
  });
  if (over !== null) {
    if (alert.toldAt === null) return { alert: null, event: null };
    // They who were told that it began are told that it is over, after the silence.
    if (silent)
      return {
        alert: { ...alert, severity, raisedAt: null, words: over, beyond: 0, within: 0 },
        event: null,
      };
    return { alert: null, event: event('resolved', over) };
  }
  if (alert.raisedAt === null || silent)
    return { alert: { ...alert, severity: former ?? severity }, event: null };
  const kept = { ...alert, severity, toldAt: at };
  if (alert.toldAt === null) return { alert: kept, event: event('raised') };
  if (former !== undefined && former !== severity) return { alert: kept, event: event('changed') };
  const due = Date.parse(at) - Date.parse(alert.toldAt) >= durationMs(spec.remindEvery);
  if (!due || alert.within > 0) return { alert: { ...alert, severity }, event: null };
  const doubt =
    verdict?.state === 'insufficient' ? `; the latest window is insufficient: ${verdict.words}` : '';
  return { alert: kept, event: event('reminded', alert.words + doubt) };
}

const byGravity = (a: AlertEvent, b: AlertEvent): number =>
  SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity) || (a.key < b.key ? -1 : 1);
