import { chmod, mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { RunManifests } from '../../lib/store/run-manifests.ts';

let folder: string;
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-store-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The modes of all that lies in the store, as octal text. */
async function modes(): Promise<{ files: string[]; folders: string[] }> {
  const found = { files: new Set<string>(), folders: new Set<string>() };
  for (const entry of await readdir(store.root, { recursive: true, withFileTypes: true })) {
    const { mode } = await stat(join(entry.parentPath, entry.name));
    (entry.isFile() ? found.files : found.folders).add((mode & 0o777).toString(8));
  }
  return { files: [...found.files], folders: [...found.folders] };
}

it("is its owner's alone, whatever the mode of a file was", async () => {
  const path = join(folder, 'open');
  for (const mode of [0o644, 0o755, 0o400]) {
    await writeFile(path, `mode ${mode}`);
    await chmod(path, mode);
    await store.putFile(path, 'text/plain');
    await rm(path);
  }
  await store.putJson({ a: 1 });
  await new RunManifests(store.documents).write({
    workflowId: 'a',
    runId: 'b',
    outcome: 'failed',
    endedAt: new Date(0).toISOString(),
    artifacts: [],
  });
  expect(await modes()).toEqual({ files: ['600'], folders: ['700'] });
});

it('never puts plain bytes in the place of encrypted ones, also where those are damaged', async () => {
  const ref = await store.putBytes('personal', 'text/plain', { encrypt: true });
  const sealed = join(store.root, 'sha256', ref.sha256.slice(0, 2), `${ref.sha256.slice(2)}.sealed`);
  await truncate(sealed, 70);
  await expect(store.bytes(ref)).rejects.toMatchObject({
    code: 'ArtifactCorrupt',
    message: expect.stringContaining(sealed),
  });
  await expect(store.putBytes('personal', 'text/plain')).rejects.toMatchObject({ code: 'ArtifactCorrupt' });
  await store.putBytes('personal', 'text/plain', { encrypt: true });
  expect(String(await store.bytes(ref))).toBe('personal');
  expect(await store.isEncrypted(ref)).toBe(true);
});

describe('an artifact that the garbage collector wants to delete', () => {
  /** One that was last asked for long ago, as the collector lists it. */
  async function old() {
    const ref = await store.putJson({ old: true });
    await utimes(await store.path(ref), new Date(1_000), new Date(1_000));
    const [listed] = await store.blobs();
    if (!listed) throw new Error('nothing is listed');
    return { ref, listed };
  }

  it('goes where nobody has asked for it since', async () => {
    const { ref, listed } = await old();
    expect(await store.remove(listed.sha256, { untouchedSince: listed.touchedAt })).toBe(true);
    expect(await store.has(ref)).toBe(false);
    expect(await store.remove(listed.sha256, { untouchedSince: listed.touchedAt })).toBe(false);
  });

  it('stays where a run has adopted it meanwhile', async () => {
    const { ref, listed } = await old();
    await store.putJson({ old: true });
    expect(await store.remove(listed.sha256, { untouchedSince: listed.touchedAt })).toBe(false);
    expect(await store.json(ref)).toEqual({ old: true });
  });
});
