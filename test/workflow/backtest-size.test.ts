import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { BacktestInput, BacktestProgress, BacktestResult } from '../../contracts/backtest.ts';
import { QUERIES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { retrainingSpec } from '../../contracts/spec/retraining.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { BacktestWorld } from '../support/backtest-world.ts';
import { badQuality, goodQuality } from '../support/monitor-world.ts';
import { watchedSpec } from '../support/monitoring-samples.ts';
import { smallSpec } from '../support/samples.ts';
import { dayWindow } from '../support/window-reports.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

const DAYS = 300;
const KIB = 1_024;
const WINDOW = { kind: 'expanding', validation: '2d', test: '2d' } as const;

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** A wide table: each window has much to say of each of its columns. */
const manyVerdicts = Array.from({ length: 400 }, (_, i) =>
  verdictOf('data-drift', 'breached', 500, `column_${i} `.repeat(40), { of: `column_${i}` }),
);

/** Bytes of all payloads of an event, the largest. */
function largestPayload(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Math.max(0, ...Object.values(value).map(largestPayload));
}

it('300 windows under 4 policies fit: small payloads, short histories, whatever the windows say', {
  timeout: 240_000,
}, async () => {
  const windows = Array.from({ length: DAYS }, (_, i) => dayWindow(i));
  const past = new BacktestWorld({
    spec: watchedSpec({
      columns: { target: 'churned', timestamp: 'at' },
      evaluation: { metric: 'log_loss' },
      monitoring: { window: '1d', quality: { metric: 'log_loss', max: 0.5 }, groundTruthDelay: '3d' },
      retraining: { window: WINDOW },
    }),
    windows,
    scheduled: [[], windows.filter((_, i) => i % 30 === 0).map(({ index }) => index), [], []],
    delayWindows: 3,
    // Every hundred days what was learned before is worth nothing.
    verdicts: ({ window, labelled }) => {
      const epoch = (at: string): number =>
        Math.floor((Date.parse(at) - Date.parse(dayWindow(0).from)) / 864e7);
      const stale = labelled?.parts.some(({ model, before }) => epoch(model.name) < epoch(before)) === true;
      return [
        ...manyVerdicts.slice(window.index % 3),
        ...(labelled ? [stale ? badQuality() : goodQuality()] : []),
      ];
    },
    judged: () => ({ rows: 100, quality: { log_loss: 0.3 }, bad: false }),
  });
  const NOTHING = { conceptDrift: false, degradation: false };
  const policy = (name: string, on: object | null) => ({
    name,
    retraining: on && retrainingSpec.parse({ on, cooldown: '10d', giveUpAfter: 100, window: WINDOW }),
  });
  const input: BacktestInput = {
    spec: { ...smallSpec() },
    policies: [
      policy('never', null),
      policy('monthly', { ...NOTHING, schedule: '0 0 1 * *' }),
      policy('on-degradation', { ...NOTHING, degradation: true }),
      policy('on-drift', { ...NOTHING, dataDrift: true }),
    ],
    from: dayWindow(0).from,
    to: dayWindow(DAYS).from,
  };
  const workflowId = `${past.scenario.id}-backtest`;
  const started = await bench.client.workflow.start<(input: BacktestInput) => Promise<BacktestResult>>(
    WORKFLOW_TYPES.backtest,
    { workflowId, taskQueue: bench.taskQueue, args: [input] },
  );
  const result = await started.result();
  expect(result.policies.map(({ windows: count }) => count)).toEqual([DAYS, DAYS, DAYS, DAYS]);
  for (const name of ['never', 'monthly', 'on-degradation', 'on-drift'])
    expect(past.outcome(name).steps.map(({ window }) => window.index)).toEqual(
      windows.map(({ index }) => index),
    );
  expect(past.outcome('monthly').runs).toHaveLength(10);
  expect(past.outcome('on-degradation').runs.length).toBeGreaterThanOrEqual(2);
  expect(past.outcome('on-drift').runs.length).toBeGreaterThan(20);

  let [payload, bytes, runs] = [0, 0, 0];
  for (let runId: string | null | undefined = started.firstExecutionRunId; runId; runs++) {
    const handle: WorkflowHandle = bench.client.workflow.getHandle(workflowId, runId);
    const events: Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events'] = (
      await handle.fetchHistory()
    ).events;
    payload = Math.max(payload, largestPayload(events));
    bytes = Math.max(bytes, (await handle.describe()).historySize ?? 0);
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  expect(payload).toBeLessThan(64 * KIB);
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(8 * KIB * KIB);
  expect(runs).toBeGreaterThan(1);

  const shown = await bench.client.workflow.getHandle(workflowId).query<BacktestProgress>(QUERIES.progress);
  expect(shown).toMatchObject({ stage: 'writing the report', windows: DAYS });
  // Housekeeping goes by when the first of its runs began; the last one began after that one had ended.
  const first = await bench.client.workflow.getHandle(workflowId, started.firstExecutionRunId).describe();
  const began = Date.parse(shown.began);
  expect(began).toBeGreaterThanOrEqual(first.startTime.getTime());
  expect(began).toBeLessThan(first.closeTime?.getTime() ?? 0);
  expect(shown.policies.map(({ done }) => done)).toEqual([DAYS, DAYS, DAYS, DAYS]);
});
