import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopRunning } from '../../client/platform/running.ts';
import {
  type PartName,
  type PlatformStatus,
  platformStatus,
  readState,
} from '../../client/platform/state.ts';
import { type CliOptions, type RunningCommand, startCli } from './e2e-cli.ts';

/** A folder of this test file's own. */
export const ownFolder = (name: string): string => mkdtempSync(join(tmpdir(), `perennial-${name}-`));

/** A platform that `perennial up` runs in a process of its own. */
export class UpPlatform {
  private constructor(
    readonly command: RunningCommand,
    readonly status: PlatformStatus,
  ) {}

  /** Starts it and waits for the JSON document that says that all parts are ready. */
  static async up(
    dataDir: string,
    sourceRoots: readonly string[],
    env: Record<string, string> = {},
    more: Pick<CliOptions, 'program' | 'cwd'> = {},
  ): Promise<UpPlatform> {
    const command = startCli(['--json', 'up', '--source-root', ...sourceRoots], { dataDir, env, ...more });
    return new UpPlatform(command, await command.find(readStatus));
  }
}

/** The document once it is there as a whole. */
function readStatus(stdout: string): PlatformStatus | undefined {
  if (!stdout.endsWith('}\n')) return undefined;
  const status = platformStatus.safeParse(JSON.parse(stdout));
  if (!status.success) throw new Error(`the platform did not start: ${stdout}`);
  return status.data;
}

/** What the supervisor last wrote down about a part. */
export const partOf = (dataDir: string, name: PartName) =>
  readState(dataDir)?.status.parts.find((part) => part.name === name);

/** The process of a part, now. */
export function pidOf(dataDir: string, name: PartName): number {
  const pid = partOf(dataDir, name)?.process?.pid;
  if (pid === undefined) throw new Error(`the part ${name} has no process`);
  return pid;
}

/** Ends what runs on a data directory, and deletes the folder that it lies in. */
export async function removePlatform(dataDir: string, folder: string): Promise<void> {
  await stopRunning(dataDir);
  // A process that archives ends a moment after the platform.
  rmSync(folder, { recursive: true, force: true, maxRetries: 15, retryDelay: 100 });
}
