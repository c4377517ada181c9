import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BASE = join(ROOT, '.venv');
const LOCK = join(ROOT, 'test/support/serving-clients.lock');

/** The programs of the folder with the clients. */
export interface ClientPrograms {
  readonly python: string;
  readonly schemathesis: string;
}

/**
 * A virtual environment with other people's clients of model servers, made once from the hashed lock file and kept
 * under `.perennial` until that changes. It sees the packages of `.venv` behind its own.
 */
export async function servingClients(): Promise<ClientPrograms> {
  const digest = createHash('sha256')
    .update(await readFile(LOCK))
    .digest('hex');
  const folder = join(ROOT, '.perennial/test-clients', digest.slice(0, 16));
  const programs = { python: join(folder, 'bin/python'), schemathesis: join(folder, 'bin/schemathesis') };
  // Written last, so that an interrupted installation is made again from nothing.
  const stamp = join(folder, 'complete');
  if (existsSync(stamp)) return programs;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run(join(BASE, 'bin/python'), ['-m', 'venv', folder]);
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'];
  await run(programs.python, [
    ...install,
    '--require-hashes',
    '--no-deps',
    '--only-binary',
    ':all:',
    '-r',
    LOCK,
  ]);
  // Only now: pip would take the packages of .venv for installed ones.
  await writeFile(join(await packagesOf(folder), 'base.pth'), `${await packagesOf(BASE)}\n`);
  await writeFile(stamp, '');
  return programs;
}

async function packagesOf(venv: string): Promise<string> {
  const versions = await readdir(join(venv, 'lib'));
  const [version] = versions.filter((name) => name.startsWith('python3'));
  if (version === undefined) throw new Error(`${venv} has no packages; run "npm run setup"`);
  return join(venv, 'lib', version, 'site-packages');
}
