import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { hasEnded, ownProcessName } from './processes/process-name.ts';
import { orMissing } from './store/durable-file.ts';

/** How often a process says that its folder is in use, by the folder's modification time. */
const BEAT_MS = 30_000;
/** A folder of a process that cannot be seen from here, and was silent for so long, is nobody's. */
const SILENT_MS = 3_600_000;

const own = new Map<string, string>();

/**
 * This process's folder for scratch files, below the data directory, which other machines may share. Whoever makes
 * something in it deletes it; what a killed process left behind is found by the folder's name.
 */
export async function ownScratch(dataDir: string): Promise<string> {
  const known = own.get(dataDir);
  const path = known ?? join(dataDir, 'scratch', `${ownProcessName()}.${randomUUID().slice(0, 8)}`);
  if (known === undefined) {
    own.set(dataDir, path);
    setInterval(() => void beat(path), BEAT_MS).unref();
  }
  await mkdir(path, { recursive: true, mode: 0o700 });
  await beat(path);
  return path;
}

/** A folder that is not there, or that cannot be reached for a while, is no reason to end the process. */
async function beat(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}

/**
 * Deletes the scratch folders of processes that are gone; a killed one could not do it itself. Of this machine (and
 * container) at once; of others after an hour of silence.
 */
export async function removeDeadScratch(dataDir: string, asOf: number = Date.now()): Promise<void> {
  const root = join(dataDir, 'scratch');
  for (const name of (await readdir(root).catch(orMissing)) ?? []) {
    const path = join(root, name);
    const info = await stat(path).catch(orMissing);
    if (info && (hasEnded(name) ?? asOf - info.mtimeMs > SILENT_MS))
      await rm(path, { recursive: true, force: true });
  }
}
