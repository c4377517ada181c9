import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { processesWith, registryFacts } from '../support/e2e-facts.ts';
import { callOf, type Fate } from '../support/e2e-mlflow-proxy.ts';
import { MEDIUM_TRAINING } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
let chaos: ChaosPlatform;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('worker');
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

describe.sequential('a worker that is killed', () => {
  it('in the middle of training goes on from its last checkpoint, to one deployment', {
    timeout: 3 * MINUTE,
  }, async () => {
    const name = 'killed-in-training';
    const workflowId = await chaos.run(name, { candidates: MEDIUM_TRAINING });
    const checkpoint = await chaos.checkpointed(workflowId);
    await chaos.kill('worker');
    const killedAt = Date.now();
    // The trainer sees that nobody listens any more, and leaves.
    await expect.poll(() => processesWith(join(chaos.dataDir, 'scratch')), { timeout: 30_000 }).toEqual([]);
    await chaos.startWorker();
    await chaos.expectOneDeployment(workflowId, name, ['lightgbm']);

    const { runId } = await chaos.perennial.status(workflowId);
    expect(await chaos.attempts(`${workflowId}/training/${runId}`, 'trainCandidate')).toEqual([2]);
    const { outputs } = await chaos.perennial.result(workflowId);
    const mlflow = new MlflowClient({ trackingUri: chaos.mlflowUri });
    const history = await collect(
      mlflow.runs.metricHistory({
        runId: outputs.train?.trained[0]?.mlflowRunId ?? '',
        key: 'train_log_loss',
      }),
    );
    const after = history.filter(({ timestamp }) => timestamp > killedAt).map(({ step }) => step);
    expect(after.length).toBeGreaterThan(0);
    expect(Math.min(...after)).toBeGreaterThan(checkpoint);
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
