import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../domain/token-bucket.ts';
import { RequestError } from '../../serving/request-error.ts';
import type { Caller } from '../../serving/security/caller.ts';
import { RateLimits } from '../../serving/security/rate-limits.ts';

describe('TokenBucket', () => {
  it('admits a burst, then the steady rate', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
    expect([0, 0, 0].map(() => bucket.take(0))).toEqual([0, 0, 0]);
    expect(bucket.take(0)).toBeCloseTo(0.1);
    expect(bucket.take(99)).toBeGreaterThan(0);
    expect(bucket.take(100)).toBe(0);
    expect(bucket.take(100)).toBeGreaterThan(0);
    // It never holds more than a burst.
    expect([0, 0, 0].map(() => bucket.take(1e9))).toEqual([0, 0, 0]);
    expect(bucket.take(1e9)).toBeGreaterThan(0);
  });

  it('pays back what others took before it admits again', () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 2 }, 0);
    bucket.charge(5, 0);
    expect(bucket.take(0)).toBeCloseTo(4);
    expect(bucket.take(3_999)).toBeGreaterThan(0);
    expect(bucket.take(4_000)).toBe(0);
    expect(bucket.full(4_000)).toBe(false);
    expect(bucket.full(6_000)).toBe(true);
  });
});

const caller = (id: string, more: Partial<Caller> = {}): Caller => ({ id, roles: new Set(), ...more });

describe('RateLimits', () => {
  it('keeps callers apart, and lets the server itself pass', () => {
    const rates = new RateLimits({ perSecond: 1, burst: 1 });
    rates.admit(caller('a'), 0);
    rates.admit(caller('b'), 0);
    expect(() => rates.admit(caller('a'), 0)).toThrow(RequestError);
    for (let i = 0; i < 5; i++) rates.admit(caller('server', { internal: true }), 0);
    expect(rates.usage()).toEqual({ a: 1, b: 1 });
    expect(rates.usage()).toBeUndefined();
  });

  it('in two processes gives the long-run rate, and a burst in each at most', () => {
    const rate = { perSecond: 10, burst: 5 };
    const processes = [new RateLimits(rate), new RateLimits(rate)];
    let admitted = 0;
    for (let now = 0; now < 60_000; now += 100) {
      for (const process of processes)
        for (let i = 0; i < 10; i++)
          try {
            process.admit(caller('a'), now + i);
            admitted += 1;
          } catch (error) {
            expect(error).toMatchObject({ status: 429 });
          }
      const [one, two] = processes.map((process) => process.usage());
      if (one) processes[1]?.charge(one, now + 50);
      if (two) processes[0]?.charge(two, now + 50);
    }
    expect(admitted).toBeGreaterThan(580);
    expect(admitted).toBeLessThanOrEqual(600 + 2 * rate.burst);
  });

  it('says when to come again, and does not grow with its callers', () => {
    const rates = new RateLimits({ perSecond: 0.5, burst: 1 });
    rates.admit(caller('a'), 0);
    expect(() => rates.admit(caller('a'), 0)).toThrow(
      expect.objectContaining({ status: 429, retryAfterSeconds: 2, retryable: true }),
    );
    for (let i = 0; i < 25_000; i++) rates.admit(caller(`subject ${i}`), i * 10);
    // A key whose rate was changed begins anew.
    rates.admit(caller('a', { rate: { perSecond: 1, burst: 2 } }), 300_000);
  });
});
