import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { LineageEnvironment } from '../../contracts/lineage.ts';
import { packageFolder, packageVersion } from '../package-version.ts';
import { pythonEnvironment } from '../python-environment.ts';

/** The npm packages whose version may show in a result: engines and the ONNX writer. */
const ENGINES = [
  '@duckdb/node-api',
  'onnxruntime-node',
  '@bufbuild/protobuf',
  '@temporalio/worker',
  '@tensorflow/tfjs',
] as const;

const manifest = z.object({ version: z.string() });

/**
 * What this process runs on: versions, digests of the lock files, machine. No names of hosts or users, no variables.
 *
 * @param python the interpreter of the trainers
 * @throws PerennialError `StageFailed` where Python cannot be asked
 */
export async function lineageEnvironment(python: string): Promise<LineageEnvironment> {
  const folder = packageFolder();
  const { python: pythonVersion, packages } = await pythonEnvironment(python);
  return {
    perennial: await packageVersion(),
    node: process.version.slice(1),
    python: pythonVersion,
    packages: { npm: folder === undefined ? {} : await npmVersions(folder), python: packages },
    locks: {
      npm: await digestOf(folder, 'package-lock.json'),
      python: await digestOf(folder, join('scripts', 'requirements.lock')),
    },
    machine: {
      platform: platform(),
      arch: arch(),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
    },
  };
}

async function npmVersions(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of ENGINES) {
    const version = await installedVersion(folder, name);
    if (version !== undefined) found[name] = version;
  }
  return found;
}

/** As Node finds a package: in the nearest `node_modules` above; read as a file, for many export no package.json. */
async function installedVersion(from: string, name: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8').catch(
      () => undefined,
    );
    if (text !== undefined) return manifest.parse(JSON.parse(text)).version;
    if (dirname(folder) === folder) return undefined;
  }
}

async function digestOf(folder: string | undefined, file: string): Promise<string | null> {
  if (folder === undefined) return null;
  const bytes = await readFile(join(folder, file)).catch(() => undefined);
  return bytes ? createHash('sha256').update(bytes).digest('hex') : null;
}
