import type { PendingReason, RetrainingDecision } from '../../contracts/retraining.ts';

/** Reasons with one more: one for each kind, in the order in which they first came. */
export function withReason(pending: readonly PendingReason[], told: PendingReason): PendingReason[] {
  const same = pending.find(({ kind }) => kind === told.kind);
  if (!same) return [...pending, told];
  return pending.map((reason) =>
    reason === same
      ? {
          ...told,
          reason: told.reason === '' ? same.reason : told.reason,
          firstAt: earlier(same.firstAt, told.firstAt),
          lastAt: later(same.lastAt, told.lastAt),
          times: same.times + told.times,
          by: told.by ?? same.by,
        }
      : reason,
  );
}

const earlier = (a: string, b: string): string => (Date.parse(a) <= Date.parse(b) ? a : b);
const later = (a: string, b: string): string => (Date.parse(a) >= Date.parse(b) ? a : b);

/** Reasons about another version than the one in production. */
export const outdatedBy = (
  pending: readonly PendingReason[],
  champion: { version: string } | null,
): PendingReason[] =>
  pending.filter(({ version }) => version !== null && champion !== null && version !== champion.version);

/** What a decision keeps of a reason: a hundred decisions travel together. */
const MAX_WORDS = 300;

/** Reasons as decisions name them. */
export const toldOf = (reasons: readonly PendingReason[]): RetrainingDecision['reasons'] =>
  reasons.map(({ kind, reason, times }) => ({ kind, reason: reason.slice(0, MAX_WORDS), times }));

/** The record of reasons that are none. */
export const skipOf = (reasons: readonly PendingReason[], why: string, asOf: string): RetrainingDecision => ({
  at: asOf,
  decision: 'skip',
  reasons: toldOf(reasons),
  why,
  until: null,
  run: null,
});
