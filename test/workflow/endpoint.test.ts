import { ApplicationFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { endpointState } from '../../contracts/endpoint.ts';
import { QUERIES, SIGNALS, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { IncidentSender } from '../../workers/incidents.ts';
import { accepted, aliases, served as servedBy, settled, told } from '../support/endpoint-world.ts';
import { failure, refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { servedModel } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const served = (own?: ConstructorParameters<typeof Scenario>[0], continueAfter?: number) =>
  servedBy(bench, own, continueAfter);

describe.concurrent('an endpoint', () => {
  it('serves nothing before its first deployment', async () => {
    const { scenario, endpoint } = await served();
    expect(endpointState.parse(await endpoint.state())).toMatchObject({
      table: { generation: 0, routes: [] },
      current: null,
      changes: [],
    });
    expect(told(scenario)).toEqual([]);
  });

  it('gives traffic and alias to the first version, then to the second', async () => {
    const { scenario, endpoint, server } = await served();
    expect(await endpoint.deploy(servedModel('1'))).toEqual({
      endpoint: scenario.id,
      version: '1',
      generation: 1,
      since: expect.any(String),
      previousVersion: null,
      servers: [server],
    });
    expect(await endpoint.deploy(servedModel('2'))).toMatchObject({ generation: 2, previousVersion: '1' });
    expect(told(scenario)).toEqual(['1: 1', '2: 2']);
    expect(aliases(scenario)).toEqual(['1', '2']);
    const state = endpointState.parse(await endpoint.state());
    expect(state).toMatchObject({
      current: { version: '2' },
      served: [{ version: '1' }],
      slot: null,
      alias: '2',
    });
    expect(state.changes).toMatchObject([
      { from: null, to: '1', outcome: 'done', requestedBy: 'test' },
      { from: '1', to: '2', outcome: 'done' },
    ]);
  });

  it('tells the servers before it moves the alias', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    const order = scenario.calls
      .map(({ name }) => name)
      .filter((name) => !['listModelServers', 'currentChampion', 'recordAudit'].includes(name));
    expect(order.slice(0, 2)).toEqual(['applyRoutes', 'setChampion']);
  });

  it('carries a request out once, however often it is sent', async () => {
    const { scenario, endpoint } = await served();
    const together = await Promise.all([1, 2, 3].map(() => endpoint.deploy(servedModel('1'), 'same')));
    const later = await endpoint.deploy(servedModel('1'), 'same');
    expect(new Set([...together, later].map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(aliases(scenario)).toEqual(['1']);
  });

  it('carries out one change at a time, in the order of arrival', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    await endpoint.admit(servedModel('2'));
    let busy = 0;
    let most = 0;
    const hold = new Gate();
    scenario.let('applyRoutes', async ({ table }) => {
      busy += 1;
      most = Math.max(most, busy);
      await hold.opened;
      busy -= 1;
      return { serverId: server, endpoint: table.endpoint, generation: table.generation, versions: [] };
    });
    const shares = [5, 10, 25, 50];
    const shifts: Promise<unknown>[] = [];
    for (const share of shares) {
      shifts.push(endpoint.shift(servedModel('2'), share));
      await accepted(endpoint, 3 + shifts.length);
    }
    hold.open();
    await Promise.all(shifts);
    expect(most).toBe(1);
    const weights = scenario.inputs('applyRoutes').map(({ table }) => table.routes[1]?.weight);
    expect(weights).toEqual([undefined, ...shares]);
  });

  it('goes back to the old routes, under a higher generation, where a server refuses', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    scenario.let('applyRoutes', async ({ table }) => {
      if (table.routes.some(({ model }) => model.version === '2'))
        throw ApplicationFailure.nonRetryable('the model needs 9 GB, 4 GB are free', 'ModelInvalid');
      return { serverId: server, endpoint: scenario.id, generation: table.generation, versions: [] };
    });
    expect(await refusal(endpoint.deploy(servedModel('2')))).toBe(
      `version 2 could not be rolled out to ${scenario.id}: server ${server}: the model needs 9 GB, 4 GB are free; version 1 serves again`,
    );
    expect(told(scenario)).toEqual(['1: 1', '2: 2', '3: 1']);
    expect(aliases(scenario)).toEqual(['1']);
    const state = await settled(endpoint);
    expect(state).toMatchObject({
      current: { version: '1' },
      served: [],
      slot: null,
      table: { generation: 3 },
    });
    expect(state.acknowledged).toEqual({ [server]: 3 });
    expect(state.changes.at(-1)).toMatchObject({ from: '1', to: '2', outcome: 'reverted' });
    expect(await endpoint.deploy(servedModel('3'))).toMatchObject({ generation: 4, previousVersion: '1' });
  });

  it('goes back to the old routes where the alias cannot be moved', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    scenario.let('setChampion', async ({ version }) => {
      if (version === '2') throw ApplicationFailure.nonRetryable('there is no version 2', 'TrackerRejected');
    });
    expect(await refusal(endpoint.deploy(servedModel('2')))).toContain(
      'there is no version 2; version 1 serves again',
    );
    expect(told(scenario)).toEqual(['1: 1', '2: 2', '3: 1']);
    expect((await settled(endpoint)).current?.version).toBe('1');
    expect(aliases(scenario)).toEqual(['1', '2', '1']);
  });

  it('takes all routes away where the first deployment fails', async () => {
    const { scenario, endpoint } = await served({
      setChampion: async () => {
        throw ApplicationFailure.nonRetryable('no', 'TrackerRejected');
      },
    });
    expect(await refusal(endpoint.deploy(servedModel('1')))).toContain('nothing serves, as before');
    expect(told(scenario)).toEqual(['1: 1', '2: ']);
    await eventually(async () => (aliases(scenario).length === 2 ? true : undefined), 'the alias to go');
    expect(aliases(scenario)).toEqual(['1', null]);
  });

  it('goes back to what served before its workflow was lost', async () => {
    const { scenario, endpoint } = await served({
      currentChampion: async () => ({ model: servedModel('3') }),
      setChampion: async ({ version }) => {
        if (version === '4') throw ApplicationFailure.nonRetryable('no', 'TrackerRejected');
      },
    });
    expect(await refusal(endpoint.deploy(servedModel('4'), 'lost', { judgedAgainst: '3' }))).toContain(
      'version 3 serves again',
    );
    expect(told(scenario)).toEqual(['1: 4', '2: 3']);
    await settled(endpoint);
    expect(aliases(scenario)).toEqual(['4', '3']);
  });

  it('changes nothing while MLflow cannot say what serves, and asks again', async () => {
    let asked = 0;
    const { scenario, endpoint } = await served({
      currentChampion: async () => {
        asked += 1;
        if (asked <= 2) throw ApplicationFailure.nonRetryable('401 for alias champion', 'TrackerRejected');
        return { model: servedModel('3') };
      },
    });
    expect(await refusal(endpoint.admit(servedModel('4'), { judgedAgainst: '3' }))).toContain(
      'nothing was changed: what serves',
    );
    expect(told(scenario)).toEqual([]);
    expect(await endpoint.deploy(servedModel('4'), 'second', { judgedAgainst: '3' })).toMatchObject({
      version: '4',
      previousVersion: '3',
    });
  });

  it('offers its routes to a server that joins', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    const joined = await bench.addServer(scenario, 'b');
    const info = scenario.servers.find(({ serverId }) => serverId === joined);
    await endpoint.handle.signal(SIGNALS.serverJoined, info);
    const state = await eventually(async () => {
      const now = await endpoint.state();
      return now.acknowledged[joined] === 1 ? now : undefined;
    }, 'the new server to take the routes');
    expect(state.acknowledged).toEqual({ [server]: 1, [joined]: 1 });
    expect(told(scenario).every((line) => line === '1: 1')).toBe(true);
    expect((await endpoint.deploy(servedModel('2'))).servers.sort()).toEqual([server, joined].sort());
  });

  it('offers its routes to a server that joins, and is not on the list yet', async () => {
    const { scenario, endpoint, server } = await served();
    await endpoint.deploy(servedModel('1'));
    const [listed] = scenario.servers;
    const joined = await bench.addServer(scenario, 'b');
    scenario.let('listModelServers', async () => ({ servers: listed ? [listed] : [] }));
    const info = scenario.servers.find(({ serverId }) => serverId === joined);
    await endpoint.handle.signal(SIGNALS.serverJoined, info);
    await eventually(
      async () => (await endpoint.state()).acknowledged[joined] === 1 || undefined,
      'the new server to take the routes',
    );
    expect((await endpoint.state()).acknowledged).toEqual({ [server]: 1, [joined]: 1 });
  });

  it('keeps its state and its answers when it continues as new', async () => {
    const { scenario, endpoint } = await served({}, 2);
    const { runId } = await endpoint.handle.describe();
    await endpoint.deploy(servedModel('1'));
    const answer = await endpoint.deploy(servedModel('2'));
    await eventually(
      async () => ((await endpoint.handle.describe()).runId === runId ? undefined : true),
      'a new run',
    );
    expect(await endpoint.state()).toMatchObject({
      current: { version: '2' },
      served: [{ version: '1' }],
      table: { generation: 2 },
    });
    expect(await endpoint.deploy(servedModel('2'))).toEqual(answer);
    expect(aliases(scenario)).toEqual(['1', '2']);
    expect(await endpoint.rollback('r')).toMatchObject({ version: '1', generation: 3 });
  });

  it('is not held up by a server that died', async () => {
    const { scenario, endpoint, server } = await served();
    scenario.addServer('dead', `perennial-server-${scenario.id}-dead`);
    const [alive] = scenario.servers;
    let listed = 0;
    // Listed when the change begins; its lease is over when the change asks again.
    scenario.let('listModelServers', async () => {
      listed += 1;
      return { servers: listed <= 1 || !alive ? scenario.servers : [alive] };
    });
    expect(await endpoint.deploy(servedModel('1'))).toMatchObject({ servers: [server], generation: 1 });
    expect(aliases(scenario)).toEqual(['1']);
  });

  it('fails a change where every server died meanwhile', async () => {
    const scenario = new Scenario();
    scenario.addServer('dead', `perennial-server-${scenario.id}-dead`);
    let listed = 0;
    scenario.let('listModelServers', async () => {
      listed += 1;
      return { servers: listed <= 1 ? scenario.servers : [] };
    });
    const endpoint = await bench.endpoint(scenario);
    expect(await refusal(endpoint.deploy(servedModel('1')))).toContain('every model server went away');
    expect(aliases(scenario)).toEqual([]);
  });

  it('catches up with servers that are ahead of an endpoint that was started afresh', async () => {
    let inForce = { generation: 7, versions: ['old'] };
    const { scenario, endpoint, server } = await served({
      applyRoutes: async ({ table }) => {
        if (table.generation > inForce.generation)
          inForce = {
            generation: table.generation,
            versions: table.routes.map(({ model }) => model.version),
          };
        return { serverId: server, endpoint: table.endpoint, ...inForce };
      },
    });
    expect(await endpoint.deploy(servedModel('8'))).toMatchObject({ generation: 8, servers: [server] });
    expect(inForce).toEqual({ generation: 8, versions: ['8'] });
    expect(aliases(scenario)).toEqual(['8']);
  });

  it('finishes the change that is under way when it is cancelled', async () => {
    const hold = new Gate();
    const { scenario, endpoint } = await served({ setChampion: () => hold.opened });
    const change = endpoint.deploy(servedModel('1'));
    await eventually(async () => scenario.inputs('setChampion')[0], 'the change');
    await cancelAndSettle(endpoint.handle);
    hold.open();
    expect(await change).toMatchObject({ version: '1', generation: 1 });
    expect((await failure(endpoint.handle.result())).type).toBe('Cancelled');
    expect(told(scenario)).toEqual(['1: 1']);
  });

  it('is the only writer: under another id it does not start', async () => {
    const scenario = new Scenario();
    const second = await bench.client.workflow.start(WORKFLOW_TYPES.endpoint, {
      workflowId: `second-${scenario.id}`,
      taskQueue: bench.taskQueue,
      args: [{ endpoint: scenario.id }],
    });
    expect(await failure(second.result())).toEqual({
      type: 'InputInvalid',
      message: `the workflow of endpoint ${scenario.id} has the id endpoint/${scenario.id} and no other; start it under that id`,
    });
  });

  it('keeps what servers tell of failing challengers, and changes nothing by it', async () => {
    const { scenario, endpoint } = await served({}, 2);
    const { runId } = await endpoint.handle.describe();
    await endpoint.deploy(servedModel('1'));
    const incident = {
      serverId: 'a',
      endpoint: scenario.id,
      generation: 1,
      version: '2',
      role: 'challenger',
      kind: 'crash',
      count: 3,
      reason: 'its process ended by SIGSEGV',
    };
    const tell = (own: object) => endpoint.handle.signal(SIGNALS.challengerFailed, { ...incident, ...own });
    await tell({});
    await tell({ count: 4 });
    await tell({ kind: 'deadline', count: 1 });
    await tell({ generation: 7, count: 1 });
    await tell({ endpoint: 'another', count: 1 });
    await tell({ count: 0 });
    const expected = [
      { kind: 'crash', count: 7, stale: false, reason: 'its process ended by SIGSEGV' },
      { kind: 'deadline', count: 1, stale: false },
      { kind: 'crash', count: 1, stale: true, generation: 7 },
    ];
    const state = endpointState.parse(await endpoint.state());
    expect(state.incidents).toMatchObject(expected);
    expect(state.incidents).toHaveLength(3);
    expect(told(scenario)).toEqual(['1: 1']);
    // The change before it continues as new.
    await endpoint.deploy(servedModel('2'));
    await eventually(
      async () => ((await endpoint.handle.describe()).runId === runId ? undefined : true),
      'a new run',
    );
    expect((await endpoint.state()).incidents).toMatchObject(expected);
  });

  it('hears of failing challengers from a server that had lost Temporal', async () => {
    const { scenario, endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    let connected = false;
    const sender = new IncidentSender(
      () => (connected ? bench.client : undefined),
      pino({ level: 'silent' }),
      50,
    );
    const incident = {
      serverId: 'a',
      generation: 1,
      version: '2',
      role: 'challenger',
      reason: 'no',
    } as const;
    sender.tell({ ...incident, endpoint: scenario.id, kind: 'crash', count: 2 });
    sender.tell({ ...incident, endpoint: scenario.id, kind: 'crash', count: 3 });
    sender.tell({ ...incident, endpoint: `${scenario.id}-without-workflow`, kind: 'crash', count: 1 });
    connected = true;
    const { incidents } = await eventually(async () => {
      const state = await endpoint.state();
      return state.incidents.length > 0 ? state : undefined;
    }, 'the incidents');
    expect(incidents).toMatchObject([{ version: '2', kind: 'crash', count: 5 }]);
    sender.tell({ ...incident, endpoint: scenario.id, kind: 'deadline', count: 1 });
    await sender.close();
    expect((await endpoint.state()).incidents).toMatchObject([{ count: 5 }, { kind: 'deadline' }]);
    expect(sender.dropped).toBe(1);
  });

  it('answers its query with what the contract says', async () => {
    const { endpoint } = await served();
    await endpoint.deploy(servedModel('1'));
    expect(endpointState.safeParse(await endpoint.handle.query(QUERIES.endpoint)).success).toBe(true);
  });
});
