import type { FastifyReply, FastifyRequest } from 'fastify';
import { RequestError } from '../request-error.ts';
import type { RequestLimits } from '../request-limits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Takes the place of a body that turns out to be longer than was known; throws RequestError 503. */
    bodyGrows: ((bytes: number) => void) | undefined;
  }
}

/** Bodies up to this size are bounded by their number alone: large ones never keep small ones out. */
const SMALL_BODY = 64 * 1024;

/**
 * Counts the requests with bodies that have begun and not ended, and the bytes of those bodies, and refuses more than
 * so many of either.
 */
export class RequestsUnderWay {
  #count = 0;
  #bytes = 0;

  constructor(private readonly limits: Pick<RequestLimits, 'underWay' | 'allBodyBytes'>) {}

  /**
   * Counts a request until its answer is written or its connection is gone.
   *
   * @param body `held`: it is in memory as a whole; `streamed`: only ever a piece of it
   * @throws RequestError 503
   */
  enter(request: FastifyRequest, reply: FastifyReply, body: 'held' | 'streamed'): void {
    const bounded = request.caller?.id !== 'the server';
    const { underWay } = this.limits;
    if (this.#count >= underWay && bounded)
      throw shed(`the server has ${underWay} requests to answer; come again later`);
    const declared = body === 'held' ? declaredBytes(request) : 0;
    let held = 0;
    let ended = false;
    const grow = (bytes: number): void => {
      if (ended || bytes <= SMALL_BODY) return;
      const more = bytes - held;
      // One alone is always taken, whatever the limits say.
      if (bounded && this.#bytes > held && this.#bytes + more > this.limits.allBodyBytes)
        throw shed('the server holds as many bytes of requests as it may; come again later');
      held += more;
      this.#bytes += more;
    };
    grow(declared);
    this.#count += 1;
    if (body === 'held') request.bodyGrows = grow;
    reply.raw.once('close', () => {
      ended = true;
      this.#count -= 1;
      this.#bytes -= held;
    });
  }
}

/** As the header says; 0 where that is unknown, or above the limit and so refused without being read. */
function declaredBytes({ headers, routeOptions }: FastifyRequest): number {
  if (headers['content-encoding'] !== undefined) return 0;
  const length = Number(headers['content-length'] ?? 0);
  return length <= (routeOptions.bodyLimit ?? 0) ? length : 0;
}

const shed = (message: string): RequestError => new RequestError(503, message, undefined, 'queue');
