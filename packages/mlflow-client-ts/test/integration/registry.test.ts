import { beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();
let runId = '';

async function newModel(): Promise<string> {
  const name = unique('model');
  await client.registeredModels.create({ name });
  return name;
}

async function newVersion(name: string): Promise<string> {
  return (await client.modelVersions.create({ name, source: `runs:/${runId}/model`, runId })).version;
}

beforeAll(async () => {
  const experimentId = await client.experiments.create({ name: unique('registry') });
  runId = (await client.runs.create({ experimentId })).info.runId;
});

describe('registered models', () => {
  it('creates a registered model', async () => {
    const name = unique('created with spaces & ümlaut');
    const model = await client.registeredModels.create({ name, description: 'about', tags: { a: '1' } });
    expect(model).toMatchObject({ name, description: 'about', tags: { a: '1' }, aliases: {} });
    await expect(client.registeredModels.create({ name })).rejects.toMatchObject({ isAlreadyExists: true });
  });

  it('reads a registered model', async () => {
    const name = await newModel();
    expect((await client.registeredModels.get({ name })).name).toBe(name);
    await expect(client.registeredModels.get({ name: unique('no') })).rejects.toMatchObject({
      isNotFound: true,
    });
  });

  it('gets or creates, many at once ending with one', async () => {
    const name = unique('race');
    const models = await Promise.all(
      Array.from({ length: 5 }, () => client.registeredModels.getOrCreate({ name, description: 'd' })),
    );
    expect(models.map((model) => model.name)).toEqual(Array(5).fill(name));
  });

  it('renames a registered model', async () => {
    const name = await newModel();
    const newName = unique('renamed');
    expect((await client.registeredModels.rename({ name, newName })).name).toBe(newName);
    await expect(client.registeredModels.get({ name })).rejects.toMatchObject({ isNotFound: true });
  });

  it('updates a description', async () => {
    const name = await newModel();
    await client.registeredModels.update({ name, description: 'new words' });
    expect((await client.registeredModels.get({ name })).description).toBe('new words');
  });

  it('deletes a registered model', async () => {
    const name = await newModel();
    await client.registeredModels.delete({ name });
    await expect(client.registeredModels.get({ name })).rejects.toMatchObject({ isNotFound: true });
    await expect(client.registeredModels.delete({ name })).rejects.toMatchObject({ isNotFound: true });
  });

  it('searches registered models page by page', async () => {
    const prefix = unique('find');
    for (const n of [1, 2, 3]) await client.registeredModels.create({ name: `${prefix}-${n}` });
    const args = { filter: `name LIKE '${prefix}%'`, orderBy: ['name DESC'], pageSize: 1 };
    const models = await collect(client.registeredModels.search(args));
    expect(models.map((model) => model.name)).toEqual([3, 2, 1].map((n) => `${prefix}-${n}`));
  });

  it('sets a registered model tag', async () => {
    const name = await newModel();
    await client.registeredModels.setTag({ name, key: 'k', value: 'v' });
    expect((await client.registeredModels.get({ name })).tags).toEqual({ k: 'v' });
  });

  it('deletes a registered model tag', async () => {
    const name = await newModel();
    await client.registeredModels.setTag({ name, key: 'k', value: 'v' });
    await client.registeredModels.deleteTag({ name, key: 'k' });
    expect((await client.registeredModels.get({ name })).tags).toEqual({});
  });
});

describe('aliases', () => {
  it('sets an alias and moves it', async () => {
    const name = await newModel();
    const [one, two] = [await newVersion(name), await newVersion(name)];
    await client.registeredModels.setAlias({ name, alias: 'champion', version: one });
    expect((await client.registeredModels.get({ name })).aliases).toEqual({ champion: one });
    await client.registeredModels.setAlias({ name, alias: 'champion', version: two });
    expect((await client.registeredModels.get({ name })).aliases).toEqual({ champion: two });
  });

  it('reads the version behind an alias', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    await client.registeredModels.setAlias({ name, alias: 'champion', version });
    const found = await client.registeredModels.getByAlias({ name, alias: 'champion' });
    expect(found).toMatchObject({ name, version, aliases: ['champion'] });
  });

  it('says isNotFound for a missing alias and for a missing model', async () => {
    const name = await newModel();
    await expect(client.registeredModels.getByAlias({ name, alias: 'none' })).rejects.toMatchObject({
      status: 400,
      errorCode: 'INVALID_PARAMETER_VALUE',
      isNotFound: true,
    });
    const noModel = client.registeredModels.getByAlias({ name: unique('no'), alias: 'none' });
    await expect(noModel).rejects.toMatchObject({ status: 404, isNotFound: true });
  });

  it('does not take another bad request for a missing alias', async () => {
    const name = await newModel();
    const bad = client.registeredModels.getByAlias({ name, alias: 'bad alias!' });
    await expect(bad).rejects.toMatchObject({ status: 400 });
  });

  it('deletes an alias, and a missing one is no error', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    await client.registeredModels.setAlias({ name, alias: 'champion', version });
    await client.registeredModels.deleteAlias({ name, alias: 'champion' });
    await client.registeredModels.deleteAlias({ name, alias: 'champion' });
    await expect(client.registeredModels.getByAlias({ name, alias: 'champion' })).rejects.toMatchObject({
      isNotFound: true,
    });
  });
});

