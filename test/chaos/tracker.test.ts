import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { registryFacts, runFacts, servedFacts } from '../support/e2e-facts.ts';
import { callOf, type Fate } from '../support/e2e-mlflow-proxy.ts';

const MINUTE = 60_000;
const OUTAGE_MS = 30_000;
let chaos: ChaosPlatform;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('tracker');
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

/** From a call on, MLflow refuses every connection for half a minute; resolves when it is back. */
async function outageAt(matches: ReturnType<typeof callOf>, during?: () => Promise<void>): Promise<void> {
  let back: Promise<void> = Promise.resolve();
  await chaos.proxy.once({
    at: 'request',
    matches,
    act: () => {
      back = chaos.proxy.outage(OUTAGE_MS);
      return 'drop';
    },
  });
  await during?.();
  await back;
}

describe.sequential('half a minute without MLflow', () => {
  it('while a version is registered is waited out, and nothing is doubled', {
    timeout: 3 * MINUTE,
  }, async () => {
    const name = 'outage-in-register';
    const outage = outageAt(callOf('model-versions/create'));
    const workflowId = await chaos.run(name);
    await outage;
    await chaos.expectOneDeployment(workflowId, name, ['logistic']);
    const [attempt] = await chaos.attempts(workflowId, 'register');
    expect(attempt).toBeGreaterThan(1);
  });

  it('while the alias moves leaves the new version serving, and the alias follows', {
    timeout: 3 * MINUTE,
  }, async () => {
    const name = 'outage-in-alias';
    const outage = outageAt(callOf('registered-models/alias', 'champion'), async () => {
      expect(await servedFacts(chaos.serverUrl, name)).toMatchObject({ versions: ['1'], generation: 1 });
      expect(await chaos.perennial.endpoint(name)).toMatchObject({
        current: { version: '1' },
        aliasUncertain: true,
      });
    });
    const workflowId = await chaos.run(name);
    await outage;
    await chaos.expectOneDeployment(workflowId, name, ['logistic']);
    const [attempt] = await chaos.attempts(`endpoint/${name}`, 'setChampion');
    expect(attempt).toBeGreaterThan(1);
  });
});

it('a cancellation while a version is registered leaves nothing half alive', {
  timeout: 2 * MINUTE,
}, async () => {
  const name = 'cancelled-in-register';
  let workflowId = '';
  const cancelled = chaos.proxy.once({
    at: 'request',
    matches: callOf('model-versions/create'),
    act: async (): Promise<Fate> => {
      await chaos.perennial.cancel(workflowId);
      return 'pass';
    },
  });
  workflowId = await chaos.run(name);
  await cancelled;
  await expect(chaos.perennial.result(workflowId)).rejects.toThrow();
  expect(await registryFacts(chaos.mlflowUri, name)).toEqual({
    versions: [{ version: '1', outcome: 'cancelled', workflowId }],
    aliases: {},
  });
  expect((await runFacts(chaos.mlflowUri, name, workflowId)).lifecycle).toEqual(['KILLED']);
});
