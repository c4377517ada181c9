import { PerennialError } from '../../contracts/errors.ts';
import type { IncidentKind, RouteTable } from '../../contracts/serving.ts';
import type { PredictionCall } from '../prediction.ts';
import { RequestError } from '../request-error.ts';
import { ChallengerFailure } from './challenger-failure.ts';

/** A version beside the champion that did not give an answer that can be used. */
export interface Failing {
  /** `undefined` where nothing is to be told. */
  readonly kind: IncidentKind | undefined;
  readonly reason: string;
}

/**
 * What a failed run says about the version.
 *
 * @throws whatever is a mistake of ours
 */
export function failingOf(
  error: unknown,
  { timeoutMs }: PredictionCall,
  { deadlineMs }: RouteTable,
): Failing {
  if (error instanceof ChallengerFailure) {
    // A client that gives less time than the endpoint does says nothing about the version.
    const hurried = error.kind === 'deadline' && timeoutMs !== undefined && timeoutMs < deadlineMs;
    return { kind: hurried ? undefined : error.kind, reason: error.reason };
  }
  if (error instanceof RequestError)
    return error.status === 503
      ? { kind: failureOf503(error), reason: error.message }
      : {
          kind: 'refused-input',
          reason: 'it refuses rows that the champion takes; compare their signatures',
        };
  if (error instanceof PerennialError) return { kind: 'error', reason: error.message };
  throw error;
}

/** Whether features could not be looked up, and the view says that the request is refused then. */
export const isUnfed = (error: unknown): boolean =>
  error instanceof RequestError && error.shedding === 'features';

/** What is told of a sound request that was not answered for the moment. */
export const failureOf503 = (error: RequestError): 'features' | 'overload' =>
  isUnfed(error) ? 'features' : 'overload';

/** An answer with rows that are no answers. */
export const invalidOutput = (invalid: number, rows: number): Failing => ({
  kind: 'invalid-output',
  reason: `${invalid} of ${rows} rows have an output that is no number, or no label`,
});
