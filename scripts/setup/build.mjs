// dist/ from the TypeScript sources.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockDigest } from './node-modules.mjs';
import { execute, ROOT, SetupError } from './steps.mjs';

export const DIST = join(ROOT, 'dist');
// At the depth of dist/, so that the paths in source maps are right; renamed when whole.
const NEXT = join(ROOT, 'dist.next');
const STAMP = '.perennial-build.sha256';
const CONFIG = ['tsconfig.json', 'tsconfig.build.json'];
// The standalone server, bundled from the sources; the scripts that do it count as sources of the build.
const STANDALONE = 'scripts/bundle-standalone.ts';

/** Compiles where a source, a setting or a package has changed. A build that fails leaves the last one in place. */
export async function buildTypeScript(progress) {
  const digest = sourceDigest();
  if (isBuilt(digest)) return 'up to date';
  progress('compiling');
  rmSync(NEXT, { recursive: true, force: true });
  try {
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const { code, tail } = await execute(process.execPath, [
      tsc,
      '-p',
      'tsconfig.build.json',
      '--outDir',
      NEXT,
    ]);
    if (code !== 0) throw new SetupError(`The TypeScript sources do not compile. tsc said:\n${tail}`);
    rmSync(DIST, { recursive: true, force: true });
    renameSync(NEXT, DIST);
  } finally {
    rmSync(NEXT, { recursive: true, force: true });
  }
  await bundleWorkflows(progress);
  await bundleStandalone(progress);
  writeFileSync(join(DIST, STAMP), `${digest}\n`);
  return 'built';
}

/** Whether dist/ was made of the sources as they are. */
export function isBuilt(digest = sourceDigest()) {
  const stamp = join(DIST, STAMP);
  return existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === digest;
}

/** Bundles the workflows now, so that no worker has to at its start. */
async function bundleWorkflows(progress) {
  const script = join(DIST, 'workers', 'bundle.js');
  if (!existsSync(script)) return;
  progress('bundling the workflows');
  const { code, tail } = await execute(process.execPath, [script], { progress });
  if (code !== 0)
    throw new SetupError(`The workflows cannot be bundled. "node dist/workers/bundle.js" said:\n${tail}`);
}

/** Bundles the server that `perennial export` puts into a folder. */
async function bundleStandalone(progress) {
  progress('bundling the standalone server');
  const tsx = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  const { code, tail } = await execute(process.execPath, [tsx, join(ROOT, STANDALONE)], { progress });
  if (code !== 0)
    throw new SetupError(`The standalone server cannot be bundled. "tsx ${STANDALONE}" said:\n${tail}`);
}

function sourceDigest() {
  const hash = createHash('sha256').update(lockDigest());
  for (const name of CONFIG) hash.update(readFileSync(join(ROOT, name)));
  const { include } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.build.json'), 'utf8'));
  for (const folder of [...include, STANDALONE, 'scripts/standalone'].flatMap(expand).sort()) {
    for (const path of sourcesIn(folder)) hash.update(`\0${path}\0`).update(readFileSync(join(ROOT, path)));
  }
  return hash.digest('hex');
}

/** A folder as it stands, or each that a pattern with one star names. */
function expand(pattern) {
  const star = pattern.indexOf('*');
  if (star < 0) return existsSync(join(ROOT, pattern)) ? [pattern] : [];
  const parent = pattern.slice(0, star);
  if (!existsSync(join(ROOT, parent))) return [];
  return readdirSync(join(ROOT, parent))
    .map((name) => `${parent}${name}${pattern.slice(star + 1)}`)
    .filter((path) => existsSync(join(ROOT, path)));
}

/** A file, or the sources of a folder. */
function sourcesIn(folder) {
  if (statSync(join(ROOT, folder)).isFile()) return [folder];
  const names = readdirSync(join(ROOT, folder), { recursive: true }).map(String).sort();
  return names
    .filter((name) => /\.(ts|mts|json)$/.test(name) && !name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name}`);
}
