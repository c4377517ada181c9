// `.venv` with exactly the packages of scripts/requirements.lock.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, ROOT, SetupError } from './steps.mjs';

const VENV = join(ROOT, '.venv');
const LOCK = join(ROOT, 'scripts', 'requirements.lock');
// Written last, so that an interrupted installation is made again from nothing.
const STAMP = join(VENV, '.perennial-requirements.sha256');

/** Compares what is installed with the lines of the lock that are meant for this Python; prints what differs. */
const COMPARE = `
import re, sys
from importlib import metadata
from pip._vendor.packaging.markers import Marker
for line in open(sys.argv[1], encoding="utf8"):
    match = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\\\]+)\\s*(?:;\\s*(.*?))?\\s*\\\\?$", line.rstrip())
    if not match: continue
    name, version, marker = match.groups()
    if marker and not Marker(marker).evaluate(): continue
    try: found = metadata.version(name)
    except metadata.PackageNotFoundError: found = None
    if found != version: print(name, version, found); sys.exit(1)
`;

/** The interpreter inside `.venv`. */
export const VENV_PYTHON = join(VENV, 'bin', 'python');

/**
 * Makes `.venv`, or makes it again where it is half made, or adds what a changed lock asks for.
 *
 * @param python `{ command, version }` of the interpreter to make it with
 */
export async function providePython(python, progress) {
  const digest = createHash('sha256').update(readFileSync(LOCK)).digest('hex');
  const stamp = existsSync(STAMP) ? readFileSync(STAMP, 'utf8').trim() : undefined;
  const runs = existsSync(VENV_PYTHON) && (await execute(VENV_PYTHON, ['-c', ''])).code === 0;
  if (runs && stamp === digest) return 'up to date';
  if (runs && (await isComplete())) {
    writeFileSync(STAMP, `${digest}\n`);
    return 'up to date, as installed by pip';
  }
  const fresh = !runs || stamp === undefined;
  if (fresh) await create(python, progress);
  else rmSync(STAMP, { force: true });
  const { code, tail } = await execute(
    VENV_PYTHON,
    ['-m', 'pip', 'install', '--require-hashes', '--no-deps', '--progress-bar', 'off', '-r', LOCK],
    { progress },
  );
  if (code !== 0) {
    throw new SetupError(
      `pip could not install scripts/requirements.lock with Python ${python.version}; check the network or PIP_INDEX_URL, or set PERENNIAL_PYTHON_BIN to Python 3.10 to 3.13. pip said:\n${tail}`,
    );
  }
  if (!(await isComplete()))
    throw new SetupError(
      'pip reported success, but .venv lacks packages of the lock. Delete .venv and run "npm run setup" again.',
    );
  writeFileSync(STAMP, `${digest}\n`);
  return fresh ? 'installed' : 'updated';
}

async function create(python, progress) {
  progress('making .venv');
  rmSync(VENV, { recursive: true, force: true });
  const { code, tail } = await execute(python.command, ['-m', 'venv', VENV]);
  if (code !== 0) throw new SetupError(`"${python.command} -m venv .venv" failed. It said:\n${tail}`);
}

async function isComplete() {
  return (await execute(VENV_PYTHON, ['-c', COMPARE, LOCK])).code === 0;
}
