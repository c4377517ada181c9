// Two set-ups of one checkout take turns. A lock whose process is gone counts for nothing.

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './steps.mjs';

const PATH = join(ROOT, '.perennial', 'setup.lock');

/**
 * Waits until no other set-up runs, then takes the lock.
 *
 * @param say shows a message while it waits
 * @returns a function that gives the lock back
 */
export async function acquireLock(say) {
  mkdirSync(join(ROOT, '.perennial'), { recursive: true, mode: 0o700 });
  const own = { pid: process.pid, started: startOf(process.pid) };
  const temp = `${PATH}.${process.pid}`;
  writeFileSync(temp, JSON.stringify(own), { mode: 0o600 });
  let told = false;
  try {
    // `link` fails where the name exists: one of several processes succeeds, with the content in place.
    while (!tryLink(temp)) {
      const holder = read(PATH);
      if (holder && startOf(holder.pid) === holder.started) {
        if (!told) say(`Another set-up (process ${holder.pid}) is at work; waiting for it.`);
        told = true;
        await new Promise((resolve) => setTimeout(resolve, 500));
      } else {
        discardStale();
      }
    }
  } finally {
    rmSync(temp, { force: true });
  }
  return () => {
    if (read(PATH)?.pid === process.pid) rmSync(PATH, { force: true });
  };
}

function tryLink(temp) {
  try {
    linkSync(temp, PATH);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Puts a dead lock aside, and back where another process took it over in between. */
function discardStale() {
  const aside = `${PATH}.stale.${process.pid}`;
  try {
    renameSync(PATH, aside);
    const content = read(aside);
    if (content && startOf(content.pid) === content.started) linkSync(aside, PATH);
  } catch {
    // Another process was quicker.
  }
  rmSync(aside, { force: true });
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** When a process started, as far as the system tells it: a number that was used again is not the same process. */
function startOf(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return 'running'; // no /proc, as on macOS: the number alone has to do
  }
}
