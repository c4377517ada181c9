import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { batchProgress, batchScoringResult } from '../../contracts/batch-scoring.ts';
import { QUERIES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { gapIn } from '../../domain/batch-chunks.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { scoredChunk, takenBatch } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** A table of 250 rows in chunks of 20. */
const INPUT = {
  model: 'churn',
  source: '/data/customers.csv',
  output: '/data/scores.parquet',
  chunkRows: 20,
};

const start = (scenario: Scenario, input: object = {}): Promise<WorkflowHandle> =>
  bench.client.workflow.start(WORKFLOW_TYPES.batchScoring, {
    workflowId: `batch-${scenario.id}-${randomUUID().slice(0, 4)}`,
    taskQueue: bench.taskQueue,
    args: [{ ...INPUT, ...input }],
  });

const progressOf = async (handle: WorkflowHandle) =>
  batchProgress.parse(await handle.query(QUERIES.progress));

/** The ranges that were scored, in order. */
const scored = (scenario: Scenario) =>
  scenario
    .inputs('scoreChunk')
    .map(({ rows }) => rows)
    .sort((a, b) => a.from - b.from);

describe('a batch', () => {
  it('resolves the model, takes the rows, scores every chunk once, writes, and closes its run', async () => {
    const scenario = new Scenario();
    const handle = await start(scenario);
    const result = batchScoringResult.parse(await handle.result());
    expect(result).toMatchObject({
      model: 'churn',
      version: '7',
      rows: 250,
      invalid: 0,
      chunks: 13,
      output: { destination: '/data/scores.parquet', rows: 250 },
    });
    expect(gapIn(scored(scenario), 250)).toBeUndefined();
    expect(scenario.calls.map(({ name }) => name).filter((name) => name !== 'scoreChunk')).toEqual([
      'openBatch',
      'takeBatch',
      'gatherChunks',
      'writeBatch',
      'closeBatch',
    ]);
    expect(scenario.inputs('closeBatch')[0]).toMatchObject({ status: 'FINISHED', result: { rows: 250 } });
    expect(await progressOf(handle)).toMatchObject({ phase: 'done', rows: 250, of: 250, version: '7' });
  });

  it('gathers chunks in the order of their rows, whichever is ready first', async () => {
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        if (rows.from === 0) await new Promise((resolve) => setTimeout(resolve, 300));
        return scoredChunk(rows);
      },
    });
    await (await start(scenario, { parallel: 4 })).result();
    const [gathered] = scenario.inputs('gatherChunks');
    expect(
      gapIn(
        (gathered?.chunks ?? []).map(({ rows }) => rows),
        250,
      ),
    ).toBeUndefined();
  });

  it('scores no more chunks at a time than it is told', async () => {
    let now = 0;
    let most = 0;
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 50));
        now--;
        return scoredChunk(rows);
      },
    });
    await (await start(scenario, { parallel: 3 })).result();
    expect(most).toBe(3);
  });

  it('goes on in a new run after so many chunks, and nothing is asked twice', async () => {
    const scenario = new Scenario({ scoreChunk: async ({ rows }) => ({ ...scoredChunk(rows), invalid: 1 }) });
    const handle = await start(scenario, { chunksPerRun: 4, batchId: 'monday' });
    const result = batchScoringResult.parse(await handle.result());
    expect(result).toMatchObject({ batchId: 'monday', rows: 250, chunks: 13, invalid: 13 });
    expect(gapIn(scored(scenario), 250)).toBeUndefined();
    expect([
      scenario.count('openBatch'),
      scenario.count('takeBatch'),
      scenario.count('gatherChunks'),
      scenario.count('writeBatch'),
    ]).toEqual([1, 1, 4, 1]);
    const [written] = scenario.inputs('writeBatch');
    expect(new Set(written?.manifests.map(({ sha256 }) => sha256)).size).toBe(4);
    const { runId } = await bench.client.workflow.getHandle(handle.workflowId).describe();
    expect(runId).not.toBe(scenario.inputs('openBatch')[0]?.run.runId);
  });

  it('of no rows writes a table without rows', async () => {
    const scenario = new Scenario({ takeBatch: async () => takenBatch(0) });
    expect(await (await start(scenario)).result()).toMatchObject({ rows: 0, chunks: 1 });
    expect(scored(scenario)).toEqual([{ from: 0, before: 0 }]);
  });

  it('goes on where an attempt was lost', async () => {
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        if (rows.from === 100 && Context.current().info.attempt === 1)
          throw ApplicationFailure.retryable('the worker is gone', 'StageFailed');
        return scoredChunk(rows);
      },
    });
    expect(await (await start(scenario)).result()).toMatchObject({ rows: 250 });
    expect(scored(scenario).filter(({ from }) => from === 100)).toHaveLength(2);
    expect(scenario.count('scoreChunk')).toBe(14);
  });
});

