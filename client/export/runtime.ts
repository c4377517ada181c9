import { copyFile, cp, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { packageRoot } from '../platform/programs.ts';

/** The native package that the server needs, and what that needs at run time; its other dependencies install it. */
const NATIVE = 'onnxruntime-node';
const COMMON = 'onnxruntime-common';

/** What the build left about the native package; see `scripts/standalone/lock.ts`. */
const runtimeLock = z.object({
  dependencies: z.record(z.string(), z.string()),
  packages: z.record(z.string(), z.unknown()),
});
export type RuntimeLock = z.infer<typeof runtimeLock>;

const manifest = z.object({ version: z.string() });

/** The server's program as the build made it, and what it needs. */
export interface ServerProgram {
  /** The release of Perennial that it is of. */
  readonly version: string;
  readonly lock: RuntimeLock;
}

/** Where the build puts the server's program. */
export const builtServer = (): string => join(packageRoot(), 'dist', 'standalone');

/** People look for these at the top; the programs lie in a folder of their own. */
const LICENSES = ['LICENSE', 'THIRD-PARTY-LICENSES.txt'];

/**
 * Copies the server's program.
 *
 * @param built folder that the build made
 * @param target the export
 * @throws PerennialError `InputInvalid` where the program was not built
 */
export async function copyServer(built: string, target: string): Promise<ServerProgram> {
  const text = await readFile(join(built, 'runtime-lock.json'), 'utf8').catch((cause: unknown) => {
    throw new PerennialError(
      'InputInvalid',
      `the standalone server was not built: ${built} is missing or incomplete; run \`npm run build\``,
      false,
      { cause },
    );
  });
  await mkdir(join(target, 'server'), { recursive: true });
  const programs = (await readdir(built)).filter((name) => name.endsWith('.js') || name === 'package.json');
  for (const name of programs) await copyFile(join(built, name), join(target, 'server', name));
  for (const name of LICENSES) await copyFile(join(built, name), join(target, name));
  const { version } = manifest.parse(JSON.parse(await readFile(join(built, 'package.json'), 'utf8')));
  return { version, lock: runtimeLock.parse(JSON.parse(text)) };
}

/** The platform that the copied runtime is for. */
export interface CopiedRuntime {
  readonly platform: string;
  readonly version: string;
}

/**
 * Copies what `onnxruntime-node` needs to run on this machine: no types, no other platform's library.
 *
 * @param target the export
 * @throws PerennialError `InputInvalid` where the installed one is not that of the lock, or has nothing for this machine
 */
export async function copyRuntime(lock: RuntimeLock, target: string): Promise<CopiedRuntime> {
  const require = createRequire(import.meta.url);
  const native = folderOf(require.resolve(`${NATIVE}/package.json`));
  const common = folderOf(createRequire(join(native, 'package.json')).resolve(COMMON), COMMON);
  const { version } = manifest.parse(JSON.parse(await readFile(join(native, 'package.json'), 'utf8')));
  const wanted = lock.dependencies[NATIVE];
  if (version !== wanted)
    throw new PerennialError(
      'InputInvalid',
      `${NATIVE} ${version} is installed, but the server was built with ${wanted}; run \`npm install ${NATIVE}@${wanted}\`, or export --without-runtime`,
    );
  const platform = `${process.platform}-${process.arch}`;
  const library = join('bin', 'napi-v6', process.platform, process.arch);
  if (!(await stat(join(native, library)).catch(() => undefined)))
    throw new PerennialError(
      'InputInvalid',
      `${NATIVE} ${version} has no library for ${platform}; export --without-runtime, and start it where there is one`,
    );
  const modules = join(target, 'node_modules');
  await copyProgram(native, join(modules, NATIVE), ['package.json', 'dist', library]);
  await copyProgram(common, join(modules, COMMON), ['package.json', join('dist', 'cjs')]);
  return { platform, version };
}

/** The package's folder above one of its files. */
function folderOf(file: string, name = NATIVE): string {
  const folder = join('node_modules', name);
  let at = dirname(file);
  while (!at.endsWith(folder) && dirname(at) !== at) at = dirname(at);
  return at;
}

async function copyProgram(from: string, to: string, parts: readonly string[]): Promise<void> {
  for (const part of parts)
    await cp(join(from, part), join(to, part), {
      recursive: true,
      dereference: true,
      filter: (path) => !/\.(map|d\.ts|md)$/.test(path),
    });
}
