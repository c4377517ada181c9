import type { IncidentKind, RouteTable } from '../../contracts/serving.ts';
import { failureOf503 } from '../isolation/failing.ts';
import type { PredictionCall } from '../prediction.ts';
import { RequestError } from '../request-error.ts';

/**
 * How a champion failed at a sound request; nobody stands in for it, so that the client got the error.
 *
 * @returns `undefined` where it is no fault of the server: a client that gives less time than the endpoint does
 */
export function championFailing(
  error: unknown,
  { timeoutMs }: Pick<PredictionCall, 'timeoutMs'>,
  { deadlineMs }: Pick<RouteTable, 'deadlineMs'>,
): IncidentKind | undefined {
  if (!(error instanceof RequestError)) return 'error';
  if (error.status !== 503) return undefined;
  if (error.shedding !== 'deadline') return failureOf503(error);
  return timeoutMs !== undefined && timeoutMs < deadlineMs ? undefined : 'deadline';
}
