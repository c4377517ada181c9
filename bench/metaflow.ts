import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPython } from '../client/platform/programs.ts';

const run = promisify(execFile);
const FOLDER = join(import.meta.dirname, 'peers');
const VENV = join(FOLDER, '.venv');
const PYTHON = join(VENV, 'bin', 'python');
/** The same version as in the earlier measure. */
const PACKAGES = ['metaflow==2.19.39', 'setuptools<81'];

/** Installs Metaflow into a virtual environment of its own, beside its flow. */
async function install(): Promise<void> {
  if (existsSync(join(VENV, 'bin', 'metaflow'))) return;
  await run(findPython(undefined), ['-m', 'venv', VENV]);
  await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]);
}

/**
 * Runs the same ten no-op steps in Metaflow's local runtime.
 *
 * @returns milliseconds of each run, all included, after one that does not count
 */
export async function measureMetaflow(runs: number): Promise<number[]> {
  await install();
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-metaflow-'));
  const env = {
    ...process.env,
    USERNAME: 'bench',
    METAFLOW_USER: 'bench',
    METAFLOW_DATASTORE_SYSROOT_LOCAL: folder,
  };
  const times: number[] = [];
  try {
    for (let i = 0; i <= runs; i += 1) {
      const begin = performance.now();
      await run(PYTHON, [join(FOLDER, 'metaflow_flow.py'), 'run'], { cwd: folder, env });
      if (i > 0) times.push(performance.now() - begin);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return times;
}
