import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../client/platform/programs.ts';

/** Milliseconds from `perennial up` until all four parts are ready, and how many starts of each kind. */
export interface StartUp {
  /** With a data directory that was empty. */
  cold: number[];
  /** With the data directory of an earlier start. */
  warm: number[];
}

/** Starts the whole platform again and again, by the command that people type. */
export async function measureStartUp(times: number): Promise<StartUp> {
  const result: StartUp = { cold: [], warm: [] };
  for (let i = 0; i < times; i += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-up-'));
    try {
      result.cold.push(await startOnce(folder));
      result.warm.push(await startOnce(folder));
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }
  return result;
}

/** One start and, after it, an orderly stop that is not measured. */
async function startOnce(dataDir: string): Promise<number> {
  const begin = performance.now();
  const cli = join(packageRoot(), 'dist', 'client', 'cli.js');
  const child = spawn(process.execPath, [cli, '--json', '--data-dir', dataDir, 'up'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // The only document on standard output is the status of the platform that is ready.
  const ready = await Promise.race([
    new Promise<true>((resolve) => child.stdout.once('data', () => resolve(true))),
    closed.then(() => false),
  ]);
  const elapsed = performance.now() - begin;
  if (!ready) throw new Error('the platform did not start; its own words stand above');
  child.stdout.resume();
  child.kill('SIGTERM');
  await closed;
  return elapsed;
}
