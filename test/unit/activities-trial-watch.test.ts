import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { TrialWatch } from '../../activities/trial-watch.ts';
import { candidate } from '../../contracts/spec/candidates.ts';

const deps: Pick<ActivityDependencies, 'client'> = {
  client: () => {
    throw new Error('nobody is asked');
  },
};
const watching = (maxSeconds: number) =>
  new TrialWatch(
    deps,
    {
      trial: { candidate: 'a', number: 0, fold: null },
      candidate: candidate.parse({ name: 'a', trainer: 'lightgbm' }),
      metric: 'roc_auc',
      rungs: [],
      maxSeconds,
    },
    new AbortController().signal,
  );

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('ends a trainer that does not keep its time a minute later, and says so', () => {
  const watch = watching(10);
  vi.advanceTimersByTime(69_000);
  expect(watch.signal.aborted).toBe(false);
  vi.advanceTimersByTime(2_000);
  expect(watch.signal.reason).toMatchObject({
    code: 'TrainerFailed',
    message: expect.stringContaining('was given 10.0 s'),
  });
});

it('leaves a trainer alone that may take a month', () => {
  const watch = watching(30 * 86_400);
  vi.advanceTimersByTime(86_400_000);
  expect(watch.signal.aborted).toBe(false);
  watch.close();
});
