import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUERIES } from '../../contracts/names.ts';
import type { RolloutStatus } from '../../contracts/rollout.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { servedFacts } from '../support/e2e-facts.ts';
import { hangingModel } from '../support/faulty-models.ts';

const MINUTE = 60_000;
const WEEKS = 21 * 86_400_000;
const NAME = 'late-labels';
const ENTITIES = 600;

let chaos: ChaosPlatform;
beforeAll(async () => {
  chaos = await ChaosPlatform.create(NAME);
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

describe('a canary that is worse only by labels that come weeks later', () => {
  it('is rolled back then, over restarts of server and worker and a continue-as-new', {
    timeout: 4 * MINUTE,
  }, async () => {
    const store = await openStore({ dataDir: chaos.dataDir });
    await (await chaos.rollout(NAME, await hangingModel(store, '1', 0, 1), {})).result();
    // Its answers are as usual as the champion's, and its errors are twice as large.
    const rollout = await chaos.rollout(
      NAME,
      await hangingModel(store, '2', 2, 1),
      {
        strategy: 'canary',
        steps: [{ share: 50, hold: '10ms', minRequests: 50 }],
        guards: { quality: { minLabels: 200 }, predictions: false, latency: false },
        probation: { for: '60d', look: '1s' },
      },
      { continueAfter: 10 },
    );
    const { runId } = await rollout.describe();
    const status = () => rollout.query<RolloutStatus>(QUERIES.rollout);
    await expect.poll(async () => (await status()).stepSince, { timeout: MINUTE }).not.toBeNull();
    for (let entity = 0; entity < ENTITIES; entity++) await predict(entity);
    await expect.poll(async () => (await status()).step, { timeout: MINUTE }).toBe(1);

    await chaos.kill('server');
    await chaos.startServer();
    await chaos.kill('worker');
    await chaos.startWorker();
    await expect.poll(async () => (await rollout.describe()).runId, { timeout: MINUTE }).not.toBe(runId);
    expect(await status()).toMatchObject({ phase: 'running', step: 1, share: 50, outcome: null });
    expect(await servedFacts(chaos.serverUrl, NAME)).toMatchObject({ weights: [50, 50] });

    await tellTruth();
    const result = await rollout.result();
    expect(result.outcome).toBe('rolled_back');
    expect(result.reason).toMatch(
      /^guard quality is breached in probation at 50 %, window .*mean_absolute_error/,
    );
    expect(result.verdicts.find(({ guard }) => guard === 'quality')).toMatchObject({ state: 'breached' });
    await expect
      .poll(() => servedFacts(chaos.serverUrl, NAME), { timeout: MINUTE })
      .toMatchObject({ versions: ['1'], weights: [100] });
  });
});

async function predict(entity: number): Promise<void> {
  const response = await fetch(`${chaos.serverUrl}/v2/models/${NAME}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'perennial-entity': `customer-${entity}` },
    body: JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [entity] }] }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

/** What turned out to be true three weeks after each prediction. */
async function tellTruth(): Promise<void> {
  const at = new Date(Date.now() + WEEKS).toISOString();
  const records = Array.from({ length: ENTITIES }, (_, entity) => ({
    entity: `customer-${entity}`,
    at,
    value: entity + (entity % 2 === 0 ? -2 : -1),
  }));
  const response = await fetch(`${chaos.serverUrl}/v1/endpoints/${NAME}/feedback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(records),
  });
  expect(response.status, await response.text()).toBe(202);
}
