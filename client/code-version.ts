import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CodeVersion } from '../contracts/lifecycle.ts';

const run = promisify(execFile);

/** The commit of the folder that a spec lies in, and whether files differ from it; `null` outside of a git repository. */
export async function codeVersion(folder: string): Promise<CodeVersion> {
  try {
    const { stdout: commit } = await run('git', ['rev-parse', 'HEAD'], { cwd: folder, timeout: 10_000 });
    const { stdout: changes } = await run('git', ['status', '--porcelain'], {
      cwd: folder,
      timeout: 10_000,
      maxBuffer: 50_000_000,
    });
    return { commit: commit.trim(), dirty: changes.trim() !== '' };
  } catch {
    return { commit: null, dirty: false };
  }
}
