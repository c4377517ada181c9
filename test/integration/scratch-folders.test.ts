import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasEnded, ownProcessName } from '../../lib/processes/process-name.ts';
import { removeDeadScratch } from '../../lib/scratch.ts';

const HOLDER = fileURLToPath(new URL('../support/scratch-holder.ts', import.meta.url));
const HOUR = 3_600_000;

let dataDir: string;
let children: ChildProcess[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'perennial-scratch-'));
  children = [];
});
afterEach(async () => {
  for (const child of children) await kill(child);
  await rm(dataDir, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Starts a process that has a scratch folder in use. */
async function holder(): Promise<{ child: ChildProcess; folder: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', HOLDER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const folder of createInterface({ input: child.stdout })) return { child, folder };
  throw new Error('the process has told of no folder');
}

const rowsIn = (folder: string) => readFile(join(folder, 'rows.csv'), 'utf8').catch(() => undefined);
const folders = () => readdir(join(dataDir, 'scratch'));

/** The folder of some process, made a while ago. */
async function folderOf(name: string, ageMs: number): Promise<void> {
  const path = join(dataDir, 'scratch', `${name}.0a1b2c3d`);
  await mkdir(join(path, 'attempt'), { recursive: true });
  const then = new Date(Date.now() - ageMs);
  await utimes(path, then, then);
}

describe('scratch folders', () => {
  it('of a killed process are deleted by the next one, those of living ones stay', {
    timeout: 120_000,
  }, async () => {
    const [killed, living] = [await holder(), await holder()];
    expect(dirname(killed.folder)).not.toBe(dirname(living.folder));
    await kill(killed.child);
    expect(await rowsIn(killed.folder)).toBe('a person');
    const next = await holder();
    expect(await rowsIn(killed.folder)).toBeUndefined();
    expect(await rowsIn(living.folder)).toBe('a person');
    expect(await rowsIn(next.folder)).toBe('a person');
    expect(await folders()).toHaveLength(2);
  });

  it('stay however long a living process of this machine was silent', { timeout: 60_000 }, async () => {
    const { child, folder } = await holder();
    await removeDeadScratch(dataDir, Date.now() + 24 * HOUR);
    expect(await rowsIn(folder)).toBe('a person');
    await kill(child);
    await removeDeadScratch(dataDir);
    expect(await folders()).toEqual([]);
  });

  it('of an earlier process with the same number are deleted', async () => {
    const [where, pid, started] = ownProcessName().split('.');
    await folderOf(`${where}.${pid}.${started}`, 2 * HOUR);
    await folderOf(`${where}.${pid}.1`, 0);
    await removeDeadScratch(dataDir);
    expect(await folders()).toEqual([`${ownProcessName()}.0a1b2c3d`]);
  });

  it('of another machine or container stay for an hour of silence: nobody sees its processes', async () => {
    await folderOf('another00000.1.77', HOUR / 2);
    await folderOf('another00001.1.77', 2 * HOUR);
    await folderOf('4711', 2 * HOUR);
    await removeDeadScratch(dataDir);
    expect(await folders()).toEqual(['another00000.1.77.0a1b2c3d']);
  });
});

it('a process has ended, lives, or cannot be seen', () => {
  const [where, , started] = ownProcessName().split('.');
  expect(hasEnded(ownProcessName())).toBe(false);
  expect(hasEnded(`${where}.${2 ** 30}.${started}`)).toBe(true);
  expect(hasEnded(`elsewhere.${process.pid}.${started}`)).toBeUndefined();
  expect(hasEnded('4711')).toBeUndefined();
  expect(hasEnded(`${where}.x.1`)).toBeUndefined();
});
