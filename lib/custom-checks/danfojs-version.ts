import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * The version of danfojs that custom checks get on this worker: they may answer differently with another one.
 *
 * @returns `null` where it is not installed
 */
export function danfojsVersion(): string | null {
  const { resolve } = createRequire(import.meta.url);
  try {
    const content: unknown = JSON.parse(readFileSync(resolve('danfojs-node/package.json'), 'utf8'));
    return typeof content === 'object' && content !== null && 'version' in content
      ? String(content.version)
      : null;
  } catch {
    return null;
  }
}
