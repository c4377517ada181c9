import type { Feedback } from '../../contracts/feedback.ts';
import type { EntityKey } from './entity-key.ts';
import type { TruthRecord } from './records.ts';
import { epochMs } from './wall-clock.ts';

/** A thousandth of a millisecond: the order of what comes in one request is kept. */
const STEP_MS = 1e-3;
let last = 0;

/** When something was received: never the same twice in one process, so that the later one counts. */
function receivedNow(): number {
  last = Math.max(epochMs(), last + STEP_MS);
  return last;
}

const ZONE = /(Z|[+-]\d\d:?\d\d)$/i;

/** Epoch milliseconds of ISO 8601; without an offset it is UTC. */
function epochOf(text: string): number {
  return Date.parse(text.includes('T') && !ZONE.test(text) ? `${text}Z` : text);
}

/**
 * Feedback as it is recorded; the entity becomes its pseudonym.
 *
 * @param key needed where an entity is named
 */
export function truthOf(endpoint: string, feedback: Feedback, key: EntityKey | undefined): TruthRecord {
  const { requestId, row, entity, at, value, label, metrics } = feedback;
  return {
    endpoint,
    requestId: requestId ?? null,
    row: requestId == null ? null : (row ?? null),
    entity: entity == null ? null : (key?.pseudonym(entity) ?? null),
    observedAt: at == null ? null : epochOf(at),
    receivedAt: receivedNow(),
    value: typeof value === 'boolean' ? Number(value) : (value ?? null),
    label: label == null ? null : String(label),
    metrics: metrics ?? {},
  };
}
