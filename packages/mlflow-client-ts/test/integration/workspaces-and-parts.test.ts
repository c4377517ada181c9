import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { collect, type MlflowClient } from '../../src/index.ts';
import { type MlflowServer, startMlflow } from '../support/mlflow-server.ts';
import { type PartsStore, partsStoreEnv, startPartsStore } from '../support/parts-store.ts';
import { testClient, unique } from '../support/recording.ts';

// One server for two rare features, since starting one takes seconds.
let directory = '';
let store: PartsStore;
let server: MlflowServer;
let client: MlflowClient;
let runId = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mlflow-client-ts-parts-'));
  store = await startPartsStore(directory);
  server = await startMlflow({
    args: ['--enable-workspaces'],
    artifacts: () => `parts:${directory}`,
    env: partsStoreEnv(inject('partsStorePackage'), directory, store.url),
  });
  client = testClient({
    trackingUri: server.uri,
    auth: { type: 'bearer', token: 'not-for-the-store' },
    retry: { baseDelayMs: 1 },
  });
  const experimentId = await client.experiments.create({ name: 'parts' });
  runId = (await client.runs.create({ experimentId })).info.runId;
});

afterAll(async () => {
  await server?.stop();
  await store?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('multipart and presigned URLs', () => {
  it('uploads a file in parts straight to the store', async () => {
    expect(await client.server.info()).toMatchObject({
      multipartUploadsEnabled: true,
      workspacesEnabled: true,
    });
    const file = join(directory, 'in.bin');
    const bytes = randomBytes(25_000);
    await writeFile(file, bytes);
    store.failNext(2, 503);
    const multipart = { thresholdBytes: 1000, partBytes: 4096, concurrency: 3 };
    await client.artifacts.uploadFile({ runId, path: 'model/big file.bin', file, multipart });
    const back = await client.artifacts.downloadBytes({ runId, path: 'model/big file.bin' });
    expect(Buffer.from(back).equals(bytes)).toBe(true);
    const parts = store.requests.filter((request) => request.method === 'PUT');
    expect(parts.length).toBe(7 + 2);
    expect(parts.every((request) => request.authorization === undefined)).toBe(true);
  });

  it('gives a failed upload up', async () => {
    const file = join(directory, 'doomed.bin');
    await writeFile(file, randomBytes(9000));
    store.failNext(1, 403);
    const multipart = { thresholdBytes: 1, partBytes: 4096, concurrency: 1 };
    const failing = client.artifacts.uploadFile({ runId, path: 'doomed.bin', file, multipart });
    await expect(failing).rejects.toMatchObject({ status: 403 });
    await expect(failing).rejects.not.toThrow(/secret/);
    const uploads = await readdir(join(directory, '.parts'));
    const contents = await Promise.all(uploads.map((upload) => readdir(join(directory, '.parts', upload))));
    expect(contents.filter((files) => files.includes('aborted'))).toHaveLength(1);
    expect(await collect(client.artifacts.list({ runId, path: 'doomed.bin' }))).toEqual([]);
  });

  it('asks the proxy for a presigned URL and downloads with it', async () => {
    await client.artifacts.upload({ runId, path: 'direct.txt', body: 'straight' });
    const presigned = await client.artifacts.presignProxiedDownload({ runId, path: 'direct.txt' });
    expect(presigned.url.startsWith(store.url)).toBe(true);
    expect(presigned).toMatchObject({ headers: { 'x-store-permission': 'granted' }, fileSize: 8 });
    const file = join(directory, 'direct.out');
    await client.artifacts.downloadToFile({ runId, path: 'direct.txt', direct: true, file });
    expect(await readFile(file, 'utf8')).toBe('straight');
    expect(store.requests.at(-1)).toMatchObject({
      method: 'GET',
      authorization: undefined,
      workspace: undefined,
    });
  });
});

describe('workspaces', () => {
  it('creates a workspace', async () => {
    const created = await client.workspaces.create({ name: 'team-a', description: 'the A team' });
    expect(created).toMatchObject({ name: 'team-a', description: 'the A team' });
  });

  it('lists workspaces', async () => {
    await client.workspaces.create({ name: 'team-list' });
    const names = (await client.workspaces.list()).map((workspace) => workspace.name);
    expect(names).toEqual(expect.arrayContaining(['default', 'team-list']));
  });

  it('reads a workspace', async () => {
    await client.workspaces.create({ name: 'team-get', description: 'd' });
    expect(await client.workspaces.get({ name: 'team-get' })).toMatchObject({
      name: 'team-get',
      description: 'd',
    });
    await expect(client.workspaces.get({ name: 'team-none' })).rejects.toMatchObject({ isNotFound: true });
  });

  it('updates a workspace', async () => {
    await client.workspaces.create({ name: 'team-update' });
    const updated = await client.workspaces.update({ name: 'team-update', description: 'new' });
    expect(updated.description).toBe('new');
  });

  it('deletes a workspace', async () => {
    await client.workspaces.create({ name: 'team-delete' });
    await client.workspaces.delete({ name: 'team-delete' });
    await expect(client.workspaces.get({ name: 'team-delete' })).rejects.toMatchObject({ isNotFound: true });
  });

  it('keeps what is in one workspace out of the other', async () => {
    await client.workspaces.create({ name: 'team-b' });
    const inside = testClient({ trackingUri: server.uri, workspace: 'team-b' });
    const name = unique('walled');
    const experimentId = await inside.experiments.create({ name });
    expect((await inside.experiments.get({ experimentId })).workspace).toBe('team-b');
    await expect(client.experiments.getByName({ name })).rejects.toMatchObject({ isNotFound: true });
    const run = await inside.runs.create({ experimentId });
    await inside.artifacts.upload({ runId: run.info.runId, path: 'a.txt', body: 'in B' });
    const back = await inside.artifacts.downloadBytes({ runId: run.info.runId, path: 'a.txt' });
    expect(Buffer.from(back).toString()).toBe('in B');
    expect(run.info.artifactUri).toContain('workspaces/team-b');
  });
});
