import type { ServerResponse } from 'node:http';
import { RequestError } from '../request-error.ts';
import type { Caller } from '../security/caller.ts';

/** Counts the requests that have begun and not ended, and refuses more than so many. */
export class RequestsUnderWay {
  #count = 0;

  constructor(private readonly limit: number) {}

  /**
   * Counts a request until its answer is written or its connection is gone.
   *
   * @throws RequestError 503
   */
  enter(caller: Caller | null, response: ServerResponse): void {
    if (this.#count >= this.limit && caller?.id !== 'the server')
      throw new RequestError(
        503,
        `the server has ${this.limit} requests to answer; come again later`,
        undefined,
        'queue',
      );
    this.#count += 1;
    response.once('close', this.#leave);
  }

  readonly #leave = (): void => {
    this.#count -= 1;
  };
}
