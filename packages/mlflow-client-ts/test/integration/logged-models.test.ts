import { beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();
let experimentId = '';

beforeAll(async () => {
  experimentId = await client.experiments.create({ name: unique('logged-models') });
});

async function newModel(name = 'lm'): Promise<string> {
  return (await client.loggedModels.create({ experimentId, name })).modelId;
}

describe('logged models', () => {
  it('creates a logged model', async () => {
    const run = await client.runs.create({ experimentId });
    const args = {
      experimentId,
      name: 'churn',
      modelType: 'onnx',
      sourceRunId: run.info.runId,
      params: { depth: '6' },
      tags: { a: 'b' },
    };
    const model = await client.loggedModels.create(args);
    expect(model).toMatchObject({ ...args, status: 'PENDING' });
    expect(model.modelId).toMatch(/^m-/);
    expect(model.artifactUri).toBe(`mlflow-artifacts:/${experimentId}/models/${model.modelId}/artifacts`);
  });

  it('reads a logged model', async () => {
    const modelId = await newModel();
    expect(await client.loggedModels.get({ modelId })).toMatchObject({ modelId, experimentId, name: 'lm' });
    await expect(client.loggedModels.get({ modelId: 'm-none' })).rejects.toMatchObject({ isNotFound: true });
  });

  it('finalizes a logged model', async () => {
    const ready = await client.loggedModels.finalize({ modelId: await newModel(), status: 'READY' });
    expect(ready.status).toBe('READY');
    const failed = await client.loggedModels.finalize({ modelId: await newModel(), status: 'UPLOAD_FAILED' });
    expect(failed.status).toBe('UPLOAD_FAILED');
  });

  it('deletes a logged model', async () => {
    const modelId = await newModel();
    await client.loggedModels.delete({ modelId });
    await expect(client.loggedModels.get({ modelId })).rejects.toMatchObject({ isNotFound: true });
  });

  it('searches logged models with filter, order and pages', async () => {
    const id = await client.experiments.create({ name: unique('search-models') });
    const run = await client.runs.create({ experimentId: id });
    for (const auc of [0.1, 0.2, 0.3]) {
      const { modelId } = await client.loggedModels.create({ experimentId: id, name: `m${auc * 10}` });
      const metric = { key: 'auc', value: auc, modelId, datasetName: 'test', datasetDigest: 'd' };
      await client.runs.logBatch({ runId: run.info.runId, metrics: [metric] });
    }
    const all = await collect(
      client.loggedModels.search({
        experimentIds: [id],
        filter: 'metrics.auc > 0.15',
        datasets: [{ name: 'test', digest: 'd' }],
        orderBy: [{ field: 'metrics.auc', ascending: false, datasetName: 'test', datasetDigest: 'd' }],
        pageSize: 1,
      }),
    );
    expect(all.map((model) => model.metrics[0]?.value)).toEqual([0.3, 0.2]);
    expect(await collect(client.loggedModels.search({ experimentIds: [id], pageSize: 2 }))).toHaveLength(3);
  });

  it('sets logged model tags', async () => {
    const modelId = await newModel();
    await client.loggedModels.setTags({ modelId, tags: { a: '1', b: '2' } });
    await client.loggedModels.setTags({ modelId, tags: { b: '3' } });
    expect((await client.loggedModels.get({ modelId })).tags).toEqual({ a: '1', b: '3' });
  });

  it('deletes a logged model tag', async () => {
    const modelId = await newModel();
    await client.loggedModels.setTags({ modelId, tags: { 'a b': '1', c: '2' } });
    await client.loggedModels.deleteTag({ modelId, key: 'a b' });
    expect((await client.loggedModels.get({ modelId })).tags).toEqual({ c: '2' });
  });

  it('adds logged model params', async () => {
    const modelId = await newModel();
    await client.loggedModels.logParams({ modelId, params: { depth: '6', rate: '0.1' } });
    expect((await client.loggedModels.get({ modelId })).params).toEqual({ depth: '6', rate: '0.1' });
  });
});
