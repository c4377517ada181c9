import { PerennialError } from '../contracts/errors.ts';

/** The HTTP statuses with which the server refuses a request. */
export type RefusalStatus = 400 | 401 | 404 | 413 | 415 | 503;

/**
 * A refused request: what is wrong with it, where, and the remedy, with the HTTP status that says so.
 * The message never holds a value out of the request's rows.
 */
export class RequestError extends PerennialError {
  constructor(
    readonly status: RefusalStatus,
    message: string,
    /** After how many seconds the client may try again, where that is known. */
    readonly retryAfterSeconds?: number,
  ) {
    super(status === 503 ? 'ServerUnavailable' : 'InputInvalid', message, status === 503);
  }
}

/** A request whose body is wrong (400). */
export function badRequest(message: string): RequestError {
  return new RequestError(400, message);
}
