import type { ActivityFrame } from '../../activities/frame.ts';

/** What an activity has at hand that a test calls by itself. @param scratch its folder */
export const testFrame = (scratch: string, more: Partial<ActivityFrame> = {}): ActivityFrame => ({
  attempt: 1,
  signal: new AbortController().signal,
  duckdbMemory: '1GB',
  report: () => undefined,
  warn: () => undefined,
  scratch: async () => scratch,
  ...more,
});
