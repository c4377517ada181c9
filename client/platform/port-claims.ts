import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makePrivateDir } from './files.ts';
import { ProcessLock } from './lock.ts';

/**
 * Ports that a platform has chosen and nobody listens on yet. Two platforms of one user that start at the same moment
 * would find the same ports free; the claim of one tells the other. A claim whose process is gone counts for nothing.
 *
 * @example
 * const claims = new PortClaims();
 * const ports = await choosePorts({}, {}, claims);
 * // … everything listens …
 * claims.release();
 */
export class PortClaims {
  readonly #folder: string;
  readonly #locks: ProcessLock[] = [];

  constructor(folder: string = join(tmpdir(), `perennial-ports-${userInfo().username}`)) {
    this.#folder = folder;
  }

  /** @returns whether the port is ours now; not where another platform has claimed it */
  take(port: number): boolean {
    makePrivateDir(this.#folder);
    const lock = ProcessLock.acquire(join(this.#folder, `${port}.lock`));
    if (!(lock instanceof ProcessLock)) return false;
    this.#locks.push(lock);
    return true;
  }

  /** Gives all of them back. */
  release(): void {
    for (const lock of this.#locks.splice(0)) lock.release();
  }
}
