import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { bundleOptions, workflowsPath as ownWorkflows } from '../../workers/bundle.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(ROOT, 'node_modules', '.cache', 'perennial-tests');
const KEPT_MS = 86_400_000;
/** All that can get into a bundle. */
const SOURCES = ['contracts', 'domain', 'packages', 'workers', 'workflows', 'test/replay', 'test/support'];

/**
 * A workflow module as a bundle that workers load. Bundling takes many seconds of a processor: test files and runs share
 * what was bundled of the same sources.
 *
 * @returns path of the bundle
 */
export async function sharedBundle(workflowsPath: string = ownWorkflows()): Promise<string> {
  const shared = join(CACHE, `workflows-${await digestOf(workflowsPath)}.js`);
  const isThere = await access(shared).then(
    () => true,
    () => false,
  );
  if (isThere) return shared;
  await forgetOld();
  const { code } = await bundleWorkflowCode({
    ...bundleOptions(),
    workflowsPath,
    logger: new DefaultLogger('ERROR'),
  });
  await mkdir(CACHE, { recursive: true });
  // Renamed last: others may do this at the same time.
  const own = `${shared}.${process.pid}`;
  await writeFile(own, code);
  await rename(own, shared);
  return shared;
}

/** As {@link sharedBundle}, in a file of its own. */
export async function bundleTo(file: string, workflowsPath: string = ownWorkflows()): Promise<string> {
  await copyFile(await sharedBundle(workflowsPath), file);
  return file;
}

/** Bundles of sources as they were have some megabytes each. */
async function forgetOld(): Promise<void> {
  for (const name of await readdir(CACHE).catch(() => [])) {
    const path = join(CACHE, name);
    const { mtimeMs = Date.now() } = (await stat(path).catch(() => undefined)) ?? {};
    if (Date.now() - mtimeMs > KEPT_MS) await rm(path, { force: true });
  }
}

async function digestOf(workflowsPath: string): Promise<string> {
  const hash = createHash('sha256').update(workflowsPath).update(process.version);
  hash.update(await readFile(join(ROOT, 'package-lock.json')));
  for (const folder of SOURCES) {
    const files = await readdir(join(ROOT, folder), { recursive: true });
    for (const file of files.filter((name) => /\.ts$/.test(name) && !name.includes('node_modules')).sort())
      hash.update(`\0${folder}/${file}\0`).update(await readFile(join(ROOT, folder, file)));
  }
  return hash.digest('hex').slice(0, 32);
}
