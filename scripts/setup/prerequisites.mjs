// What has to be on the machine before anything can be installed.

import { execFileSync } from 'node:child_process';
import { SetupError } from './steps.mjs';

const NODE = [20, 19];
const PYTHON = [3, 10];

/** Throws where this Node is too old. */
export function checkNode() {
  if (isOlder(process.versions.node, NODE)) {
    throw new SetupError(
      `Node ${process.versions.node} is too old: install Node ${NODE.join('.')} or newer from https://nodejs.org, then run "npm run setup" again.`,
    );
  }
}

/**
 * The Python to make the environment with: `PERENNIAL_PYTHON_BIN`, else `python3`.
 *
 * @returns `{ command, version, summary }`
 */
export function findPython() {
  const command = process.env.PERENNIAL_PYTHON_BIN ?? 'python3';
  const wanted = `Install Python ${PYTHON.join('.')} or newer with its venv module (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or set PERENNIAL_PYTHON_BIN to one.`;
  const version = ask(command, 'import sys; print("%d.%d.%d" % sys.version_info[:3])');
  if (version === undefined) throw new SetupError(`No Python was found as "${command}". ${wanted}`);
  if (isOlder(version, PYTHON))
    throw new SetupError(`Python ${version} ("${command}") is too old. ${wanted}`);
  if (ask(command, 'import venv, ensurepip') === undefined) {
    throw new SetupError(`Python ${version} ("${command}") has no venv module. ${wanted}`);
  }
  return { command, version, summary: `Node ${process.versions.node}, Python ${version}` };
}

function ask(command, program) {
  try {
    return execFileSync(command, ['-c', program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

function isOlder(version, [major, minor]) {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}
