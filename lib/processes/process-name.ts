import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/*
 * In containers every worker may be process 1, on hosts of one name: a process is told apart by the machine's boot, its
 * pid namespace and the moment of its start too.
 */

function unless<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Those of whom this process can see whether they are alive. */
const NEIGHBOURHOOD = createHash('sha256')
  .update(
    [
      hostname(),
      unless(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
      unless(() => readlinkSync('/proc/self/ns/pid')),
    ].join('\n'),
  )
  .digest('hex')
  .slice(0, 12);

/**
 * When a process was started, in clock ticks since boot (proc(5), field 22; the command name before it may hold spaces
 * and brackets); `''` where the system does not tell; `undefined` where there is no such process.
 */
function startOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of somebody else.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return undefined;
  }
  const stat = unless(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : (fields[19] ?? '');
}

const OWN_NAME = `${NEIGHBOURHOOD}.${process.pid}.${startOf(process.pid) ?? ''}`;

/**
 * The name of this process, which no other one has on any machine: letters, digits and dots.
 *
 * @example ownProcessName() // 'a1b2c3d4e5f6.1.123456'
 */
export function ownProcessName(): string {
  return OWN_NAME;
}

/**
 * Whether the process of a name has ended.
 *
 * @returns `undefined` where it cannot be seen from here: of another machine or container, or no such name at all
 */
export function hasEnded(name: string): boolean | undefined {
  const [where, pid = '', started] = name.split('.');
  if (where !== NEIGHBOURHOOD || !/^\d+$/.test(pid) || started === undefined) return undefined;
  if (name === OWN_NAME) return false;
  const start = startOf(Number(pid));
  // The system told once and does not tell now, as where no more files can be opened.
  return start === '' && started !== '' ? undefined : start !== started;
}
