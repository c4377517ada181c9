import type { Feedback } from '../../contracts/feedback.ts';
import type { EntityKey } from './entity-key.ts';
import type { TruthRecord } from './records.ts';
import { epochMs, epochOf } from './wall-clock.ts';

/** A thousandth of a millisecond: the order of what comes in one request is kept. */
const STEP_MS = 1e-3;
let last = 0;

let replayed = { at: Number.NaN, last: 0 };

/** The same of a moment that was given: what comes later and names the same moment counts as later. */
function receivedAt(at: number): number {
  replayed = { at, last: replayed.at === at ? replayed.last + STEP_MS : at };
  return replayed.last;
}

/** When something was received: never the same twice in one process, so that the later one counts. */
function receivedNow(): number {
  last = Math.max(epochMs(), last + STEP_MS);
  return last;
}

/**
 * Feedback as it is recorded; the entity becomes its pseudonym.
 *
 * @param key needed where an entity is named
 * @param received epoch milliseconds, of feedback that is replayed; default: now
 */
export function truthOf(
  endpoint: string,
  feedback: Feedback,
  key: EntityKey | undefined,
  received?: number,
): TruthRecord {
  const { requestId, row, entity, at, value, label, metrics } = feedback;
  return {
    endpoint,
    requestId: requestId ?? null,
    row: requestId == null ? null : (row ?? null),
    entity: entity == null ? null : (key?.pseudonym(entity) ?? null),
    observedAt: at == null ? null : epochOf(at),
    receivedAt: received === undefined ? receivedNow() : receivedAt(received),
    value: typeof value === 'boolean' ? Number(value) : (value ?? null),
    label: label == null ? null : String(label),
    metrics: metrics ?? {},
  };
}
