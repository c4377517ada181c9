import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../client/platform/programs.ts';
import { cleanEnvironment } from './e2e-cli.ts';

/** Runs npm as a user would. */
export const npm = (cwd: string, ...args: string[]): Promise<{ stdout: string }> =>
  promisify(execFile)('npm', args, { cwd, env: cleanEnvironment(), maxBuffer: 50_000_000 });

/** Packs this package as it would be published. @returns the archive's path */
export async function packInto(folder: string): Promise<string> {
  const { stdout } = await npm(packageRoot(), 'pack', '--json', '--pack-destination', folder);
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  return join(folder, packed?.filename ?? '');
}

/** Installs the package alone, without its optional peers, in an empty project. @returns its command line */
export async function installIn(project: string): Promise<string> {
  mkdirSync(project, { recursive: true });
  const packed = await packInto(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true }));
  await npm(project, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', packed);
  return join(project, 'node_modules', '.bin', 'perennial');
}
