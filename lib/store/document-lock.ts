import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { hasEnded, ownProcessName } from '../processes/process-name.ts';
import { orMissing } from './durable-file.ts';

const WAIT_MS = { first: 2, most: 50, together: 30_000 } as const;
/** Nobody holds the lock of a document for longer than a few milliseconds. */
const STALE_MS = 60_000;
const LOCK_FILE = { flag: 'wx', mode: 0o600 } as const;

/**
 * Runs work while this process alone holds a lock file: several processes, and several machines on a network file
 * system. The lock of a process that was killed is broken, at once where that process was of this machine.
 *
 * @throws PerennialError `StoreUnavailable` where the lock cannot be had
 */
export async function whileLocked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const owner = `${ownProcessName()} ${randomUUID()}`;
  const own = `${path}.${owner.slice(-36)}`;
  await writeFile(own, owner, LOCK_FILE);
  try {
    await acquire(path, own);
    try {
      return await work();
    } finally {
      if ((await ownerOf(path)) === owner) await rm(path, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** A link comes into being in one step, with its content. */
async function acquire(path: string, own: string): Promise<void> {
  const until = Date.now() + WAIT_MS.together;
  for (let wait: number = WAIT_MS.first; ; wait = Math.min(wait * 2, WAIT_MS.most)) {
    try {
      return await link(own, path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    await breakStale(path);
    if (Date.now() > until)
      throw new PerennialError(
        'StoreUnavailable',
        `the lock ${path} is held by another process; if none is running, delete it`,
        true,
      );
    await sleep(wait * (0.5 + Math.random()));
  }
}

async function breakStale(path: string): Promise<void> {
  const owner = await ownerOf(path);
  const info = await stat(path).catch(orMissing);
  if (owner === undefined || info === undefined) return;
  const [holder = '', token = ''] = owner.split(' ');
  if (hasEnded(holder) !== true && Date.now() - info.mtimeMs < STALE_MS) return;
  const breaking = `${path}.${token}.broken`;
  try {
    await writeFile(breaking, '', LOCK_FILE);
  } catch {
    return; // another one is at it
  }
  // Whoever comes late finds the lock of the next owner, and leaves it.
  if ((await ownerOf(path)) === owner) await rm(path, { force: true });
  await rm(`${path}.${token}`, { force: true });
  await rm(breaking, { force: true });
}

const ownerOf = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(orMissing);
