import { setImmediate as tick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { judged, judgedPlots } from '../../lib/evaluation/judge-aside.ts';
import { JUDGES } from '../../lib/evaluation/judge-job.ts';
import { linearCongruential } from '../support/integration-random.ts';

const ROWS = 60_000;
const uniform = linearCongruential(ROWS * 2, 7);
const answers = Float64Array.from(uniform.slice(0, ROWS));
const chances = uniform.slice(ROWS);
const baseline = { classShares: [0.5, 0.5], mean: null };

const BINARY = {
  problem: { task: 'binary' as const, classNames: ['no', 'yes'], positiveClass: 'yes', baseline },
  labels: Int32Array.from(chances, (chance, row) => (chance < (answers[row] ?? 0) ? 1 : 0)),
  answers,
};
const REGRESSION = {
  problem: { task: 'regression' as const, classNames: [], positiveClass: null, baseline },
  labels: Float32Array.from(chances),
  answers,
};

describe.each([
  ['binary', BINARY],
  ['regression', REGRESSION],
])('many answers (%s)', (_task, question) => {
  it.each([
    ['metrics', judged],
    ['plots', judgedPlots],
  ] as const)('are judged aside as they are at once: %s', async (name, judged) => {
    let ticks = 0;
    const judging = judged(question).finally(() => {
      ticks += 1_000_000;
    });
    // Who holds the event loop lets nobody else run before the answer.
    await tick();
    expect(ticks).toBe(0);
    expect(await judging).toEqual(await JUDGES[name](question));
  });

  it('are not judged further after an abort', async () => {
    const stop = new AbortController();
    const judging = judged(question, stop.signal);
    stop.abort(new Error('cancelled'));
    await expect(judging).rejects.toThrow('cancelled');
    await expect(judged(question, stop.signal)).rejects.toThrow('cancelled');
  });
});

it('intervals, also of a challenger against it, come with the metrics', async () => {
  const bootstrap = { confidence: 0.9, resamples: 40, seed: 1 };
  const challenger = answers.map((value) => 0.2 + 0.6 * value);
  const asked = { ...bootstrap, bounds: [0.8], shares: [0.8] };
  const question = { ...BINARY, bootstrap: asked, challenger: { answers: challenger } };
  const found = await judged(question);
  expect(found).toEqual(await JUDGES.metrics(question));
  expect(found.intervals).toEqual({});
  const { intervals } = await judged({ ...BINARY, bootstrap });
  const { low = 1, high = 0 } = intervals.roc_auc ?? {};
  expect(found.metrics.roc_auc).toBeGreaterThan(low);
  expect(found.metrics.roc_auc).toBeLessThan(high);
  // It ranks alike and is less sure of itself.
  expect(found.difference.roc_auc).toEqual({ low: 0, high: 0 });
  expect(found.difference.log_loss?.low).toBeGreaterThan(0);
  const [units, share] = found.bounds.filter(({ metric }) => metric === 'log_loss');
  expect(share).toMatchObject({ share: true, confidence: 0.8 });
  const itsLoss = found.metrics.log_loss ?? 0;
  expect(share?.low).toBeCloseTo((units?.low ?? 0) / itsLoss, 2);
});

it('few answers are judged at once', async () => {
  const few = { ...BINARY, labels: BINARY.labels.subarray(0, 100), answers: answers.subarray(0, 100) };
  expect(await judged(few)).toEqual(await JUDGES.metrics(few));
});

it('answers that are no numbers are no result, and are not judged again', async () => {
  const odd = { ...BINARY, answers: answers.map((value, row) => (row % 1_000 === 0 ? Number.NaN : value)) };
  const refusal = {
    code: 'StageFailed',
    retryable: false,
    message: expect.stringContaining('60 times of 60000'),
  };
  await expect(judged(odd)).rejects.toMatchObject(refusal);
  const few = { ...odd, labels: odd.labels.subarray(0, 100), answers: odd.answers.subarray(0, 100) };
  await expect(judged(few)).rejects.toThrow('1 times of 100');
});

it('what cannot be judged fails, and says why', async () => {
  const broken = {
    ...BINARY,
    labels: null as never,
  };
  await expect(judgedPlots(broken)).rejects.toMatchObject({
    code: 'StageFailed',
    retryable: false,
    message: expect.stringMatching(/^The plots cannot be computed: ./),
  });
});
