import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { endpointState } from '../../contracts/endpoint.ts';
import { SIGNALS } from '../../contracts/names.ts';
import { accepted, aliases, served as servedBy, settled, told } from '../support/endpoint-world.ts';
import { refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { servedModel } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const served = (own?: ConstructorParameters<typeof Scenario>[0], continueAfter?: number) =>
  servedBy(bench, own, continueAfter);

describe.concurrent('an endpoint and its roll-outs', () => {
  it('refuses a candidate that was judged against another champion', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'), 'first', { judgedAgainst: null });
    expect(await refusal(endpoint.deploy(servedModel('2'), 'late', { judgedAgainst: null }))).toContain(
      'version 2 was judged against no champion, but version 1 serves',
    );
    expect(told(scenario)).toEqual(['1: 1']);
    expect(await endpoint.deploy(servedModel('3'), 'right', { judgedAgainst: '1' })).toMatchObject({
      version: '3',
    });
  });

  it('does not roll back twice, nor from another version than the one that is meant', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.deploy(servedModel('2'));
    expect(await refusal(endpoint.rollback('wrong', { from: '1' }))).toContain(
      'version 2 serves, not version 1',
    );
    await endpoint.rollback('right', { from: '2', reason: 'wrong prices' });
    expect(await refusal(endpoint.rollback('again'))).toContain('there is no version before the current one');
    await settled(endpoint);
    expect(aliases(scenario)).toEqual(['1', '2', '1']);
    expect(endpointState.parse(await endpoint.state()).changes.at(-1)).toMatchObject({
      from: '2',
      to: '1',
      reason: 'wrong prices',
    });
  });

  it('rolls back to the version before, and refuses where there is none', async () => {
    const { scenario, endpoint } = await served();
    expect(await refusal(endpoint.rollback('r0'))).toContain('there is no version before the current one');
    await endpoint.deploy(servedModel('1'));
    expect(await refusal(endpoint.rollback('r1'))).toContain('there is no version before the current one');
    await endpoint.deploy(servedModel('2'));
    expect(await endpoint.rollback('r2')).toMatchObject({
      version: '1',
      previousVersion: '2',
      generation: 3,
    });
    expect(await endpoint.rollback('r2')).toMatchObject({ version: '1', generation: 3 });
    await settled(endpoint);
    expect(aliases(scenario)).toEqual(['1', '2', '1']);
  });

  it('refuses a rollback where another version came into force while it waited', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.deploy(servedModel('2'));
    await endpoint.admit(servedModel('3'));
    const hold = new Gate();
    scenario.let('applyRoutes', async ({ table }) => {
      await hold.opened;
      return { serverId: server, endpoint: table.endpoint, generation: table.generation, versions: [] };
    });
    const third = endpoint.promote(servedModel('3'));
    await eventually(async () => scenario.inputs('applyRoutes')[2], 'the third change');
    const twice = [endpoint.rollback('r1'), endpoint.rollback('r2')].map(refusal);
    await accepted(endpoint, 8);
    hold.open();
    await third;
    for (const why of await Promise.all(twice)) expect(why).toContain('version 3 serves, not version 2');
    expect(aliases(scenario)).toEqual(['1', '2', '3']);
  });

  it('rolls back at once while MLflow is away; the alias and the tag follow', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.deploy(servedModel('2'));
    const away = new Gate();
    scenario.let('setChampion', () => away.opened);
    scenario.let('tagVersion', () => away.opened);
    expect(await endpoint.rollback('now', { reason: 'wrong prices' })).toMatchObject({ version: '1' });
    expect(await endpoint.state()).toMatchObject({ current: { version: '1' }, aliasUncertain: true });
    away.open();
    expect(await settled(endpoint)).toMatchObject({ alias: '1', notes: [] });
    const [tagged] = scenario.inputs('tagVersion');
    expect(tagged).toMatchObject({ modelName: scenario.id, version: '2' });
    expect(JSON.parse(tagged?.tags['perennial.rolled_back'] ?? '')).toMatchObject({
      by: 'ada',
      reason: 'wrong prices',
      what: 'back to version 1',
    });
  });

  it('gives up a promotion that waits for the alias where a person rolls back', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    let refused = 0;
    scenario.let('setChampion', async ({ version }) => {
      if (version !== '2') return;
      refused += 1;
      throw ApplicationFailure.retryable('MLflow is away', 'TrackerUnavailable');
    });
    const promotion = refusal(endpoint.promote(servedModel('2')));
    await eventually(async () => (refused > 0 ? true : undefined), 'the alias to be tried');
    expect(await endpoint.rollback('back')).toMatchObject({ version: '1', previousVersion: '2' });
    expect(await promotion).toContain('another change came before the alias followed');
    expect(await settled(endpoint)).toMatchObject({ alias: '1', slot: null });
    expect(told(scenario)).toEqual(['1: 1', '2: 2', '3: 1']);
  });

  it('rolls back to any earlier version in one step, also to one that it has forgotten', async () => {
    const { scenario, endpoint } = await served({
      registeredVersion: async ({ version }) => ({
        model: ['0', '7'].includes(version) ? servedModel(version) : null,
        outcome: version === '0' ? 'deployed' : 'rejected',
      }),
    });
    for (const version of ['1', '2', '3', '4']) await endpoint.deploy(servedModel(version));
    expect(await endpoint.rollback('two', { to: '2' })).toMatchObject({ version: '2', previousVersion: '4' });
    expect((await endpoint.state()).served.map(({ version }) => version)).toEqual(['1']);
    expect(await refusal(endpoint.rollback('same', { to: '2' }))).toContain('version 2 serves already');
    expect(await refusal(endpoint.rollback('none', { to: '99' }))).toContain('has no version 99');
    expect(await refusal(endpoint.rollback('rejected', { to: '7' }))).toContain(
      'was never in production (rejected)',
    );
    expect(await endpoint.rollback('oldest', { to: '0' })).toMatchObject({ version: '0' });
    expect(told(scenario)).toEqual(['1: 1', '2: 2', '3: 3', '4: 4', '5: 2', '6: 0']);
  });

  it('takes a candidate away by rollback, and keeps the champion', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    await endpoint.shift(servedModel('2'), 20);
    expect(await endpoint.rollback('away')).toMatchObject({ version: '1', previousVersion: '1' });
    expect(await refusal(endpoint.shift(servedModel('2'), 30))).toContain('is not under way');
    expect(told(scenario)).toEqual(['1: 1', '2: 1 2', '3: 1']);
    expect((await endpoint.state()).slot).toBeNull();
  });

  it('never gives a candidate back that was withdrawn, also where a server does not take that now', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    await endpoint.shift(servedModel('2'), 20);
    scenario.let('applyRoutes', async () => {
      throw ApplicationFailure.nonRetryable('not now', 'ServerUnavailable');
    });
    expect(await endpoint.withdraw(servedModel('2'))).toMatchObject({ version: '1', servers: [] });
    expect((await endpoint.state()).table.routes.map(({ model }) => model.version)).toEqual(['1']);
    scenario.let('applyRoutes', async ({ table }) => ({
      serverId: server,
      endpoint: table.endpoint,
      generation: table.generation,
      versions: [],
    }));
    await endpoint.handle.signal(SIGNALS.serverJoined, scenario.servers[0]);
    await eventually(
      async () => ((await endpoint.state()).acknowledged[server] === 3 ? true : undefined),
      'the server to take the routes',
    );
    expect(told(scenario).at(-1)).toBe('3: 1');
  });

  it('lets one roll-out in at a time, and forgets those whose workflow is gone', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    await endpoint.shift(servedModel('2'), 20);
    const third = { requestId: 'third' };
    expect(await endpoint.admit(servedModel('3'), third)).toEqual({ state: 'queued', behind: '2' });
    expect(await endpoint.admit(servedModel('3'), third)).toEqual({ state: 'queued', behind: '2' });
    expect((await endpoint.state()).queue).toHaveLength(1);
    scenario.let('isRunning', async () => ({ running: false }));
    expect(await endpoint.admit(servedModel('3'), { requestId: 'again' })).toEqual({
      state: 'admitted',
      champion: '1',
    });
    expect(told(scenario)).toEqual(['1: 1', '2: 1 2', '3: 1']);
    expect(await endpoint.state()).toMatchObject({ slot: { model: { version: '3' } }, queue: [] });
  });

  it('lets a newer candidate take the place of one that is being rolled out, where it asks to', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    await endpoint.shift(servedModel('2'), 20);
    expect(await endpoint.admit(servedModel('3'), { busy: 'supersede' })).toMatchObject({
      state: 'admitted',
    });
    expect(told(scenario)).toEqual(['1: 1', '2: 1 2', '3: 1']);
    expect(await refusal(endpoint.promote(servedModel('2')))).toContain('is not under way');
  });

  it('writes into the audit log what was done and what was refused', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await refusal(endpoint.rollback('none', { requestedBy: 'eve' }));
    await endpoint.deploy(servedModel('2'));
    await endpoint.rollback('back', { requestedBy: 'ada', reason: 'wrong prices' });
    const entries = await eventually(async () => {
      const all = scenario.inputs('recordAudit').flatMap((input) => input.entries);
      return all.some(({ by }) => by === 'ada') ? all : undefined;
    }, 'the entries');
    expect(entries.map(({ action, outcome, by, version }) => [action, outcome, by, version])).toEqual([
      ['rollout.admitted', 'done', 'test', '1'],
      ['endpoint.promoted', 'done', 'test', '1'],
      ['endpoint.rolled-back', 'refused', 'eve', null],
      ['rollout.admitted', 'done', 'test', '2'],
      ['endpoint.promoted', 'done', 'test', '2'],
      ['endpoint.rolled-back', 'done', 'ada', '1'],
    ]);
    expect(scenario.inputs('recordAudit').every(({ stream }) => stream === `endpoint/${scenario.id}`)).toBe(
      true,
    );
  });

  it('refuses a roll-out where a hundred wait', async () => {
    const { endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    const state = await endpoint.state();
    const { model, requestedBy, since } = state.slot ?? expect.fail('there is no slot');
    const queue = Array.from({ length: 100 }, (_, i) => ({
      rollout: `waits ${i}`,
      requestedBy,
      since,
      version: String(i + 10),
      onnx: model.onnx,
    }));
    const full = new Scenario();
    full.addServer('a', bench.taskQueue);
    const crowded = await bench.endpoint(full, {
      state: { ...state, table: { ...state.table, endpoint: full.id }, queue },
    });
    expect(await refusal(crowded.admit(servedModel('3')))).toContain('100 roll-outs wait at');
    expect((await crowded.state()).queue).toHaveLength(100);
  });
});
