import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownProcessName } from '../../lib/processes/process-name.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { whileLocked } from '../../lib/store/document-lock.ts';
import type { Documents } from '../../lib/store/documents.ts';

let folder: string;
let documents: Documents;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-documents-'));
  ({ documents } = await ArtifactStore.create(folder));
  await mkdir(join(folder, 'heads'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const lock = (): string => join(folder, 'heads', 'a.json.lock');
const TOKEN = '00000000-0000-0000-0000-000000000000';
/** No process has it: ids end long before. */
const DEAD = 2 ** 30;

describe('a document in a folder', () => {
  it('lies there alone, for its owner', async () => {
    await documents.write('heads/a', { n: 1 });
    expect(await readdir(join(folder, 'heads'))).toEqual(['a.json']);
    expect((await stat(join(folder, 'heads', 'a.json'))).mode & 0o777).toBe(0o600);
  });

  it('can be written after a process died that held its lock', async () => {
    const [where, , started] = ownProcessName().split('.');
    await writeFile(lock(), `${where}.${DEAD}.${started} ${TOKEN}`);
    await Promise.all([1, 2, 3, 4].map((n) => documents.write('heads/a', { n })));
    expect(await readdir(join(folder, 'heads'))).toEqual(['a.json']);
  });

  it('can be written after a machine died that held its lock', async () => {
    await writeFile(lock(), `another00000.1.77 ${TOKEN}`);
    const longAgo = new Date(Date.now() - 120_000);
    await utimes(lock(), longAgo, longAgo);
    await documents.write('heads/a', { n: 1 });
    expect((await documents.read('heads/a'))?.value).toEqual({ n: 1 });
  });

  it('is told from what somebody else put there', async () => {
    await writeFile(join(folder, 'heads', 'a.json'), '{ half');
    await expect(documents.read('heads/a')).rejects.toMatchObject({
      code: 'ArtifactCorrupt',
      message: expect.stringContaining('a.json is not JSON'),
    });
  });
});

it('one lock is held by one at a time', async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 2));
    inside--;
  };
  await Promise.all(Array.from({ length: 20 }, () => whileLocked(lock(), work)));
  expect(most).toBe(1);
  expect(await readdir(join(folder, 'heads'))).toEqual([]);
});
