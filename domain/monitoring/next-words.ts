import type { RetrainingDecision } from '../../contracts/retraining.ts';

/**
 * What will be done about a window, in words for an alert.
 *
 * @param decision about a retraining; `null` where none was asked for
 * @example nextWords(decision) // 'The model is trained anew, run churn/retraining/20261122-101500-000: no rule holds it back.'
 */
export function nextWords(decision: RetrainingDecision | null): string {
  if (decision === null) return 'Nothing is retrained by itself.';
  const { why, until, run } = decision;
  switch (decision.decision) {
    case 'start':
      return `The model is trained anew${run === null ? '' : `, run ${run}`}: ${why}.`;
    case 'wait':
      return `A retraining waits: ${why}${until === null ? '' : `; until ${until}`}.`;
    case 'skip':
      return `The model is not trained anew: ${why}.`;
    case 'give-up':
      return `Retraining has stopped, and a person is asked: ${why}.`;
    case 'ended':
      return why;
  }
}
