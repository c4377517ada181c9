import { describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();

describe('experiments', () => {
  it('creates an experiment and reads it by id', async () => {
    const name = unique('create');
    const before = Date.now() - 5000;
    const experimentId = await client.experiments.create({ name, tags: { team: 'growth', 'a.b/c': 'ü' } });
    const experiment = await client.experiments.get({ experimentId });
    expect(experiment).toMatchObject({
      experimentId,
      name,
      artifactLocation: `mlflow-artifacts:/${experimentId}`,
      lifecycleStage: 'active',
      tags: { team: 'growth', 'a.b/c': 'ü' },
    });
    expect(experiment.creationTime).toBeGreaterThan(before);
  });

  it('refuses a taken name with isAlreadyExists', async () => {
    const name = unique('taken');
    await client.experiments.create({ name });
    await expect(client.experiments.create({ name })).rejects.toMatchObject({
      code: 'http',
      status: 400,
      errorCode: 'RESOURCE_ALREADY_EXISTS',
      isAlreadyExists: true,
      isNotFound: false,
      retryable: false,
    });
  });

  it('reads an experiment by name', async () => {
    const name = unique('by name & more');
    const experimentId = await client.experiments.create({ name });
    expect((await client.experiments.getByName({ name })).experimentId).toBe(experimentId);
    await expect(client.experiments.getByName({ name: unique('no') })).rejects.toMatchObject({
      status: 404,
      isNotFound: true,
    });
  });

  it('gets or creates, many at once ending with one', async () => {
    const name = unique('race');
    const ids = await Promise.all(Array.from({ length: 5 }, () => client.experiments.getOrCreate({ name })));
    expect(new Set(ids).size).toBe(1);
  });

  it('refuses to get or create a name in the bin', async () => {
    const name = unique('binned');
    await client.experiments.delete({ experimentId: await client.experiments.create({ name }) });
    await expect(client.experiments.getOrCreate({ name })).rejects.toMatchObject({ isAlreadyExists: true });
  });

  it('searches experiments page by page', async () => {
    const prefix = unique('search');
    for (const n of [1, 2, 3, 4, 5]) await client.experiments.create({ name: `${prefix}-${n}` });
    const filter = `name LIKE '${prefix}%'`;
    const all = await collect(client.experiments.search({ filter, orderBy: ['name ASC'], pageSize: 2 }));
    expect(all.map((experiment) => experiment.name)).toEqual([1, 2, 3, 4, 5].map((n) => `${prefix}-${n}`));
    expect(await collect(client.experiments.search({ filter, pageSize: 2, limit: 3 }))).toHaveLength(3);
  });

  it('renames an experiment', async () => {
    const experimentId = await client.experiments.create({ name: unique('old') });
    const newName = unique('new');
    await client.experiments.rename({ experimentId, newName });
    expect((await client.experiments.get({ experimentId })).name).toBe(newName);
  });

  it('deletes an experiment', async () => {
    const name = unique('delete');
    const experimentId = await client.experiments.create({ name });
    await client.experiments.delete({ experimentId });
    expect((await client.experiments.get({ experimentId })).lifecycleStage).toBe('deleted');
    const filter = `name = '${name}'`;
    expect(await collect(client.experiments.search({ filter }))).toEqual([]);
    expect(await collect(client.experiments.search({ filter, viewType: 'DELETED_ONLY' }))).toHaveLength(1);
    await expect(client.experiments.delete({ experimentId })).rejects.toMatchObject({ isNotFound: true });
  });

  it('restores an experiment', async () => {
    const experimentId = await client.experiments.create({ name: unique('restore') });
    await client.experiments.delete({ experimentId });
    await client.experiments.restore({ experimentId });
    expect((await client.experiments.get({ experimentId })).lifecycleStage).toBe('active');
  });

  it('sets an experiment tag', async () => {
    const experimentId = await client.experiments.create({ name: unique('tag') });
    await client.experiments.setTag({ experimentId, key: 'k', value: 'one' });
    await client.experiments.setTag({ experimentId, key: 'k', value: 'two' });
    expect((await client.experiments.get({ experimentId })).tags).toEqual({ k: 'two' });
  });

  it('deletes an experiment tag', async () => {
    const experimentId = await client.experiments.create({ name: unique('untag'), tags: { k: 'v', l: 'w' } });
    await client.experiments.deleteTag({ experimentId, key: 'k' });
    expect((await client.experiments.get({ experimentId })).tags).toEqual({ l: 'w' });
  });

  it('lists the datasets runs of an experiment read', async () => {
    const experimentId = await client.experiments.create({ name: unique('datasets') });
    const run = await client.runs.create({ experimentId });
    await client.runs.logInputs({
      runId: run.info.runId,
      datasets: [
        {
          dataset: { name: 'customers', digest: 'd1', sourceType: 'local', source: '{}' },
          tags: { 'mlflow.data.context': 'training' },
        },
      ],
    });
    expect(await client.experiments.searchDatasets({ experimentIds: [experimentId] })).toEqual([
      { experimentId, name: 'customers', digest: 'd1', context: 'training' },
    ]);
  });
});
