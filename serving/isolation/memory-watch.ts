import { readFileSync } from 'node:fs';

const EVERY_MS = 100;

/**
 * Looks ten times a second at the resident memory of one process, and tells once when it is above the limit. Linux
 * only; elsewhere nothing is watched. A limit on the address space would be exact, but V8 reserves far more than it uses.
 *
 * @param pid of the process; `undefined` where it could not be started
 */
export function watchMemory(
  pid: number | undefined,
  limitBytes: number,
  onExceeded: () => void,
): { stop: () => void } {
  const timer = setInterval(() => {
    if (pid === undefined || residentBytes(pid) <= limitBytes) return;
    clearInterval(timer);
    onExceeded();
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

function residentBytes(pid: number): number {
  try {
    const [, kibibytes = '0'] =
      /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return 0;
  }
}
