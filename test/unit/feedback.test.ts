import { describe, expect, it } from 'vitest';
import { feedback } from '../../contracts/feedback.ts';

describe('feedback', () => {
  it('takes metrics with names of their own', () => {
    expect(feedback.safeParse({ requestId: 'r', metrics: { revenue: 1, cost: 2 } }).success).toBe(true);
  });

  it('refuses names of metrics that a table could not tell apart', () => {
    const { error } = feedback.safeParse({ requestId: 'r', metrics: { Revenue: 1, revenue: 2 } });
    expect(error?.issues[0]?.message).toBe('names of metrics must differ in more than their case');
  });
});