describe('model versions', () => {
  it('creates model versions, one more with each call', async () => {
    const name = await newModel();
    const args = {
      name,
      source: `runs:/${runId}/model`,
      runId,
      description: 'd',
      tags: { k: 'v' },
      runLink: 'http://x',
    };
    const version = await client.modelVersions.create(args);
    expect(version).toMatchObject({ ...args, version: '1', status: 'READY', currentStage: 'None' });
    expect((await client.modelVersions.create(args)).version).toBe('2');
  });

  it('creates a version of a logged model', async () => {
    const name = await newModel();
    const { experimentId } = (await client.runs.get({ runId })).info;
    const model = await client.loggedModels.create({ experimentId, name: 'lm', sourceRunId: runId });
    const source = `models:/${model.modelId}`;
    const version = await client.modelVersions.create({ name, source, modelId: model.modelId });
    expect(version).toMatchObject({ source, runId });
    expect(await client.modelVersions.getDownloadUri({ name, version: version.version })).toBe(
      model.artifactUri,
    );
  });

  it('reads a model version', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    expect(await client.modelVersions.get({ name, version })).toMatchObject({ name, version, runId });
    await expect(client.modelVersions.get({ name, version: '99' })).rejects.toMatchObject({
      isNotFound: true,
    });
  });

  it('updates a version description', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    const updated = await client.modelVersions.update({ name, version, description: 'new' });
    expect(updated.description).toBe('new');
  });

  it('deletes a model version', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    await client.modelVersions.delete({ name, version });
    await expect(client.modelVersions.get({ name, version })).rejects.toMatchObject({ isNotFound: true });
  });

  it('searches model versions page by page', async () => {
    const name = await newModel();
    for (let i = 0; i < 3; i += 1) await newVersion(name);
    const args = { filter: `name = '${name}'`, orderBy: ['version_number DESC'], pageSize: 1 };
    const versions = await collect(client.modelVersions.search(args));
    expect(versions.map((version) => version.version)).toEqual(['3', '2', '1']);
  });

  it('reads where the files of a version are', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    expect(await client.modelVersions.getDownloadUri({ name, version })).toBe(`runs:/${runId}/model`);
  });

  it('moves a version to a stage', async () => {
    const name = await newModel();
    const [one, two] = [await newVersion(name), await newVersion(name)];
    await client.modelVersions.transitionStage({ name, version: one, stage: 'Production' });
    const args = { name, version: two, stage: 'Production', archiveExisting: true } as const;
    expect((await client.modelVersions.transitionStage(args)).currentStage).toBe('Production');
    expect((await client.modelVersions.get({ name, version: one })).currentStage).toBe('Archived');
  });

  it('reads the latest versions of each stage', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    const latest = await client.registeredModels.getLatestVersions({ name, stages: ['None'] });
    expect(latest.map((item) => item.version)).toEqual([version]);
    expect(await client.registeredModels.getLatestVersions({ name, stages: ['Production'] })).toEqual([]);
  });

  it('sets a model version tag', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    await client.modelVersions.setTag({ name, version, key: 'k', value: 'v'.repeat(100_000) });
    expect((await client.modelVersions.get({ name, version })).tags.k).toHaveLength(100_000);
  });

  it('deletes a model version tag', async () => {
    const name = await newModel();
    const version = await newVersion(name);
    await client.modelVersions.setTag({ name, version, key: 'k', value: 'v' });
    await client.modelVersions.deleteTag({ name, version, key: 'k' });
    expect((await client.modelVersions.get({ name, version })).tags).toEqual({});
  });
});
