import { resolve } from 'node:path';
import { platformPaths } from './files.ts';
import { ProcessLock } from './lock.ts';
import { endGroup } from './part.ts';
import { isAlive, type ProcessIdentity, signalGroup, signalProcess, waitForEnd } from './process-identity.ts';
import { type PlatformState, type PlatformStatus, readState, writeState } from './state.ts';

/**
 * The platform that runs on this data directory, as its supervisor last wrote it down.
 *
 * @returns `undefined` where no supervisor is alive
 * @example console.log(runningPlatform('.perennial')?.mlflowUri)
 */
export function runningPlatform(dataDir: string): PlatformStatus | undefined {
  const supervisor = ProcessLock.holder(platformPaths(resolve(dataDir)).lock);
  const state = supervisor && readState(resolve(dataDir));
  return state?.status.supervisor?.pid === supervisor?.pid ? state?.status : undefined;
}

/** What `stopRunning` found and did. */
export interface StopResult {
  /** Whether a supervisor was running. */
  readonly wasRunning: boolean;
  /** Names of parts that a killed supervisor had left behind and that were ended now. */
  readonly leftovers: readonly string[];
}

/**
 * Stops the platform of this data directory: asks its supervisor, waits, and ends what a killed one left behind.
 *
 * @param graceMs how long the supervisor may take before it and its parts are killed; default 60 s
 */
export async function stopRunning(dataDir: string, graceMs: number = 60_000): Promise<StopResult> {
  const folder = resolve(dataDir);
  const supervisor = ProcessLock.holder(platformPaths(folder).lock);
  if (supervisor) {
    signalProcess(supervisor, 'SIGTERM');
    if (!(await waitForRelease(folder, supervisor, graceMs))) {
      signalProcess(supervisor, 'SIGKILL');
      await waitForEnd(supervisor, 5_000);
    }
  }
  return { wasRunning: supervisor !== undefined, leftovers: await endLeftovers(folder) };
}

/**
 * Ends the parts that a killed supervisor left behind. A pid that now belongs to another process is left alone.
 * Must only be called while no supervisor is alive, or by it.
 *
 * @returns the names of the parts that were still running
 */
export async function endLeftovers(dataDir: string, graceMs: number = 15_000): Promise<string[]> {
  const state = readState(dataDir);
  const alive = (state?.status.parts ?? []).filter((part) => part.process && isAlive(part.process));
  const end = (part: (typeof alive)[number]): Promise<void> =>
    part.process
      ? endGroup(part.process, graceMs).then(
          () => void (part.process && signalGroup(part.process, 'SIGKILL')),
        )
      : Promise.resolve();
  await Promise.all(alive.filter(({ name }) => name === 'worker' || name === 'server').map(end));
  await Promise.all(alive.map(end));
  if (state?.status.supervisor) writeState(dataDir, stoppedState(state));
  return alive.map((part) => part.name);
}

function stoppedState(state: PlatformState): PlatformState {
  const { supervisor: _, ...status } = state.status;
  const parts = status.parts.map(({ process: __, ...part }) => ({ ...part, state: 'stopped' as const }));
  return { ...state, status: { ...status, parts } };
}

/** A supervisor is done when it gave its lock back or is gone; it may be part of a program that goes on. */
async function waitForRelease(
  dataDir: string,
  supervisor: ProcessIdentity,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (ProcessLock.holder(platformPaths(dataDir).lock)?.pid === supervisor.pid) {
    if (performance.now() > deadline) return false;
    await new Promise((settle) => setTimeout(settle, 50));
  }
  return true;
}
