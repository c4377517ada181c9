import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SearchTools } from './personal-store.ts';

/** Work with a new folder, gone afterwards: what was decrypted for one place is deleted before the next one. */
export async function inFolder<T>(
  { scratchDir }: Pick<SearchTools, 'scratchDir'>,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(scratchDir, randomUUID());
  await mkdir(folder, { mode: 0o700 });
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
