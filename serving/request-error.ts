import { PerennialError } from '../contracts/errors.ts';

/** The HTTP statuses with which the server refuses a request. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 408 | 413 | 415 | 429 | 503;

/**
 * Why a sound request is not answered: too many wait; its time is over; its sender asks too often; no model, or no
 * server, at the moment; its features cannot be looked up.
 */
export type Shedding = 'queue' | 'deadline' | 'rate' | 'unavailable' | 'features';

/** The ones that time mends. */
const PASSING: readonly RefusalStatus[] = [429, 503];

/**
 * A refused request: what is wrong with it, where, and the remedy, with the HTTP status that says so.
 * The message never holds a value out of the request's rows.
 */
export class RequestError extends PerennialError {
  /** @param retryAfterSeconds for 429 and 503: when to come again; the answer's `Retry-After`, default 1 */
  constructor(
    readonly status: RefusalStatus,
    message: string,
    readonly retryAfterSeconds?: number,
    readonly shedding?: Shedding,
  ) {
    const passes = PASSING.includes(status);
    super(passes ? 'ServerUnavailable' : 'InputInvalid', message, passes);
  }
}

/** A request whose body is wrong (400). */
export function badRequest(message: string): RequestError {
  return new RequestError(400, message);
}
