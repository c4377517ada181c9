import { PerennialError } from '../contracts/errors.ts';

/** The HTTP statuses with which the server refuses a request. */
export type RefusalStatus = 400 | 401 | 404 | 413 | 415 | 503;

/**
 * Why a sound request is not answered: too many wait; its time is over; its sender asks too often; the server is
 * about to stop; there is no model at the moment.
 */
export type ShedReason = 'queue' | 'deadline' | 'rate' | 'draining' | 'unready';

/**
 * A refused request: what is wrong with it, where, and the remedy, with the HTTP status that says so.
 * The message never holds a value out of the request's rows.
 */
export class RequestError extends PerennialError {
  constructor(
    readonly status: RefusalStatus,
    message: string,
    readonly shed?: ShedReason,
  ) {
    super(status === 503 ? 'ServerUnavailable' : 'InputInvalid', message, status === 503);
  }
}

/** A request whose body is wrong (400). */
export function badRequest(message: string): RequestError {
  return new RequestError(400, message);
}
