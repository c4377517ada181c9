import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();
let experimentId = '';
let directory = '';

async function newRun(): Promise<string> {
  return (await client.runs.create({ experimentId })).info.runId;
}

async function text(location: Parameters<typeof client.artifacts.downloadBytes>[0]): Promise<string> {
  return Buffer.from(await client.artifacts.downloadBytes(location)).toString('utf8');
}

beforeAll(async () => {
  experimentId = await client.experiments.create({ name: unique('artifacts') });
  directory = await mkdtemp(join(tmpdir(), 'mlflow-client-ts-files-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('artifacts through the proxy', () => {
  it('uploads text, bytes and streams', async () => {
    const runId = await newRun();
    await client.artifacts.upload({ runId, path: 'text.txt', body: 'grün' });
    await client.artifacts.upload({ runId, path: 'dir/bytes.bin', body: new Uint8Array([0, 1, 255]) });
    const known = Readable.from([Buffer.from('ab'), Buffer.from('cd')]);
    await client.artifacts.upload({ runId, path: 'dir/known', body: known, contentLength: 4 });
    const unknown = Readable.from(['ef', 'gh']);
    await client.artifacts.upload({ runId, path: 'dir/unknown', body: unknown });
    expect(await text({ runId, path: 'text.txt' })).toBe('grün');
    expect([...(await client.artifacts.downloadBytes({ runId, path: 'dir/bytes.bin' }))]).toEqual([
      0, 1, 255,
    ]);
    expect(await text({ runId, path: 'dir/known' })).toBe('abcd');
    expect(await text({ runId, path: 'dir/unknown' })).toBe('efgh');
  });

  it('keeps names with spaces, plus signs and umlauts', async () => {
    const runId = await newRun();
    for (const path of ['a b.txt', 'a+b&c=d.txt', 'größe/ü.txt']) {
      await client.artifacts.upload({ runId, path, body: path });
      expect(await text({ runId, path })).toBe(path);
    }
  });

  it('refuses a stream that is not as long as announced', async () => {
    const runId = await newRun();
    for (const contentLength of [3, 9]) {
      const body = Readable.from([Buffer.from('abcdef')]);
      await expect(client.artifacts.upload({ runId, path: 'x', body, contentLength })).rejects.toMatchObject({
        code: 'invalid-argument',
      });
    }
  });

  it('uploads and downloads a file as streams', async () => {
    const runId = await newRun();
    const file = join(directory, 'in.bin');
    const bytes = randomBytes(20 * 1024 * 1024 + 7);
    await writeFile(file, bytes);
    await client.artifacts.uploadFile({ runId, path: 'model/weights.bin', file });
    const out = join(directory, 'deep/er/out.bin');
    expect(await client.artifacts.downloadToFile({ runId, path: 'model/weights.bin', file: out })).toBe(
      bytes.length,
    );
    expect((await readFile(out)).equals(bytes)).toBe(true);
    expect(await readdir(join(directory, 'deep/er'))).toEqual(['out.bin']);
  });

  it('uploads an empty file', async () => {
    const runId = await newRun();
    const file = join(directory, 'empty');
    await writeFile(file, '');
    await client.artifacts.uploadFile({ runId, path: 'empty', file });
    expect(await collect(client.artifacts.list({ runId }))).toEqual([
      { path: 'empty', isDir: false, fileSize: 0 },
    ]);
  });

  it('hands a download over as a stream', async () => {
    const runId = await newRun();
    await client.artifacts.upload({ runId, path: 'a.txt', body: 'streamed' });
    const stream = await client.artifacts.download({ runId, path: 'a.txt' });
    expect(stream).toBeInstanceOf(Readable);
    expect((await collect(stream)).join('')).toBe('streamed');
  });

  it('leaves nothing behind when a download fails', async () => {
    const runId = await newRun();
    const file = join(directory, 'failing/out');
    const failing = client.artifacts.downloadToFile({ runId, path: 'missing', file });
    await expect(failing).rejects.toMatchObject({ status: 404, isNotFound: true });
    expect(await readdir(join(directory, 'failing'))).toEqual([]);
  });

  it('lists the files of a run', async () => {
    const runId = await newRun();
    await client.artifacts.upload({ runId, path: 'a/b/c.txt', body: '1234' });
    await client.artifacts.upload({ runId, path: 'd.txt', body: '12' });
    expect(await collect(client.artifacts.list({ runId }))).toEqual([
      { path: 'a', isDir: true, fileSize: undefined },
      { path: 'd.txt', isDir: false, fileSize: 2 },
    ]);
    const deep = await collect(client.artifacts.list({ runId, recursive: true }));
    expect(deep.map((file) => file.path)).toEqual(['a', 'a/b', 'a/b/c.txt', 'd.txt']);
    expect(await collect(client.artifacts.list({ runId, path: 'a/b' }))).toEqual([
      { path: 'a/b/c.txt', isDir: false, fileSize: 4 },
    ]);
    expect(await collect(client.artifacts.list({ runId, path: 'nowhere' }))).toEqual([]);
  });

  it('lists the files of a logged model', async () => {
    const { modelId } = await client.loggedModels.create({ experimentId, name: 'files' });
    await client.artifacts.upload({ modelId, path: 'data/model.onnx', body: 'onnx' });
    await client.artifacts.upload({ modelId, path: 'MLmodel', body: 'x: 1' });
    const files = await collect(client.artifacts.list({ modelId, recursive: true }));
    expect(files.map((file) => file.path)).toEqual(['MLmodel', 'data', 'data/model.onnx']);
    expect(await text({ modelId, path: 'data/model.onnx' })).toBe('onnx');
  });

  it('lists, reads and writes below an mlflow-artifacts URI', async () => {
    const uri = `mlflow-artifacts:/${unique('plain')}/sub`;
    await client.artifacts.upload({ uri, path: 'x/y.txt', body: 'here' });
    const files = await collect(client.artifacts.list({ uri, recursive: true }));
    expect(files.map((file) => file.path)).toEqual(['x', 'x/y.txt']);
    expect(await text({ uri, path: 'x/y.txt' })).toBe('here');
  });

  it('deletes files and directories', async () => {
    const runId = await newRun();
    await client.artifacts.upload({ runId, path: 'a/b.txt', body: '1' });
    await client.artifacts.upload({ runId, path: 'c.txt', body: '1' });
    await client.artifacts.delete({ runId, path: 'a' });
    await client.artifacts.delete({ runId, path: 'a' });
    expect((await collect(client.artifacts.list({ runId }))).map((file) => file.path)).toEqual(['c.txt']);
  });

  it('goes through the proxy where the store offers no parts', async () => {
    const runId = await newRun();
    const file = join(directory, 'no-parts');
    await writeFile(file, 'abc');
    await client.artifacts.uploadFile({ runId, path: 'no-parts', file, multipart: { thresholdBytes: 1 } });
    expect(await text({ runId, path: 'no-parts' })).toBe('abc');
    const create = client.artifacts.multipart.create({ path: `${experimentId}/x/y`, parts: 1 });
    await expect(create).rejects.toMatchObject({
      status: 501,
      errorCode: 'NOT_IMPLEMENTED',
      retryable: false,
    });
  });
});
