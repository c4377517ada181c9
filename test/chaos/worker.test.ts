import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { trainingWorkflowId } from '../../contracts/names.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { processesWith, registryFacts } from '../support/e2e-facts.ts';
import { callOf, type Fate, type ProxiedRequest } from '../support/e2e-mlflow-proxy.ts';
import { MEDIUM_TRAINING } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
let chaos: ChaosPlatform;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('worker');
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

const metrics = z.object({ metrics: z.array(z.object({ key: z.string(), step: z.coerce.number() })) });

/** The iterations that a batch of metrics on its way to MLflow tells of. */
function trainingSteps({ path, body }: ProxiedRequest): number[] {
  if (!path.endsWith('runs/log-batch')) return [];
  const parsed = metrics.safeParse(JSON.parse(body));
  return (parsed.data?.metrics ?? [])
    .filter(({ key, step }) => key === 'train_log_loss' && step > 0)
    .map(({ step }) => step);
}

describe.sequential('a worker that is killed', () => {
  it('in the middle of training goes on from its last checkpoint, to one deployment', {
    timeout: 3 * MINUTE,
  }, async () => {
    const name = 'killed-in-training';
    const workflowId = await chaos.run(name, { candidates: MEDIUM_TRAINING });
    await chaos.checkpointed(workflowId, 1_000);
    await chaos.kill('worker');
    // The trainer sees that nobody listens any more, and leaves.
    await expect.poll(() => processesWith(join(chaos.dataDir, 'scratch')), { timeout: 30_000 }).toEqual([]);
    const reported: number[] = [];
    chaos.proxy.listener = (message) => reported.push(...trainingSteps(message));
    await chaos.startWorker();
    await chaos.expectOneDeployment(workflowId, name, ['lightgbm']);

    const { runId } = await chaos.perennial.status(workflowId);
    expect(await chaos.attempts(trainingWorkflowId(workflowId, runId), 'trainTrial')).toEqual([2]);
    // A training from the start would report iteration 150 first; one that goes on has that behind it.
    expect(Math.min(...reported)).toBeGreaterThan(150);
    expect(Math.max(...reported)).toBe(3_000);
  });

  it('right after MLflow made the version does not make a second one', { timeout: 3 * MINUTE }, async () => {
    const name = 'killed-in-register';
    const killed = chaos.proxy.once({
      at: 'response',
      matches: callOf('model-versions/create'),
      act: async (): Promise<Fate> => {
        await chaos.kill('worker');
        return 'drop';
      },
    });
    const workflowId = await chaos.run(name);
    await killed;
    // The version is there, and its run has not heard of it.
    expect((await registryFacts(chaos.mlflowUri, name)).versions).toHaveLength(1);
    await chaos.startWorker();
    await chaos.expectOneDeployment(workflowId, name, ['logistic']);
    expect(await chaos.attempts(workflowId, 'register')).toEqual([2]);
  });
});
