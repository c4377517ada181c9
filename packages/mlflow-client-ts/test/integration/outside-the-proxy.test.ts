import { describe, expect, inject, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();

/** A run whose artifacts are in a store of their own, with presigned URLs. */
async function storeRun(): Promise<string> {
  const artifactLocation = `parts:${inject('partsStoreRoot')}/${unique('direct')}`;
  const experimentId = await client.experiments.create({ name: unique('direct'), artifactLocation });
  return (await client.runs.create({ experimentId })).info.runId;
}

describe('artifacts outside the proxy', () => {
  it('uploads with a presigned URL where there is no proxy', async () => {
    const direct = await storeRun();
    const { url } = await client.artifacts.presignUpload({
      runId: direct,
      path: 'x.txt',
      expiresInSeconds: 60,
    });
    expect(url.startsWith(inject('partsStoreUrl'))).toBe(true);
    await client.artifacts.upload({ runId: direct, path: 'dir/x.txt', body: 'past the proxy' });
    expect(
      (await collect(client.artifacts.list({ runId: direct, path: 'dir' }))).map((file) => file.path),
    ).toEqual(['dir/x.txt']);
  });

  it('downloads with a presigned URL where there is no proxy', async () => {
    const direct = await storeRun();
    await client.artifacts.upload({ runId: direct, path: 'x.txt', body: 'past the proxy' });
    const presigned = await client.artifacts.presignDownload({
      runId: direct,
      path: 'x.txt',
      expiresInSeconds: 60,
    });
    expect(presigned.fileSize).toBe(14);
    const back = await client.artifacts.downloadBytes({ runId: direct, path: 'x.txt', direct: true });
    expect(Buffer.from(back).toString()).toBe('past the proxy');
  });

  it('has the server read a run outside the proxy', async () => {
    const direct = await storeRun();
    await client.artifacts.upload({ runId: direct, path: 'x.txt', body: 'read for me' });
    const back = await client.artifacts.downloadBytes({ runId: direct, path: 'x.txt' });
    expect(Buffer.from(back).toString()).toBe('read for me');
  });

  it('has the server read a logged model outside the proxy', async () => {
    const { experimentId } = (await client.runs.get({ runId: await storeRun() })).info;
    const { modelId } = await client.loggedModels.create({ experimentId, name: 'direct' });
    await client.artifacts.upload({ modelId, path: 'MLmodel', body: 'x: 1' });
    const back = await client.artifacts.downloadBytes({ modelId, path: 'MLmodel' });
    expect(Buffer.from(back).toString()).toBe('x: 1');
  });

  it('explains that a store without presigned URLs takes no uploads', async () => {
    const artifactLocation = `file://${inject('partsStoreRoot')}/plain`;
    const experimentId = await client.experiments.create({ name: unique('plain'), artifactLocation });
    const { runId } = (await client.runs.create({ experimentId })).info;
    await expect(client.artifacts.upload({ runId, path: 'x', body: 'y' })).rejects.toMatchObject({
      message: expect.stringMatching(/presigned/i),
      retryable: false,
    });
    await expect(client.artifacts.delete({ runId, path: 'x' })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
