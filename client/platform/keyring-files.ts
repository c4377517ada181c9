import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { z } from 'zod';
import { platformPaths } from './files.ts';

/** The keys of encrypted artifacts, with what editors and cautious people put beside them. */
const NAMES = /^keyring\.json(\.|$)/;
/** A keyring of many years is smaller than this. */
const MOST_BYTES = 64 * 1024;

/** What a keyring looks like under any name; see lib/store/keyring.ts. */
const keyringContent = z.object({
  current: z.string(),
  keys: z.record(z.string(), z.string().regex(/^[A-Za-z0-9+/]{43}=$/)),
});

/**
 * The keyrings in a data directory: `keyring.json` and copies of it, the one that is named, links to it, and whatever
 * else reads like one. Whoever holds them together with the artifacts has no secret before him.
 *
 * @param root the data directory
 * @param named the keyring that workers use, wherever it lies; it need not exist
 * @param skipped names in the data directory that are not looked into
 * @returns their paths
 */
export async function keyringsIn(
  root: string,
  named: string,
  skipped: ReadonlySet<string>,
): Promise<Set<string>> {
  const real = await realpath(named).catch(() => named);
  const found = new Set<string>();
  if (real.startsWith(root + sep) && (await stat(real).catch(() => undefined))?.isFile()) found.add(real);
  const { artifacts } = platformPaths(root);
  const isKeyring = async (path: string, { name }: Dirent, top: boolean): Promise<boolean> =>
    (top && NAMES.test(name)) ||
    (await realpath(path).catch(() => path)) === real ||
    (await readsLikeOne(path));
  const look = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const top = folder === root;
      if (path === artifacts || (top && skipped.has(entry.name))) continue;
      // A part of the data directory may lie on another disk, behind a link.
      const info = top && entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
      if (info?.isDirectory()) await look(path);
      else if (await isKeyring(path, entry, top)) found.add(path);
    }
  };
  await look(root);
  return found;
}

async function readsLikeOne(path: string): Promise<boolean> {
  try {
    const info = await stat(path);
    if (!info.isFile() || info.size > MOST_BYTES) return false;
    const text = await readFile(path, 'utf8');
    return text.trimStart().startsWith('{') && keyringContent.safeParse(JSON.parse(text)).success;
  } catch {
    return false; // no JSON, or gone meanwhile
  }
}
