import { describe, expect, it } from 'vitest';
import { MlflowError } from '../../src/errors.ts';
import {
  delayMs,
  isRetryableStatus,
  mayRepeat,
  parseRetryAfter,
  provesUnsent,
  retryPolicy,
} from '../../src/http/retry.ts';

const policy = retryPolicy({ baseDelayMs: 100, maxDelayMs: 1000 });

function httpError(status: number, retryAfterMs?: number): MlflowError {
  return new MlflowError({
    code: 'http',
    message: 'm',
    status,
    retryable: isRetryableStatus(status),
    retryAfterMs,
  });
}

const network = new MlflowError({ code: 'network', message: 'm', retryable: true });
const timeout = new MlflowError({ code: 'timeout', message: 'm', retryable: true });

describe('retry rules', () => {
  it('knows the statuses that pass', () => {
    const statuses = [200, 301, 400, 401, 403, 404, 409, 429, 500, 501, 502, 503, 504, 505];
    expect(statuses.filter(isRetryableStatus)).toEqual([429, 500, 502, 503, 504]);
  });

  it('repeats reads after anything that passes', () => {
    for (const error of [httpError(429), httpError(500), httpError(503), network, timeout]) {
      expect(mayRepeat('always', error, false)).toBe(true);
      expect(mayRepeat('delete', error, false)).toBe(true);
    }
    for (const error of [httpError(400), httpError(404), httpError(501)]) {
      expect(mayRepeat('always', error, false)).toBe(false);
    }
  });

  it('repeats creates only when they provably had no effect', () => {
    expect(mayRepeat('unsent', network, true)).toBe(true);
    expect(mayRepeat('unsent', network, false)).toBe(false);
    expect(mayRepeat('unsent', timeout, false)).toBe(false);
    expect(mayRepeat('unsent', httpError(500, 1000), false)).toBe(false);
    expect(mayRepeat('unsent', httpError(502, 1000), false)).toBe(false);
    expect(mayRepeat('unsent', httpError(503), false)).toBe(false);
    expect(mayRepeat('unsent', httpError(429), false)).toBe(false);
    expect(mayRepeat('unsent', httpError(503, 1000), false)).toBe(true);
    expect(mayRepeat('unsent', httpError(429, 0), false)).toBe(true);
  });

  it('never repeats a body that is gone', () => {
    expect(mayRepeat('never', network, true)).toBe(false);
    expect(mayRepeat('never', httpError(503, 0), false)).toBe(false);
  });

  it('knows which network errors come before sending', () => {
    expect(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].every(provesUnsent)).toBe(
      true,
    );
    expect(['ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE', undefined].some(provesUnsent)).toBe(false);
  });

  it('waits anywhere between nothing and a doubling bound', () => {
    expect(delayMs(policy, 1, undefined, () => 0)).toBe(0);
    expect([1, 2, 3, 4, 5, 9].map((attempt) => delayMs(policy, attempt, undefined, () => 1))).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
  });

  it('never waits less than the server asked for', () => {
    expect(delayMs(policy, 1, 5000, () => 0)).toBe(5000);
    expect(delayMs(policy, 1, 5000, () => 1)).toBe(5100);
  });

  it('reads Retry-After as seconds or date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(parseRetryAfter('3', now)).toBe(3000);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:10 GMT', now)).toBe(10_000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:10 GMT', now)).toBe(0);
    expect(parseRetryAfter('soon', now)).toBeUndefined();
    expect(parseRetryAfter(null, now)).toBeUndefined();
  });

  it('fills in the defaults', () => {
    expect(retryPolicy()).toEqual({ maxAttempts: 5, baseDelayMs: 200, maxDelayMs: 10_000 });
    expect(retryPolicy({ maxAttempts: 0 }).maxAttempts).toBe(1);
  });
});
