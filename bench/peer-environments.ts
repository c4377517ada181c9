import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPython } from '../client/platform/programs.ts';

const run = promisify(execFile);
/** The scripts of peers. */
export const PEERS_FOLDER = join(import.meta.dirname, 'peers');
const VENVS = join(PEERS_FOLDER, '.peers');

/** A tool beside which the validation is measured. */
export interface Peer {
  name: string;
  venv: string;
  packages: readonly string[];
  script: readonly string[];
}

/** The Python of a peer. */
export const peerPython = ({ venv }: Pick<Peer, 'venv'>): string => join(VENVS, venv, 'bin', 'python');

/** Installs a peer into a virtual environment of its own, which git ignores. */
export async function installPeer({ venv, packages }: Peer): Promise<void> {
  const folder = join(VENVS, venv);
  if (existsSync(join(folder, 'installed'))) return;
  mkdirSync(VENVS, { recursive: true });
  await run(findPython(undefined), ['-m', 'venv', folder]);
  const python = join(folder, 'bin', 'python');
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
  mkdirSync(join(folder, 'installed'));
}
