import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const entry = z.looseObject({
  version: z.string().optional(),
  integrity: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
});
const lockfile = z.looseObject({ packages: z.record(z.string(), entry) });

/** What npm needs to install one package and all that it depends on, each with its digest. */
export interface RuntimeLock {
  /** Exact versions for a package.json. */
  readonly dependencies: Record<string, string>;
  /** Entries of a lock file (version 3), by their place. */
  readonly packages: Record<string, unknown>;
}

/**
 * The part of this repository's lock that one package needs.
 *
 * @param root folder of package-lock.json
 * @throws Error where a package is not in the lock
 */
export async function lockOf(root: string, name: string): Promise<RuntimeLock> {
  const { packages } = lockfile.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  const found = new Map<string, unknown>();
  let version = '';
  const visit = (wanted: string, from: string): void => {
    const path = placeOf(packages, wanted, from);
    const locked = packages[path];
    if (!locked?.integrity || !locked.version)
      throw new Error(`${wanted} has no version or no integrity in package-lock.json`);
    if (from === '') version = locked.version;
    if (found.has(path)) return;
    const { dev: _, peer: __, devOptional: ___, resolved: ____, ...kept } = locked;
    found.set(path, kept);
    for (const next of Object.keys(locked.dependencies ?? {})) visit(next, path);
  };
  visit(name, '');
  return {
    dependencies: { [name]: version },
    packages: Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Where Node finds a package that is asked for from a place: beside it, or in a folder above. */
function placeOf(packages: Readonly<Record<string, unknown>>, name: string, from: string): string {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (path in packages) return path;
    if (at === '') throw new Error(`${name} is not in package-lock.json; run \`npm install\``);
  }
}
