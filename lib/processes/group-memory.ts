import { readdirSync, readFileSync } from 'node:fs';

const EVERY_MS = 250;

/**
 * Looks every 250 ms at the resident memory of all processes of a group, and tells once when it is above the limit.
 *
 * A limit on the address space (RLIMIT_AS) would be exact, but V8 and WebAssembly reserve far more than they use. What is
 * watched is what is used; pages that processes share count for each of them. Linux only: elsewhere nothing is watched.
 *
 * @example
 * const watch = watchGroupMemory(child.pid, 4e9, (bytes) => console.error(`uses ${bytes}`));
 * // later
 * watch.stop();
 */
export function watchGroupMemory(
  group: number,
  limitBytes: number,
  onExceeded: (usedBytes: number) => void,
): { stop: () => void } {
  const timer = setInterval(() => {
    const used = groupMemory(group);
    if (used <= limitBytes) return;
    clearInterval(timer);
    onExceeded(used);
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Bytes that the processes of a group hold in memory; 0 where there is no /proc. */
function groupMemory(group: number): number {
  let bytes = 0;
  for (const name of entries('/proc')) {
    if (!/^\d+$/.test(name) || groupOf(name) !== group) continue;
    const [, kibibytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(text(`/proc/${name}/status`)) ?? [];
    bytes += Number(kibibytes) * 1024;
  }
  return bytes;
}

/** The third field behind the program's name, which may itself hold brackets and spaces. */
function groupOf(pid: string): number {
  const stat = text(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Empty where the process is gone. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
