import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { lookAgain } from '../../client/monitoring.ts';
import { Schedules } from '../../client/schedules.ts';
import { COULD_NOT_LOOK } from '../../contracts/monitoring.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { Gate } from '../support/gate.ts';
import { badQuality, goodQuality, MonitorWorld } from '../support/monitor-world.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** The end of a window of a world that begins on the first of November 2026. */
const end = (index: number): string => new Date(Date.UTC(2026, 10, 2 + index)).toISOString();

/** The windows whose alerts are told, once so many are: each by a workflow of its own, which a look does not wait for. */
async function toldOf(world: MonitorWorld, count: number): Promise<string[]> {
  await eventually(async () => world.told.length >= count || undefined, `${count} alerts`);
  return world.told.map(({ notice }) => notice.window.from).sort();
}

describe.concurrent('looking at an endpoint', () => {
  it('that is not watched, or is paused: nothing happens', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    scenario.let('planMonitoring', async () => ({
      settings: null,
      due: [],
      more: false,
      alerts: world.alerts,
      champion: null,
      served: null,
      channels: [],
      replayed: true,
      url: null,
    }));
    const run = await world.look(bench);
    expect(await run.result()).toEqual({
      endpoint: scenario.id,
      looked: 0,
      windows: [],
      raised: [],
      resolved: [],
    });
    expect(scenario.calls.map(({ name }) => name)).toEqual(['planMonitoring']);
  });

  it('of which nothing is due: nothing is measured or asked', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    const run = await world.look(bench, { asOf: end(-1) });
    expect((await run.result()).looked).toBe(0);
    for (const name of ['observeWindow', 'recordWindow', 'askRetraining', 'listModelServers'] as const)
      expect(scenario.count(name), name).toBe(0);
  });

  it('looks at all windows that are due, in their order, each once, and logs them', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, { groundTruthDelay: '2d' });
    const first = await (await world.look(bench, { asOf: end(4) })).result();
    expect(first).toMatchObject({ looked: 5, raised: [], resolved: [] });
    expect(first.windows.map(({ window }) => window.index)).toEqual([0, 1, 2, 3, 4]);
    expect(scenario.inputs('observeWindow').map(({ due }) => due.labelled?.index ?? null)).toEqual([
      null,
      null,
      0,
      1,
      2,
    ]);
    const again = await (await world.look(bench, { asOf: end(4) })).result();
    expect(again.looked).toBe(0);
    const later = await (await world.look(bench, { asOf: end(5) })).result();
    expect(later.windows.map(({ window }) => window.index)).toEqual([5]);
    expect(world.logged).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('after a long outage it goes on as new, and leaves no window out', { timeout: 120_000 }, async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, {}, (index) => [index === 150 ? badQuality() : goodQuality()]);
    const run = await world.look(bench, { asOf: end(204) });
    const result = await run.result();
    expect(result.looked).toBe(205);
    expect(world.trend.map(({ window }) => window.index)).toEqual(Array.from({ length: 205 }, (_, i) => i));
    expect(result.windows).toHaveLength(100);
    expect(result.windows.at(-1)?.window.index).toBe(204);
    expect(result).toMatchObject({ raised: ['quality/brier_score/'], resolved: ['quality/brier_score/'] });
    // Told for all windows, also by the run that was continued.
    expect(await toldOf(world, 2)).toEqual([end(149), end(150)]);
    const { runId } = await bench.client.workflow.getHandle(run.workflowId).describe();
    expect(runId).not.toBe(run.firstExecutionRunId);
    // What servers count belongs to the latest window alone.
    const asked = scenario.inputs('observeWindow').filter(({ counters }) => counters !== null);
    expect(asked.map(({ due }) => due.window.index)).toEqual([204]);
  });

  it('two at once: one is on record and told, the other one tells nothing and goes on from there', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    const both = new Gate();
    let observed = 0.3;
    scenario.let('observeWindow', async (input) => {
      observed += 0.01;
      const mine = observed;
      if (scenario.count('observeWindow') >= 2) both.open();
      await both.opened;
      return { ...(await world.usual.observeWindow(input)), state: 'breached', verdicts: [badQuality(mine)] };
    });
    const looks = await Promise.all(['-a', '-b'].map((name) => world.look(bench, { asOf: end(1) }, name)));
    const results = await Promise.all(looks.map((look) => look.result()));
    expect(world.trend.map(({ window }) => window.index)).toEqual([0, 1]);
    expect(results.reduce((sum, { looked }) => sum + looked, 0)).toBe(2);
    expect(results.flatMap(({ raised }) => raised)).toEqual(['quality/brier_score/']);
    // Raised by the first window, and reminded of by the second.
    expect(await toldOf(world, 2)).toEqual([end(-1), end(0)]);
  });

  it('tells what it saw where nobody can be asked whether to retrain', { timeout: 90_000 }, async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, {}, () => [badQuality()]);
    scenario.let('askRetraining', async () => {
      throw ApplicationFailure.nonRetryable('its workflow task fails', 'StageFailed');
    });
    const result = await (await world.look(bench, { asOf: end(0) })).result();
    expect(result.raised).toEqual(['quality/brier_score/']);
    expect(await toldOf(world, 1)).toHaveLength(1);
    expect(world.told[0]?.notice.next).toContain('could not be asked');
  });

  it('a window that could not be looked at is an alert, which is over when one can be', async () => {
    const scenario = new Scenario();
    const failed = verdictOf('operations', 'breached', 0, 'the window could not be looked at: no key', {
      of: COULD_NOT_LOOK,
    });
    const world = new MonitorWorld(scenario, {}, (index) => (index === 1 ? [failed] : [goodQuality()]));
    const result = await (await world.look(bench, { asOf: end(2) })).result();
    expect(result).toMatchObject({
      looked: 3,
      raised: ['operations/monitor/'],
      resolved: ['operations/monitor/'],
    });
  });

  it('windows that are looked at again tell nobody, and ask for nothing', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    await (await world.look(bench, { asOf: end(5) })).result();
    const before = scenario.count('askRetraining');
    scenario.let('observeWindow', async (input) => {
      expect(input.counters).toBeNull();
      return { ...(await world.usual.observeWindow(input)), state: 'breached', verdicts: [badQuality()] };
    });
    const run = await world.look(bench, { again: { from: end(0), before: end(3) } });
    const { windows, raised } = await run.result();
    expect(windows.map(({ window }) => window.index)).toEqual([1, 2, 3]);
    expect(raised).toEqual([]);
    expect(world.told).toEqual([]);
    expect(scenario.count('askRetraining')).toBe(before);
    expect(world.trend.map(({ state }) => state)).toEqual([
      'ok',
      'breached',
      'breached',
      'breached',
      'ok',
      'ok',
    ]);
    expect(world.alerts.open).toEqual([]);
  });

  it('a backfill of its schedule looks at what is on record again, and says how much', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    await (await world.look(bench, { asOf: end(5) })).result();
    const id = monitorScheduleId(scenario.id);
    await bench.client.schedule.create({
      scheduleId: id,
      spec: { intervals: [{ every: '1d' }] },
      state: { paused: true },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPES.monitor,
        taskQueue: bench.taskQueue,
        args: [{ endpoint: scenario.id }],
      },
    });
    const schedules = new Schedules(bench.client);
    const before = scenario.count('observeWindow');
    const { lookedAgain } = await schedules.backfill(id, new Date(end(0)), new Date(end(3)));
    expect(lookedAgain).toBe(3);
    expect(scenario.count('observeWindow')).toBe(before + 3);
    expect(world.trend).toHaveLength(6);
    await expect(
      schedules.backfill(id, new Date('2020-01-01'), new Date('2020-01-02')),
    ).rejects.toMatchObject({ code: 'InputInvalid', message: expect.stringContaining('none was looked at') });
    await expect(
      lookAgain(bench.client, bench.taskQueue, scenario.id, { from: end(8), before: end(9) }),
    ).rejects.toMatchObject({ code: 'InputInvalid' });
    await bench.client.schedule.getHandle(id).delete();
  });

  it('MLflow is out: windows go on, and it has them later', { timeout: 60_000 }, async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    scenario.let('logWindows', async () => {
      throw ApplicationFailure.retryable('MLflow does not answer', 'TrackerUnavailable');
    });
    const { looked } = await (await world.look(bench, { asOf: end(2) })).result();
    expect(looked).toBe(3);
    expect(world.trend).toHaveLength(3);
    scenario.let('logWindows', world.usual.logWindows);
    await (await world.look(bench, { asOf: end(2) })).result();
    expect(world.logged).toEqual([0, 1, 2]);
  });

  it('counters come from the servers that answer', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    const good = await bench.addServer(scenario, 'a');
    scenario.addServer('dead', `nobody-${scenario.id}`);
    scenario.let('readCounters', async ({ endpoint }) => {
      expect(endpoint).toBe(scenario.id);
      return { requests: 9, failed: 1, refused: 0, invalidInputs: 0, invalidOutputs: 0 };
    });
    await (await world.look(bench, { asOf: end(0) })).result();
    const [seen] = scenario.inputs('observeWindow');
    expect(seen?.counters).toEqual({ [good]: expect.objectContaining({ requests: 9, failed: 1 }) });
  });

  it('a window that cannot be measured ends the look; the next one begins with it', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    let broken = true;
    scenario.let('observeWindow', async (input) => {
      if (broken && input.due.window.index === 2)
        throw ApplicationFailure.nonRetryable('a file of the log is gone', 'StageFailed');
      return world.usual.observeWindow(input);
    });
    await expect((await world.look(bench, { asOf: end(4) })).result()).rejects.toThrow();
    expect(world.trend.map(({ window }) => window.index)).toEqual([0, 1]);
    broken = false;
    const { windows } = await (await world.look(bench, { asOf: end(4) })).result();
    expect(windows.map(({ window }) => window.index)).toEqual([2, 3, 4]);
  });
});

