import { execFileSync } from 'node:child_process';

/** The first words of a command that is run as root, where this process is not. */
const ROOT = process.getuid?.() === 0 ? [] : ['sudo', '-n'];

function asRoot(...command: string[]): void {
  const [program = '', ...args] = [...ROOT, ...command];
  execFileSync(program, args, { stdio: 'ignore' });
}

/** A small disk of its own, for tests that fill it. */
export class SmallDisk {
  private constructor(private readonly path: string) {}

  /**
   * Mounts a tmpfs over a folder.
   *
   * @returns `undefined` where that is not allowed
   * @throws Error the same in CI, where nothing may be left out
   */
  static mount(path: string, megabytes: number): SmallDisk | undefined {
    const owner = `uid=${process.getuid?.() ?? 0},gid=${process.getgid?.() ?? 0}`;
    try {
      asRoot('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,${owner}`, 'none', path);
    } catch (cause) {
      if (process.env.CI) throw new Error(`a tmpfs cannot be mounted over ${path}`, { cause });
      return undefined;
    }
    return new SmallDisk(path);
  }

  /** Makes it read-only, or writable again. */
  remount(mode: 'ro' | 'rw'): void {
    asRoot('mount', '-o', `remount,${mode}`, this.path);
  }

  /** Also while somebody writes there. */
  unmount(): void {
    asRoot('umount', '-l', this.path);
  }
}
