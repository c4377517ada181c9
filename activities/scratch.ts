import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PerennialConfig } from '../lib/config.ts';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is such a process, of somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

/** Deletes the scratch folders of processes that are gone; a killed worker could not do it itself. */
export async function removeDeadScratch(config: PerennialConfig): Promise<void> {
  const root = join(config.dataDir, 'scratch');
  for (const name of await readdir(root).catch(() => []))
    if (/^\d+$/.test(name) && !isAlive(Number(name)))
      await rm(join(root, name), { recursive: true, force: true });
}
