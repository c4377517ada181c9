import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProcessLock } from '../../client/platform/lock.ts';
import {
  identityOf,
  isAlive,
  signalGroup,
  signalProcess,
  waitForEnd,
} from '../../client/platform/process-identity.ts';
import { endLeftovers, runningPlatform } from '../../client/platform/running.ts';
import { type PlatformState, readState, writeState } from '../../client/platform/state.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-processes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that only waits, and its identity. */
async function sleeper(): Promise<{
  pid: number;
  started: string;
  kill: () => void;
  ended: Promise<unknown>;
}> {
  const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  const identity = identityOf(child.pid ?? 0);
  if (!identity) throw new Error('the process did not start');
  return { ...identity, kill: () => void child.kill('SIGKILL'), ended };
}

describe('the identity of a process', () => {
  it('is that of the running process and of no other', async () => {
    const child = await sleeper();
    expect(isAlive(child)).toBe(true);
    expect(identityOf(process.pid)?.started).not.toBe(child.started);
    child.kill();
    await child.ended;
    expect(isAlive(child)).toBe(false);
    expect(identityOf(child.pid)).toBeUndefined();
  });

  it('protects a process that got the number of an ended one', async () => {
    const child = await sleeper();
    const former = { pid: child.pid, started: `${child.started}0` };
    expect(isAlive(former)).toBe(false);
    expect(signalGroup(former, 'SIGKILL')).toBe(false);
    expect(signalProcess(former, 'SIGKILL')).toBe(false);
    expect(isAlive(child)).toBe(true);
    expect(signalGroup(child, 'SIGKILL')).toBe(true);
    expect(await waitForEnd(child, 10_000)).toBe(true);
  });

  it('does not exist for numbers that are no pid', () => {
    for (const pid of [0, -1, 1.5, Number.NaN]) expect(identityOf(pid)).toBeUndefined();
  });
});

describe('a process lock', () => {
  it('names its holder to everyone else until it is given back', () => {
    const path = join(folder, 'lock');
    const lock = ProcessLock.acquire(path);
    expect(lock).toBeInstanceOf(ProcessLock);
    expect(ProcessLock.acquire(path)).toEqual(identityOf(process.pid));
    if (lock instanceof ProcessLock) lock.release();
    expect(ProcessLock.holder(path)).toBeUndefined();
    expect(ProcessLock.acquire(path)).toBeInstanceOf(ProcessLock);
  });

  it('of a process that has ended counts for nothing', () => {
    const path = join(folder, 'lock');
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'long ago' }));
    expect(ProcessLock.acquire(path)).toBeInstanceOf(ProcessLock);
  });

  it('is readable by its owner only, and survives garbage', () => {
    const path = join(folder, 'lock');
    writeFileSync(path, '{"pid":');
    expect(ProcessLock.acquire(path)).toBeInstanceOf(ProcessLock);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('that another process has taken over is not given back by the former holder', () => {
    const path = join(folder, 'lock');
    const lock = ProcessLock.acquire(path);
    writeFileSync(path, JSON.stringify({ pid: 1, started: 'other' }));
    if (lock instanceof ProcessLock) lock.release();
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ pid: 1, started: 'other' });
  });
});

describe('the state file', () => {
  const state = (process?: { pid: number; started: string }): PlatformState => ({
    schemaVersion: 1,
    ports: { temporal: 7233 },
    status: {
      dataDir: folder,
      supervisor: { pid: 2 ** 22 + 1, started: 'never' },
      startedAt: '2026-01-01T00:00:00.000Z',
      temporalAddress: '127.0.0.1:7233',
      namespace: 'default',
      serverId: 'local',
      parts: [
        {
          name: 'mlflow',
          state: 'ready',
          since: '2026-01-01T00:00:00.000Z',
          restarts: 0,
          ...(process ? { process } : {}),
        },
      ],
    },
  });

  it('is read as it was written, by its owner only', () => {
    writeState(folder, state());
    expect(readState(folder)).toEqual(state());
    expect(statSync(join(folder, 'platform.json')).mode & 0o777).toBe(0o600);
  });

  it('counts for nothing where it is missing or of another shape', () => {
    expect(readState(folder)).toBeUndefined();
    writeFileSync(join(folder, 'platform.json'), '{"schemaVersion":2}');
    expect(readState(folder)).toBeUndefined();
  });

  it('of a killed supervisor is no running platform; its parts are ended, and nobody else', async () => {
    const [left, foreign] = await Promise.all([sleeper(), sleeper()]);
    writeState(folder, state({ pid: left.pid, started: left.started }));
    expect(runningPlatform(folder)).toBeUndefined();
    expect(await endLeftovers(folder, 5_000)).toEqual(['mlflow']);
    await left.ended;
    expect(readState(folder)?.status.supervisor).toBeUndefined();
    expect(readState(folder)?.ports).toEqual({ temporal: 7233 });

    writeState(folder, state({ pid: foreign.pid, started: 'another start' }));
    expect(await endLeftovers(folder, 5_000)).toEqual([]);
    expect(isAlive(foreign)).toBe(true);
    foreign.kill();
  });
});
