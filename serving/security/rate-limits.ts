import type { RequestRate } from '../../contracts/server-keys.ts';
import { TokenBucket } from '../../domain/token-bucket.ts';
import { RequestError } from '../request-error.ts';
import type { Caller } from './caller.ts';

/** Full buckets are forgotten when there are so many: subjects of tokens come and go. */
const MAX_BUCKETS = 10_000;

/**
 * How often each caller may ask. Several processes tell each other what they admitted ({@link RateLimits.usage},
 * {@link RateLimits.charge}).
 */
export class RateLimits {
  readonly #buckets = new Map<string, TokenBucket>();
  #usage = new Map<string, number>();

  /** @param rate of callers whose key says nothing about it; without one they may ask as often as they like */
  constructor(private readonly rate: RequestRate | undefined) {}

  /** @throws RequestError 429 with the time until the next one is admitted */
  admit(caller: Caller, now: number): void {
    const rate = caller.internal === true ? undefined : (caller.rate ?? this.rate);
    if (!rate) return;
    const wait = this.#bucket(caller.id, rate, now).take(now);
    if (wait > 0)
      throw new RequestError(
        429,
        `more than ${rate.perSecond} requests a second; wait as long as Retry-After says`,
        wait,
      );
    this.#usage.set(caller.id, (this.#usage.get(caller.id) ?? 0) + 1);
  }

  /** What was admitted here since the last call, by caller; `undefined` where nothing was. */
  usage(): Record<string, number> | undefined {
    if (this.#usage.size === 0) return undefined;
    const usage = Object.fromEntries(this.#usage);
    this.#usage = new Map();
    return usage;
  }

  /** Charges what other processes admitted. A caller who was never here is charged when it comes: not at all. */
  charge(usage: Readonly<Record<string, number>>, now: number): void {
    for (const [id, count] of Object.entries(usage)) this.#buckets.get(id)?.charge(count, now);
  }

  #bucket(id: string, rate: RequestRate, now: number): TokenBucket {
    const known = this.#buckets.get(id);
    if (known?.rate.perSecond === rate.perSecond && known.rate.burst === rate.burst) return known;
    if (this.#buckets.size >= MAX_BUCKETS) this.#forget(now);
    const bucket = new TokenBucket(rate, now);
    this.#buckets.set(id, bucket);
    return bucket;
  }

  #forget(now: number): void {
    for (const [id, bucket] of this.#buckets) if (bucket.full(now)) this.#buckets.delete(id);
    // All of them in debt: the oldest goes, since memory must not.
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= MAX_BUCKETS && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
