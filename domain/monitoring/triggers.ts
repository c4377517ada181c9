import type { OpenAlert } from '../../contracts/alerts.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import type { Trigger } from '../../contracts/retraining.ts';
import type { CheckName } from '../../contracts/spec/monitoring.ts';
import type { TriggerKind } from '../../contracts/spec/retraining.ts';
import { alertSubject } from './alert-notice.ts';
import { clipped } from './verdict.ts';

const LONGEST_REASON = 1_000;

/** The checks that may be a reason to train anew. Skew, operations and a drift of labels are none that training mends. */
const KINDS: Readonly<Partial<Record<CheckName, TriggerKind>>> = {
  'data-drift': 'data-drift',
  'multivariate-drift': 'data-drift',
  'domain-classifier': 'data-drift',
  'prediction-drift': 'prediction-drift',
  'concept-drift': 'concept-drift',
  quality: 'degradation',
  'estimated-quality': 'estimated-degradation',
};

/** Those that rest on truth, which is known later: they speak of an earlier window. */
const BY_TRUTH: ReadonlySet<CheckName> = new Set<CheckName>(['quality', 'concept-drift']);

/** The slice of a key; empty for all rows. */
const sliceOf = ({ key }: OpenAlert): string => key.split('/')[2] ?? '';

/**
 * The reasons to train anew that a window leaves: conditions of all rows that are raised and were beyond their limit in it,
 * one trigger for each kind, whether they are told to people or not. What the window does not judge is no reason: it may
 * have been left open by a version of before. Which of them count is the pipeline's to say.
 *
 * @param seen.labelled the window that quality and concept drift speak of; `null`: the window says nothing of them
 * @param seen.version that answered; `null` where several did
 * @param seen.championSince event time since which the version is in production: what a window says that began before is
 *   about another model, and no reason; `null` where it does not matter
 */
export function triggersOf(
  open: readonly OpenAlert[],
  {
    window,
    labelled,
    version,
    championSince,
  }: {
    window: ObservedWindow;
    labelled: ObservedWindow | null;
    version: string | null;
    championSince: string | null;
  },
): Trigger[] {
  const reasons = new Map<TriggerKind, string[]>();
  for (const alert of open) {
    const kind = KINDS[alert.check];
    if (kind === undefined || alert.raisedAt === null || sliceOf(alert) !== '') continue;
    if (alert.within > 0 || (alert.unjudged ?? 0) > 0) continue;
    const about = BY_TRUTH.has(alert.check) ? labelled : window;
    if (about === null) continue;
    if (championSince !== null && Date.parse(about.from) < Date.parse(championSince)) continue;
    reasons.set(kind, [...(reasons.get(kind) ?? []), `${alertSubject(alert)}: ${alert.words}`]);
  }
  return [...reasons].map(([kind, words]) => ({
    kind,
    reason: clipped(words.join('; '), LONGEST_REASON),
    at: window.before,
    version,
  }));
}