describe('a batch that cannot be done', () => {
  it('writes nothing, ends the other chunks, and says so in its run', async () => {
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        if (rows.from === 40)
          throw ApplicationFailure.nonRetryable('row 47, counted from 0: no number', 'ColumnInvalid');
        return scoredChunk(rows);
      },
    });
    const { type, message } = await failure((await start(scenario)).result());
    expect([type, message]).toEqual(['ColumnInvalid', 'row 47, counted from 0: no number']);
    expect(scenario.count('writeBatch')).toBe(0);
    expect(scenario.count('scoreChunk')).toBeLessThan(13);
    expect(scenario.inputs('closeBatch')).toEqual([
      expect.objectContaining({
        status: 'FAILED',
        result: null,
        message: 'row 47, counted from 0: no number',
      }),
    ]);
  });

  it('is refused at once where its argument makes no sense', async () => {
    const scenario = new Scenario();
    const { type, message } = await failure((await start(scenario, { output: 'scores.doc' })).result());
    expect(type).toBe('InputInvalid');
    expect(message).toContain('.parquet, .csv or .jsonl');
    expect(scenario.calls).toEqual([]);
  });

  it('ends at its deadline', async () => {
    const gate = new Gate();
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        if (rows.from === 60) await Promise.race([gate.opened, Context.current().cancelled]);
        return scoredChunk(rows);
      },
    });
    const { type, message } = await failure((await start(scenario, { deadline: '15s' })).result());
    gate.open();
    expect(type).toBe('DeadlineExceeded');
    expect(message).toContain('of 250 rows');
    expect(scenario.count('writeBatch')).toBe(0);
    expect(scenario.inputs('closeBatch')).toEqual([expect.objectContaining({ status: 'FAILED' })]);
  });

  it('stops when it is cancelled, and its run is closed', async () => {
    const gate = new Gate();
    const scenario = new Scenario({
      scoreChunk: async ({ rows }) => {
        if (rows.from === 100) await gate.opened;
        return scoredChunk(rows);
      },
    });
    const handle = await start(scenario, { parallel: 1 });
    await eventually(async () => ((await progressOf(handle)).rows === 100 ? true : undefined), 'five chunks');
    expect(await progressOf(handle)).toMatchObject({ phase: 'scoring', rows: 100, of: 250 });
    await cancelAndSettle(handle);
    gate.open();
    expect((await failure(handle.result())).type).toBe('Cancelled');
    expect(scenario.count('writeBatch')).toBe(0);
    expect(scenario.inputs('closeBatch')).toEqual([
      expect.objectContaining({ status: 'KILLED', result: null }),
    ]);
  });

  it('that is cancelled while it writes waits for what becomes of that', async () => {
    const gate = new Gate();
    const scenario = new Scenario();
    let writing = false;
    scenario.let('writeBatch', async ({ taken }) => {
      writing = true;
      await gate.opened;
      return { kind: 'file', destination: 'x', format: 'csv', rows: taken.rows, bytes: 1, sha256: null };
    });
    const handle = await start(scenario);
    await eventually(async () => (writing ? true : undefined), 'the writing');
    await cancelAndSettle(handle);
    gate.open();
    // What could not be held back any more is told as it is.
    expect(await handle.result()).toMatchObject({ rows: 250 });
    expect(scenario.inputs('closeBatch')).toEqual([expect.objectContaining({ status: 'FINISHED' })]);
  });
});
