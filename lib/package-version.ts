import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package, with the nearest package.json above this file (sources and dist differ in depth). */
export function packageFolder(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) return undefined;
    folder = dirname(folder);
  }
  return folder;
}

/** The version of this package. */
export async function packageVersion(): Promise<string> {
  const folder = packageFolder();
  const content: unknown =
    folder === undefined ? undefined : JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  return typeof content === 'object' && content !== null && 'version' in content
    ? String(content.version)
    : 'unknown';
}
