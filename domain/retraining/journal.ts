import type { RetrainingDecision } from '../../contracts/retraining.ts';

/** Decisions that the workflow keeps; all of them are in the audit log. */
const KEPT = 100;

/**
 * Decisions with one more. What was decided before for the same kinds, and since when nothing happened, is not put on
 * record again.
 *
 * @returns the list, and whether it has another entry now
 */
export function noted(
  decisions: readonly RetrainingDecision[],
  decision: RetrainingDecision,
): { decisions: RetrainingDecision[]; isNew: boolean } {
  if (isKnown(decisions, decision)) return { decisions: [...decisions], isNew: false };
  return { decisions: [...decisions, decision].slice(-KEPT), isNew: true };
}

function isKnown(decisions: readonly RetrainingDecision[], decision: RetrainingDecision): boolean {
  if (decision.decision === 'start' || decision.decision === 'ended') return false;
  for (const before of decisions.toReversed()) {
    if (before.decision === 'start' || before.decision === 'ended') return false;
    if (kindsOf(before) === kindsOf(decision) && isSkip(before) === isSkip(decision))
      return (
        before.decision === decision.decision &&
        before.why === decision.why &&
        before.until === decision.until
      );
    // Whether something waits, and for what, is one matter; each kind that is skipped is another.
    if (!isSkip(before) && !isSkip(decision)) return false;
  }
  return false;
}

const isSkip = ({ decision }: RetrainingDecision): boolean => decision === 'skip';

const kindsOf = ({ reasons }: RetrainingDecision): string =>
  reasons
    .map(({ kind }) => kind)
    .sort()
    .join();
