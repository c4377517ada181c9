import type { RequestRate } from '../contracts/server-keys.ts';

/**
 * A token bucket: requests at a steady rate, and some at once after a pause. It knows no clock; callers give it the
 * time.
 *
 * What others took on the same account is charged afterwards and may leave a debt: admissions then pause until it is
 * paid. So the long-run rate holds over all processes, and only a burst can be had once in each of them.
 *
 * @see https://en.wikipedia.org/wiki/Token_bucket
 * @example
 * const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 0);
 * bucket.take(0); // 0: admitted
 */
export class TokenBucket {
  #tokens: number;
  #at: number;

  /** @param now milliseconds of any clock that does not go back */
  constructor(
    readonly rate: RequestRate,
    now: number,
  ) {
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /**
   * Takes one token.
   *
   * @returns 0 where there was one, else the seconds until there will be
   */
  take(now: number): number {
    this.#fill(now);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return (1 - this.#tokens) / this.rate.perSecond;
  }

  /** Takes what was admitted elsewhere. */
  charge(tokens: number, now: number): void {
    this.#fill(now);
    this.#tokens -= tokens;
  }

  /** Whether it holds all that it can: forgetting it changes nothing. */
  full(now: number): boolean {
    this.#fill(now);
    return this.#tokens >= this.rate.burst;
  }

  #fill(now: number): void {
    this.#tokens = Math.min(
      this.rate.burst,
      this.#tokens + (Math.max(0, now - this.#at) / 1_000) * this.rate.perSecond,
    );
    this.#at = Math.max(this.#at, now);
  }
}
