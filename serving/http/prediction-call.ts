import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { PredictionCall } from '../prediction.ts';
import { badRequest } from '../request-error.ts';
import { replayedTime, TIME_HEADER } from './replayed-time.ts';
import type { ProtocolRequest } from './route-context.ts';

/** Whom or what the rows are about: percent-encoded UTF-8. */
export const ENTITY_HEADER = 'perennial-entity';
/** Milliseconds that the client gives. */
export const TIMEOUT_HEADER = 'perennial-timeout-ms';
/** The client's name of the request; sent back. */
export const REQUEST_ID_HEADER = 'x-request-id';
/** Of an answer: `default` where defaults stand in for features that could not be looked up. */
export const FEATURES_HEADER = 'perennial-features';

const REQUEST_ID = /^[\x21-\x7e]{1,200}$/;
const MAX_ENTITY_LENGTH = 500;

/** Distinct in all processes and over restarts; a counter behind it makes each one cheap. */
const PREFIX = randomBytes(9).toString('base64url');
let made = 0;

/**
 * What a request's headers and body say about it.
 *
 * @param replay whether the server takes recorded traffic
 * @throws RequestError 400 for a header that makes no sense
 */
export function predictionCall(
  request: FastifyRequest,
  asked: ProtocolRequest,
  replay: boolean,
  read: PredictionCall['read'] = asked.read,
): PredictionCall {
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    endpoint: asked.endpoint,
    version: asked.version,
    requestId: requestIdOf(header(REQUEST_ID_HEADER) ?? asked.id),
    entity: entityOf(header(ENTITY_HEADER)) ?? asked.entity,
    arrived: performance.now(),
    recordedAt: replayedTime(header(TIME_HEADER), replay),
    timeoutMs: timeoutOf(header(TIMEOUT_HEADER)),
    header,
    read,
  };
}

/** An id that cannot stand in a header and a file is replaced, not refused: it is the client's business. */
function requestIdOf(given: string | undefined): string {
  return given !== undefined && REQUEST_ID.test(given) ? given : `${PREFIX}-${(made++).toString(36)}`;
}

function entityOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  let entity: string;
  try {
    entity = decodeURIComponent(header);
  } catch {
    throw badRequest(`the header ${ENTITY_HEADER} is not percent-encoded UTF-8; encode the key`);
  }
  if (entity === '' || entity.length > MAX_ENTITY_LENGTH)
    throw badRequest(`the header ${ENTITY_HEADER} must have 1 to ${MAX_ENTITY_LENGTH} characters`);
  return entity;
}

function timeoutOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const timeoutMs = Number(header);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1)
    throw badRequest(`the header ${TIMEOUT_HEADER} must be a whole number of milliseconds above 0`);
  return timeoutMs;
}
