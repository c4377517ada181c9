import type { IncidentKind } from '../../contracts/serving.ts';
import { RequestError } from '../request-error.ts';

/** A version in a process of its own did not answer. Others can: see {@link StandIn}. */
export class ChallengerFailure extends RequestError {
  /**
   * @param kind `undefined` where nothing is wrong with it: it is only just being started, or has been replaced
   * @param reason a sentence about it, without a value out of the request
   */
  constructor(
    readonly kind: IncidentKind | undefined,
    readonly reason: string,
  ) {
    super(503, `this version cannot answer now: ${reason}; try again later, or name no version`);
  }
}
