import type { IncidentKind } from '../../contracts/serving.ts';
import { RequestError } from '../request-error.ts';

/** A version in a process of its own did not answer. Others can: see {@link StandIn}. */
export class ChallengerFailure extends RequestError {
  /**
   * @param kind `undefined` where nothing is wrong with it: it is only just being started, or has been replaced
   * @param reason in words, without a value out of the request
   */
  constructor(
    readonly kind: IncidentKind | undefined,
    readonly reason: string,
  ) {
    super(503, `this version ${reason}; try again later, or ask the endpoint without a version`);
  }
}