describe('by a schedule', () => {
  it('its time, not the clock, says what is due: also where it is filled up for the past', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    const schedule = await bench.client.schedule.create({
      scheduleId: monitorScheduleId(scenario.id),
      spec: { intervals: [{ every: '1d' }] },
      state: { paused: true },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPES.monitor,
        workflowId: monitorScheduleId(scenario.id),
        taskQueue: bench.taskQueue,
        args: [{ endpoint: scenario.id }],
      },
    });
    try {
      await schedule.backfill({ start: new Date(end(0)), end: new Date(end(2)), overlap: 'BUFFER_ALL' });
      await expect.poll(() => scenario.count('planMonitoring'), { timeout: 30_000 }).toBe(3);
      const asked = scenario.inputs('planMonitoring').map(({ asOf }) => asOf);
      expect(asked).toEqual([end(0), end(1), end(2)]);
      await expect.poll(() => world.trend.length, { timeout: 30_000 }).toBe(3);
    } finally {
      await schedule.delete();
    }
  });
});

describe.concurrent('what follows from a window', () => {
  it('an alert is on record before it is told, and says what will be done', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, {}, (index) => [index >= 1 ? badQuality() : goodQuality()]);
    scenario.let('askRetraining', async ({ triggers }) => ({
      decision:
        triggers.length === 0
          ? null
          : {
              at: end(1),
              decision: 'wait',
              reasons: [],
              why: 'cool-down: tomorrow',
              until: end(2),
              run: null,
            },
    }));
    const outboxAtRecord: number[] = [];
    scenario.let('recordWindow', async (input) => {
      outboxAtRecord.push(input.alerts?.outbox.length ?? -1);
      expect(world.told).toEqual([]);
      return world.usual.recordWindow(input);
    });
    await (await world.look(bench, { asOf: end(1) })).result();
    expect(outboxAtRecord).toEqual([0, 1]);
    expect(await toldOf(world, 1)).toHaveLength(1);
    expect(world.told[0]?.notice).toMatchObject({
      endpoint: scenario.id,
      severity: 'critical',
      next: expect.stringContaining('cool-down: tomorrow'),
      events: [{ kind: 'raised', key: 'quality/brier_score/' }],
    });
    expect(world.alerts.outbox).toEqual([]);
    expect(scenario.inputs('askRetraining').map(({ triggers }) => triggers.map(({ kind }) => kind))).toEqual([
      [],
      ['degradation'],
    ]);
    expect(scenario.inputs('askRetraining')[1]?.pipeline).toBe(scenario.id);
  });

  it('the time of a retraining is that of the window, and the champion that of the log', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario);
    await (await world.look(bench, { asOf: end(1) })).result();
    world.champion = '2';
    await (await world.look(bench, { asOf: end(3) })).result();
    expect(scenario.inputs('askRetraining').map(({ tick }) => tick)).toEqual([
      { asOf: end(0), champion: { version: '1', since: world.settings.since } },
      { asOf: end(1), champion: { version: '1', since: world.settings.since } },
      { asOf: end(2), champion: { version: '2', since: end(1) } },
      { asOf: end(3), champion: { version: '2', since: end(1) } },
    ]);
  });

  it('a channel that is out for long holds up nothing, and is told once when it is back', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, { alerts: { remindEvery: '30d' } }, () => [badQuality()]);
    world.channels = ['webhook', 'log'];
    const back = new Gate();
    let refusals = 0;
    scenario.let('deliverAlert', async (delivery) => {
      if (delivery.channel === 'webhook' && refusals++ < 2)
        throw ApplicationFailure.retryable('the receiver is out', 'ServerUnavailable');
      if (delivery.channel === 'webhook') await back.opened;
      return world.usual.deliverAlert(delivery);
    });
    const { looked } = await (await world.look(bench, { asOf: end(3) })).result();
    expect(looked).toBe(4);
    expect(world.told.map(({ channel }) => channel)).not.toContain('webhook');
    expect(world.alerts.outbox).toEqual([]);
    back.open();
    const { id } = await eventually(async () => scenario.inputs('deliverAlert')[0]?.notice, 'the first try');
    await bench.client.workflow.getHandle(`alert/${id}/webhook`).result();
    expect(world.told.filter(({ channel }) => channel === 'webhook').map(({ notice }) => notice.id)).toEqual([
      id,
    ]);
  });

  it('a look that is killed between record and telling: the next one tells, and only once', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, {}, () => [badQuality()]);
    const killed = new Gate();
    // The alert is told; that it was is not on record when the worker dies.
    scenario.let('settleAlerts', async () => killed.opened);
    const run = await world.look(bench, { asOf: end(0) });
    await eventually(async () => scenario.count('settleAlerts') > 0 || undefined, 'the alert to be told');
    await run.terminate('the worker was killed');
    killed.open();
    expect(world.alerts.outbox).toHaveLength(1);
    scenario.let('settleAlerts', world.usual.settleAlerts);
    await (await world.look(bench, { asOf: end(0) })).result();
    expect(world.alerts.outbox).toEqual([]);
    expect(await toldOf(world, 1)).toHaveLength(1);
  });

  it('a notice that is refused stands on record and is tried again, slowly, until it is told', async () => {
    const scenario = new Scenario();
    const world = new MonitorWorld(scenario, {}, () => [badQuality()]);
    world.channels = ['email'];
    scenario.let('deliverAlert', async () => {
      throw ApplicationFailure.nonRetryable('PERENNIAL_MAIL_TO is not set on this worker', 'InputInvalid');
    });
    await (await world.look(bench, { asOf: end(0) })).result();
    const { notice } = await eventually(async () => scenario.inputs('deliverAlert')[0], 'the first try');
    const handle = bench.client.workflow.getHandle(`alert/${notice.id}/email`);
    const pause = await eventually(async () => {
      const { events } = await handle.fetchHistory();
      const timer = events?.findLast((event) => event.timerStartedEventAttributes);
      return timer?.timerStartedEventAttributes ?? undefined;
    }, 'the wait for the next try');
    expect(Number(pause.startToFireTimeout?.seconds)).toBe(1_800);
    expect((await handle.describe()).status.name).toBe('RUNNING');
    expect(scenario.count('deliverAlert')).toBe(1);
    expect(scenario.inputs('recordDelivery')).toEqual([
      {
        endpoint: scenario.id,
        notice: { id: notice.id, title: notice.title },
        channel: 'email',
        refused: 'PERENNIAL_MAIL_TO is not set on this worker',
      },
    ]);
    // Another one that is taken is noted by itself; the first goes on waiting.
    scenario.let('deliverAlert', async () => undefined);
    await (await world.look(bench, { asOf: end(1) })).result();
    await eventually(
      async () => scenario.inputs('recordDelivery').at(-1)?.refused === null || undefined,
      'the record of what was taken',
    );
    const taken = scenario.inputs('recordDelivery').at(-1);
    expect(taken?.notice.id).not.toBe(notice.id);
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await handle.terminate('the end of the test');
  });
});
