import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of this package, from the nearest package.json above this file (sources and dist differ in depth). */
export async function packageVersion(): Promise<string> {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (dirname(folder) !== folder) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
    const content: unknown = text === undefined ? undefined : JSON.parse(text);
    if (typeof content === 'object' && content !== null && 'version' in content)
      return String(content.version);
    folder = dirname(folder);
  }
  return 'unknown';
}
