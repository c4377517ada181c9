import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { packagesOf, thirdPartyLicenses } from './standalone/licenses.ts';
import { lockOf } from './standalone/lock.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/**
 * The programs of an exported model, by the name of their file: the server, and whatever it starts as a process of its
 * own. They lie beside each other and share their chunks, so that `new URL('./NAME.js', import.meta.url)` finds one
 * from the other.
 */
const ENTRIES: Readonly<Record<string, string>> = {
  server: 'serving/standalone/server.ts',
};

/** What the programs load at run time: native code, which each platform has its own of. */
const NATIVE = 'onnxruntime-node';
/** What of it lies in an export beside the bundle. */
const BESIDE = [NATIVE, 'onnxruntime-common'];

/** What a server that needs neither Temporal nor a store has no use for. */
const FOREIGN =
  /^(@temporalio\/|@duckdb\/|@aws-sdk\/|@smithy\/|pg$|pg-|vega|esbuild$|lmdb$|@lmdb\/|@redis\/)/;

/** CommonJS packages expect these; modules do not have them. */
const BANNER = [
  "import { createRequire as __createRequire } from 'node:module';",
  "import { dirname as __dirnameOf } from 'node:path';",
  "import { fileURLToPath as __pathOf } from 'node:url';",
  'const require = __createRequire(import.meta.url);',
  'const __filename = __pathOf(import.meta.url);',
  'const __dirname = __dirnameOf(__filename);',
].join('\n');

/**
 * Bundles the model server into a folder that needs nothing but Node and `onnxruntime-node`: the programs, their
 * package.json, the lock of the native package, and the licences of what was bundled.
 *
 * @param target folder; what is in it is replaced
 * @param entries sources by the name of their program
 * @throws Error where code got in that a standalone server must not have, with the imports that lead to it
 */
export async function bundleStandalone(
  target: string,
  entries: Readonly<Record<string, string>> = ENTRIES,
): Promise<void> {
  const { version } = await manifest(join(ROOT, 'package.json'));
  const next = `${target}.next`;
  await rm(next, { recursive: true, force: true });
  await mkdir(next, { recursive: true });
  try {
    const { metafile } = await build({
      absWorkingDir: ROOT,
      entryPoints: Object.entries(entries).map(([out, source]) => ({ out, in: source })),
      outdir: next,
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: [NATIVE],
      chunkNames: 'chunk-[hash]',
      minifySyntax: true,
      minifyWhitespace: true,
      keepNames: true,
      legalComments: 'none',
      banner: { js: BANNER },
      metafile: true,
      logLevel: 'silent',
    });
    refuseForeign(metafile, Object.values(entries));
    const write = (name: string, text: string): Promise<void> => writeFile(join(next, name), text);
    const own = { name: 'perennial-standalone', version, private: true, type: 'module' };
    await write('package.json', `${JSON.stringify(own, null, 2)}\n`);
    await write('runtime-lock.json', `${JSON.stringify(await lockOf(ROOT, NATIVE), null, 2)}\n`);
    await write(
      'THIRD-PARTY-LICENSES.txt',
      await thirdPartyLicenses(ROOT, [...packagesOf(metafile), ...BESIDE]),
    );
    await write('LICENSE', await readFile(join(ROOT, 'LICENSE'), 'utf8'));
    await rm(target, { recursive: true, force: true });
    await rename(next, target);
  } finally {
    await rm(next, { recursive: true, force: true });
  }
}

/** @throws Error that names a way from an entry to the package */
function refuseForeign({ inputs }: Metafile, entries: readonly string[]): void {
  const isForeign = (path: string): boolean => {
    const [, name = ''] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    return FOREIGN.test(name);
  };
  const seen = new Map<string, string | undefined>(entries.map((path) => [path, undefined]));
  for (const path of seen.keys()) {
    if (isForeign(path)) {
      const way = [path];
      for (let at = seen.get(path); at !== undefined; at = seen.get(at)) way.unshift(at);
      throw new Error(`the standalone server must not have this in it:\n  ${way.join('\n  imports ')}`);
    }
    for (const { path: next } of inputs[path]?.imports ?? [])
      if (inputs[next] && !seen.has(next)) seen.set(next, path);
  }
}

async function manifest(path: string): Promise<{ version: string }> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof content === 'object' && content !== null && 'version' in content)
    return { version: String(content.version) };
  throw new Error(`${path} has no version`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = process.argv[2] ?? join(ROOT, 'dist', 'standalone');
  await bundleStandalone(target);
  process.stdout.write(`${basename(target)}: ${(await readdir(target)).sort().join(', ')}\n`);
}
