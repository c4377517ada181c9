import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { type BundledModule, MAX_MODULE_BYTES } from '../../contracts/spec/custom-check.ts';

/** A setting that allows every module: for one's own machine. */
const ANY = 'any';
const DIGEST = /^[0-9a-f]{64}$/;

/** The SHA-256 of a bundled source. */
export const digestOf = (source: string): string => createHash('sha256').update(source).digest('hex');

/**
 * Refuses a module that this worker does not run. What runs is the worker's decision, not the spec's: a digest that
 * the setting names, the content of a file in a folder that it names, or `any`.
 *
 * @param where the rule, for messages
 * @param allowed `modules` of the worker's configuration
 * @throws PerennialError `SpecInvalid` for a module that is not bundled or has another digest than it says,
 *   `SourceDenied`
 */
export async function requireAllowed(
  where: string,
  module: string | BundledModule,
  allowed: readonly string[],
): Promise<BundledModule> {
  if (typeof module === 'string')
    throw new PerennialError(
      'SpecInvalid',
      `${where}.module: ${module} is a path, and workers run bundled modules only; start the run by the perennial CLI or client, which bundles it (perennial render SPEC prints the result)`,
    );
  const sha256 = digestOf(module.source);
  if (sha256 !== module.sha256)
    throw new PerennialError(
      'SpecInvalid',
      `${where}.module: sha256 is not that of source; bundle the module again`,
    );
  if (allowed.includes(ANY) || allowed.includes(sha256)) return module;
  for (const folder of allowed.filter((item) => item !== ANY && !DIGEST.test(item)))
    if ((await digestsIn(folder)).has(sha256)) return module;
  throw new PerennialError(
    'SourceDenied',
    `${where}.module: this worker does not run the module ${sha256}; review it, then add that digest to PERENNIAL_MODULES on the worker`,
  );
}

async function digestsIn(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && /\.m?js$/.test(entry.name));
  const digests = new Set<string>();
  for (const { name } of files) {
    const text = await readFile(join(folder, name), 'utf8');
    if (Buffer.byteLength(text) <= MAX_MODULE_BYTES * 4) digests.add(digestOf(text));
  }
  return digests;
}
