import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';

/** What `npm run setup` notes about the Temporal CLI that it found outside the package. */
const recordedCli = z.object({ path: z.string() });

/** The folder of the package: the one above `client/`, or above `dist/`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return process.cwd();
    folder = parent;
  }
  return folder;
}

/**
 * The Temporal CLI: the given one, else `TEMPORAL_CLI_PATH`, else what `npm run setup` found or made
 * (`.perennial/bin`), else `temporal` in `PATH`.
 *
 * @throws PerennialError `InputInvalid` where there is none
 */
export function findTemporalCli(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const named = given ?? env.TEMPORAL_CLI_PATH;
  if (named) {
    if (isExecutable(resolve(named))) return resolve(named);
    throw new PerennialError(
      'InputInvalid',
      `${given ? 'The Temporal CLI' : 'TEMPORAL_CLI_PATH'} "${named}" is not an executable file. Correct the path, or leave it out to use the one that "npm run setup" provides.`,
    );
  }
  const bins = [...new Set([packageRoot(), process.cwd()])].map((root) => join(root, '.perennial', 'bin'));
  for (const path of bins.flatMap((bin) => [recordedPath(bin), join(bin, 'temporal')])) {
    if (path !== undefined && isExecutable(path)) return path;
  }
  for (const folder of (env.PATH ?? '').split(delimiter).filter(isAbsolute)) {
    if (isExecutable(join(folder, 'temporal'))) return join(folder, 'temporal');
  }
  throw new PerennialError(
    'InputInvalid',
    'No Temporal CLI was found. Run "npm run setup", or set TEMPORAL_CLI_PATH, or name a running server with --temporal-address.',
  );
}

/**
 * The Python interpreter with MLflow: the given one, else `PERENNIAL_PYTHON`, else that of the package's `.venv`,
 * else that of `.venv` in the working directory.
 *
 * @throws PerennialError `InputInvalid` where there is none
 */
export function findPython(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const named = given ?? env.PERENNIAL_PYTHON;
  const candidates = named
    ? [resolve(named)]
    : [packageRoot(), process.cwd()].map((root) => join(root, '.venv', 'bin', 'python'));
  const found = candidates.find(isExecutable);
  if (found) return found;
  throw new PerennialError(
    'InputInvalid',
    `No Python environment was found at ${candidates.join(' or ')}. Run "npm run setup", or set PERENNIAL_PYTHON to an interpreter that has MLflow.`,
  );
}

function recordedPath(bin: string): string | undefined {
  try {
    const parsed = recordedCli.safeParse(JSON.parse(readFileSync(join(bin, 'temporal.json'), 'utf8')));
    return parsed.success ? parsed.data.path : undefined;
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
