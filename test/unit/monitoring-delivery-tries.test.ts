import { describe, expect, it } from 'vitest';
import { nextTry } from '../../domain/monitoring/delivery-tries.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('a channel that refuses', () => {
  it('is tried after half an hour, then each hour, for thirty days', () => {
    expect(nextTry(1, 0)).toBe(HOUR / 2);
    expect(nextTry(2, HOUR / 2)).toBe(HOUR);
    expect(nextTry(500, 29 * DAY)).toBe(HOUR);
    expect(nextTry(721, 30 * DAY)).toBeNull();
    let spent = 0;
    let tries = 1;
    for (let pause = nextTry(tries, spent); pause !== null; pause = nextTry(tries, spent)) {
      spent += pause;
      tries += 1;
    }
    expect(spent).toBeGreaterThan(30 * DAY - HOUR);
    expect(spent).toBeLessThanOrEqual(30 * DAY);
  });
});
