// node_modules as package-lock.json has it.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, ROOT, SetupError } from './steps.mjs';

// Inside node_modules, which `npm ci` empties first: an interrupted installation leaves no stamp.
const STAMP = join(ROOT, 'node_modules', '.perennial-lock.sha256');
const LOCK = join(ROOT, 'package-lock.json');

/** Digest of package-lock.json. */
export const lockDigest = () => createHash('sha256').update(readFileSync(LOCK)).digest('hex');

/** Runs `npm ci` where the installed packages are not those of the lock. */
export async function installNodeModules(progress) {
  const digest = lockDigest();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8').trim() === digest) return 'up to date';
  if (matchesLock()) {
    writeFileSync(STAMP, `${digest}\n`);
    return 'up to date, as installed by npm';
  }
  // npm names itself to the scripts that it runs, which spares a search and works on every system.
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, process.env.npm_execpath]
    : ['npm'];
  const { code, tail } = await execute(npm[0], [...npm.slice(1), 'ci', '--no-audit', '--no-fund'], {
    progress,
  });
  if (code !== 0) {
    // npm says first what is wrong, then repeats how it is used.
    const reasons = tail.split('\n').filter((line) => /^npm error\s+\S/.test(line));
    const said = reasons.slice(0, 8).join('\n');
    throw new SetupError(
      `"npm ci" failed; check the network or the registry and run it again. npm said:\n${said || tail}`,
    );
  }
  writeFileSync(STAMP, `${digest}\n`);
  return 'installed';
}

/** Whether npm's own record of what it installed names exactly the packages of the lock. */
function matchesLock() {
  const wanted = packagesOf(LOCK);
  const installed = packagesOf(join(ROOT, 'node_modules', '.package-lock.json'));
  if (!wanted || !installed) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || !path.includes('node_modules/')) continue;
    const found = installed[path];
    if (!found) {
      if (entry.optional || entry.peer) continue; // another system's binary
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return false;
    if (!existsSync(join(ROOT, path, 'package.json')) && !entry.link) return false;
  }
  return Object.keys(installed).every((path) => path in wanted);
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
