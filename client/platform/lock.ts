import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { writePrivateFile } from './files.ts';
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts';

const lockContent = z.object({ pid: z.number().int(), started: z.string() });

/**
 * A file that says which process works in a folder. A lock whose process is gone counts for nothing, so that a
 * killed supervisor never has to be cleaned up by hand.
 *
 * @example
 * const lock = ProcessLock.acquire('.perennial/platform.lock');
 * if (lock instanceof ProcessLock) lock.release();
 */
export class ProcessLock {
  private constructor(
    readonly path: string,
    readonly owner: ProcessIdentity,
  ) {}

  /**
   * Takes the lock for this process.
   *
   * @returns the lock, or the identity of the live process that holds it
   */
  static acquire(path: string): ProcessLock | ProcessIdentity {
    const own = identityOf(process.pid);
    if (own === undefined) {
      throw new PerennialError(
        'StageFailed',
        'The operating system does not tell when this process started.',
      );
    }
    for (let attempt = 0; attempt < 20; attempt += 1) {
      if (create(path, own)) return new ProcessLock(path, own);
      const holder = ProcessLock.holder(path);
      if (holder !== undefined) return holder;
      discardStale(path);
    }
    throw new PerennialError(
      'StageFailed',
      `The lock ${path} cannot be taken. Delete it where nothing runs there.`,
      true,
    );
  }

  /** The live process that holds the lock. */
  static holder(path: string): ProcessIdentity | undefined {
    const content = read(path);
    return content !== undefined && isAlive(content) ? content : undefined;
  }

  /** Gives the lock back; does nothing where it is no longer ours. */
  release(): void {
    const content = read(this.path);
    if (content?.pid === this.owner.pid && content.started === this.owner.started)
      rmSync(this.path, { force: true });
  }
}

/** `link` fails where the name exists, so only one of several processes succeeds, and the file is whole at once. */
function create(path: string, own: ProcessIdentity): boolean {
  const temp = `${path}.${randomUUID()}`;
  writePrivateFile(temp, JSON.stringify(own));
  try {
    linkSync(temp, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temp, { force: true });
  }
}

/** Takes a dead lock out of the way, and puts it back where another process was quicker and the lock is alive. */
function discardStale(path: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // somebody else did
  }
  const content = read(aside);
  if (content !== undefined && isAlive(content)) {
    try {
      linkSync(aside, path);
    } catch {
      // A third process has the name now; the owner notices when it releases.
    }
  }
  rmSync(aside, { force: true });
}

function read(path: string): ProcessIdentity | undefined {
  try {
    const parsed = lockContent.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
