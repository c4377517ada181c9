import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PerennialClient } from '../../client/perennial-client.ts';
import { eventLogStatus } from '../../contracts/events.ts';
import { eventLogWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { batchOf, EventLogUnderTest } from '../support/event-log.ts';
import { failure, refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { Scenario } from '../support/scenario.ts';
import { temporalCli } from '../support/temporal-cli.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

function log(own: ConstructorParameters<typeof Scenario>[0] = {}) {
  const scenario = new Scenario(own);
  return { scenario, log: new EventLogUnderTest(bench, scenario) };
}

const numbers = (count: number, prefix = 'b') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe.concurrent('an event log', () => {
  it('is started by its first signal and keeps the order of the batches', async () => {
    const { log: events } = log();
    await events.signal(batchOf('a'));
    await events.signal(batchOf('b'));
    await events.signal(batchOf('c'));
    expect(await events.ids()).toEqual(['a', 'b', 'c']);
    expect(eventLogStatus.parse(await events.status())).toMatchObject({
      head: { batches: 3, rows: 6, format: 'jsonl' },
      refused: [],
    });
  });

  it('answers an update with the offset, and a repeated one with the same', async () => {
    const { scenario, log: events } = log();
    expect(await events.update(batchOf('a'))).toEqual({
      log: scenario.id,
      batchId: 'a',
      offset: 0,
      rows: 2,
      duplicate: false,
    });
    await events.signal(batchOf('b'));
    expect(await events.update(batchOf('c'))).toMatchObject({ offset: 2, duplicate: false });
    expect(await events.update(batchOf('a'))).toMatchObject({ offset: 0, duplicate: true });
    expect(await events.ids()).toEqual(['a', 'b', 'c']);
  });

  it('counts a batch once, however often and in whatever way it is sent', async () => {
    const { log: events } = log();
    const batch = batchOf('once');
    const sent = [
      ...numbers(10).map(() => events.signal(batch)),
      ...numbers(5).map(() => events.update(batch).then(() => undefined)),
    ];
    await Promise.all(sent);
    expect(await events.ids()).toEqual(['once']);
    expect((await events.status()).head.rows).toBe(2);
  });

  it('takes the digest of the rows as id where none is given', async () => {
    const { log: events } = log();
    const { artifact, rows, format } = batchOf('', 'some rows');
    const answer = await events.update({ artifact, rows, format });
    expect(answer.batchId).toBe(artifact.sha256);
    expect(await events.update({ artifact, rows, format })).toMatchObject({ offset: 0, duplicate: true });
  });

  it('refuses other rows under an id that it has, and another format', async () => {
    const { log: events } = log();
    await events.update(batchOf('a', 'the rows'));
    expect(await refusal(events.update(batchOf('a', 'other rows')))).toMatch(
      /batch a was not appended .* other rows under this batch id/,
    );
    expect(await refusal(events.update(batchOf('b', 'b', { format: 'csv' })))).toMatch(
      /the log holds jsonl, this batch is csv/,
    );
    await events.signal(batchOf('a', 'other rows'));
    expect(await events.ids()).toEqual(['a']);
    expect((await events.status()).refused).toMatchObject([
      { batchId: 'a', reason: expect.stringMatching(/other rows/) },
    ]);
  });

  it.each([
    ['nothing', null],
    ['a text', 'rows'],
    ['rows instead of a reference', { rows: [{ a: 1 }] }],
    ['less than no rows', { ...batchOf('x'), rows: -1 }],
    ['a wrong digest', { ...batchOf('x'), artifact: { ...batchOf('x').artifact, sha256: 'abc' } }],
    ['an id with a blank', batchOf('a b')],
    ['an unknown key', { ...batchOf('x'), note: 'hello' }],
  ])('writes down a signal that holds %s, and goes on', async (_, argument) => {
    const { log: events } = log();
    await events.signal(argument);
    expect(await events.update(batchOf('good'))).toMatchObject({ offset: 0 });
    const { refused } = await events.status();
    expect(refused).toMatchObject([{ batchId: null, reason: expect.stringMatching(/^signal append: /) }]);
  });

  it('refuses a wrong update before it is in the history', async () => {
    const { log: events } = log();
    await events.update(batchOf('a'));
    const { historyLength } = await events.handle.describe();
    expect(await refusal(events.update({ ...batchOf('b'), rows: -1 }))).toMatch(/update append: rows/);
    expect((await events.handle.describe()).historyLength).toBe(historyLength);
  });

  it('takes what the Temporal CLI sends', async () => {
    const { address, cli } = inject('temporal');
    const { scenario, log: events } = log();
    const { batchId: _, ...rows } = batchOf('', 'from the command line');
    const { code } = await temporalCli(cli, address, [
      'workflow',
      'signal-with-start',
      '--type',
      WORKFLOW_TYPES.eventLog,
      '--task-queue',
      bench.taskQueue,
      '--workflow-id',
      eventLogWorkflowId(scenario.id),
      '--input',
      JSON.stringify({ log: scenario.id }),
      '--signal-name',
      'append',
      '--signal-input',
      JSON.stringify(rows),
    ]);
    expect(code).toBe(0);
    expect(await events.ids()).toEqual([rows.artifact.sha256]);
  });

  it('loses nothing when it continues as new, however fast signals and updates come', {
    timeout: 120_000,
  }, async () => {
    const { scenario, log: events } = log();
    await events.start({ continueAfter: 7 });
    const { runId } = await events.handle.describe();
    const signals = numbers(120, 's');
    const updates = numbers(40, 'u');
    // Sends again what a log that takes over to a new run refuses or drops.
    const perennial = new PerennialClient(bench.client, bench.taskQueue);
    const update = async (id: string): Promise<number> =>
      (await perennial.append(scenario.id, batchOf(id))).offset;
    const [offsets] = await Promise.all([
      Promise.all(updates.map(update)),
      ...signals.map((id) => events.signal(batchOf(id))),
    ]);
    const ids = await events.ids();
    expect([...ids].sort()).toEqual([...signals, ...updates].sort());
    expect(updates.map((id) => ids.indexOf(id))).toEqual(offsets);
    expect((await events.handle.describe()).runId).not.toBe(runId);
  });

  it('takes with it what waits when it continues as new', async () => {
    const { scenario, log: events } = log();
    const gate = new Gate();
    scenario.let('appendEventBatches', async ({ head, batches }) => {
      await gate.opened;
      return scenario.eventLog.append(head, batches);
    });
    await events.start({ continueAfter: 1 });
    const { runId } = await events.handle.describe();
    await events.signal(batchOf('a'));
    await eventually(async () => scenario.count('appendEventBatches') > 0 || undefined, 'the append');
    for (const id of ['b', 'c']) await events.signal(batchOf(id));
    gate.open();
    await eventually(
      async () => (await events.handle.describe()).runId !== runId || undefined,
      'the run that goes on',
    );
    expect(await events.ids()).toEqual(['a', 'b', 'c']);
  });

  it('goes on after its workflow was terminated, from where the store says that it stood', async () => {
    const { scenario, log: events } = log();
    await events.update(batchOf('a'));
    const { head } = await events.status();
    scenario.let('openEventLog', async () => ({ head }));
    await events.handle.terminate();
    expect(await events.update(batchOf('b'))).toMatchObject({ offset: 1 });
    expect(await events.update(batchOf('a'))).toMatchObject({ offset: 0, duplicate: true });
    expect(await events.ids()).toEqual(['a', 'b']);
  });

  it('tells the senders where the store cannot be mended by trying again, and goes on', async () => {
    const { scenario, log: events } = log();
    scenario.let('appendEventBatches', async () => {
      throw ApplicationFailure.nonRetryable('the manifest is broken', 'ArtifactCorrupt');
    });
    expect(await refusal(events.update(batchOf('a')))).toMatch(/the manifest is broken/);
    await events.signal(batchOf('b'));
    await eventually(
      async () => ((await events.status()).refused.length === 1 ? true : undefined),
      'the refusal',
    );
    scenario.let('appendEventBatches', async ({ head, batches }) => scenario.eventLog.append(head, batches));
    expect(await events.update(batchOf('a'))).toMatchObject({ offset: 0 });
  });

  it('appends what it was sent before it obeys a cancellation', async () => {
    const { scenario, log: events } = log();
    const gate = new Gate();
    scenario.let('appendEventBatches', async ({ head, batches }) => {
      await gate.opened;
      return scenario.eventLog.append(head, batches);
    });
    await events.signal(batchOf('a'));
    await eventually(async () => (scenario.count('appendEventBatches') > 0 ? true : undefined), 'the append');
    await events.signal(batchOf('b'));
    await cancelAndSettle(events.handle);
    gate.open();
    expect(await failure(events.handle.result())).toMatchObject({ type: 'Cancelled' });
    expect(await events.ids()).toEqual(['a', 'b']);
  });

  it('has one workflow id and no other', async () => {
    const { id } = new Scenario();
    const handle = await bench.client.workflow.start(WORKFLOW_TYPES.eventLog, {
      workflowId: `${id}-second-writer`,
      taskQueue: bench.taskQueue,
      args: [{ log: id }],
    });
    expect(await failure(handle.result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringMatching(new RegExp(`has the id eventLog/${id} and no other`)),
    });
  });
});
