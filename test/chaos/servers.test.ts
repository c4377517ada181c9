import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingWorkflowId } from '../../contracts/names.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { aliasFollows, servedFacts } from '../support/e2e-facts.ts';
import { callOf, type Fate } from '../support/e2e-mlflow-proxy.ts';
import { MEDIUM_TRAINING } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
/** Of a training; without one for so long it begins again. */
const HEARTBEAT_MS = 15_000;
let chaos: ChaosPlatform;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('servers');
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

describe.sequential('a server that is killed', () => {
  const name = 'killed-in-deploy';

  it('the model server, between its route and the alias: it comes back with the new route', {
    timeout: 3 * MINUTE,
  }, async () => {
    const killed = chaos.proxy.once({
      at: 'request',
      matches: callOf('registered-models/alias', 'champion'),
      act: async (): Promise<Fate> => {
        await chaos.kill('server');
        await chaos.startServer();
        // What the server answers now is from its own file: nobody has told it anything yet.
        expect(await servedFacts(chaos.serverUrl, name)).toMatchObject({ versions: ['1'], generation: 1 });
        return 'pass';
      },
    });
    const workflowId = await chaos.run(name);
    await killed;
    await chaos.expectOneDeployment(workflowId, name, ['logistic']);
  });

  it('the model server, before it heard of the new route: it is told when it is back', {
    timeout: 3 * MINUTE,
  }, async () => {
    expect(await chaos.perennial.result(await chaos.run(name))).toMatchObject({ version: '2' });
    chaos.gate.hold(new Map([[name, 'endpoint listModelServers after']]));
    const rollback = chaos.perennial.rollback(name, { requestedBy: 'Ada', reason: 'a test' });
    await chaos.gate.held([name]);
    await chaos.kill('server');
    await chaos.startServer();
    chaos.gate.open();
    expect(await rollback).toMatchObject({ version: '1', previousVersion: '2', generation: 3 });
    expect(await servedFacts(chaos.serverUrl, name)).toEqual({
      versions: ['1'],
      weights: [100],
      generation: 3,
    });
    await aliasFollows(chaos.mlflowUri, name, '1');
    const { changes, acknowledged } = await chaos.perennial.endpoint(name);
    expect(changes.map(({ from, to, outcome }) => `${from} ${to} ${outcome}`)).toEqual([
      'null 1 done',
      '1 2 done',
      '2 1 done',
    ]);
    expect(acknowledged).toEqual({ chaos: 3 });
  });

  it('Temporal, during training: the run goes on where it was', { timeout: 3 * MINUTE }, async () => {
    const name = 'temporal-killed';
    const workflowId = await chaos.run(name, { candidates: MEDIUM_TRAINING });
    await chaos.checkpointed(workflowId);
    const began = Date.now();
    await chaos.killPart('temporal');
    const isShort = Date.now() - began < HEARTBEAT_MS / 2;
    await chaos.expectOneDeployment(workflowId, name, ['lightgbm']);
    const { runId } = await chaos.perennial.status(workflowId);
    // The worker lived on: one attempt trained to its end, unless heartbeats were missing for too long.
    const attempts = await chaos.attempts(trainingWorkflowId(workflowId, runId), 'trainTrial');
    expect(attempts).toEqual(isShort ? [1] : [expect.any(Number)]);
  });
});
