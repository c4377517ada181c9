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

const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS') ?? 0;

/**
 * The most bytes that a process has had resident since it began.
 *
 * @returns `null` on other systems than Linux, and where there is no such process
 */
export const peakResidentBytes = (pid: number | undefined): number | null =>
  pid === undefined ? null : (statusBytes(pid, 'VmHWM') ?? null);

function statusBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .find((each) => each.startsWith(`${field}:`));
    const [, kibibytes] = /\s(\d+) kB$/.exec(line ?? '') ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}
