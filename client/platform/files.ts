import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where the parts of a platform keep what they know, below one data directory. */
export interface PlatformPaths {
  readonly dataDir: string;
  readonly state: string;
  readonly lock: string;
  readonly logs: string;
  readonly temporal: string;
  readonly temporalDb: string;
  readonly mlflow: string;
  readonly mlflowDb: string;
  readonly artifacts: string;
}

/** The fixed layout of a data directory. */
export function platformPaths(dataDir: string): PlatformPaths {
  return {
    dataDir,
    state: join(dataDir, 'platform.json'),
    lock: join(dataDir, 'platform.lock'),
    logs: join(dataDir, 'logs'),
    temporal: join(dataDir, 'temporal'),
    temporalDb: join(dataDir, 'temporal', 'temporal.db'),
    mlflow: join(dataDir, 'mlflow'),
    mlflowDb: join(dataDir, 'mlflow', 'mlflow.db'),
    artifacts: join(dataDir, 'artifacts'),
  };
}

/** Creates a folder that only its owner may enter. */
export function makePrivateDir(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Replaces a file in one step, readable by its owner only. Synchronous: a pid must be on disk before the next tick. */
export function writePrivateFile(path: string, text: string): void {
  makePrivateDir(dirname(path));
  const temp = `${path}.${randomUUID()}`;
  writeFileSync(temp, text, { mode: 0o600, flag: 'wx' });
  chmodSync(temp, 0o600);
  renameSync(temp, path);
}
