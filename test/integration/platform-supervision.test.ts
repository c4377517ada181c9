import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../client/platform/options.ts';
import { ownPart } from '../../client/platform/own-part.ts';
import { type PartDefinition, SupervisedPart, type SupervisionLimits } from '../../client/platform/part.ts';
import { identityOf, isAlive, waitForEnd } from '../../client/platform/process-identity.ts';
import type { PartStatus } from '../../client/platform/state.ts';

let folder = '';
let part: SupervisedPart | undefined;
let seen: PartStatus[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-supervision-'));
  seen = [];
});
afterEach(async () => {
  await part?.stop();
  part = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const READY = `process.stdout.write(JSON.stringify({ ready: true, url: 'http://127.0.0.1:1' }) + '\\n'); setInterval(() => {}, 1000);`;

/** A part whose program is the given text. */
function supervised(program: string, limits: Partial<SupervisionLimits> = {}): SupervisedPart {
  const script = join(folder, 'program.mjs');
  writeFileSync(script, program);
  const definition: PartDefinition = ownPart('worker', {
    ...{ dataDir: folder, temporalAddress: '127.0.0.1:1', namespace: 'default', mlflowUri: undefined },
    ...{ temporalUi: undefined, python: undefined, serverPort: 1, serverId: 'local', sourceRoots: [] },
    ...{ script, env: { PATH: process.env.PATH, FOLDER: folder } },
  });
  part = new SupervisedPart(definition, { ...DEFAULT_LIMITS, restartDelayMs: 10, ...limits }, (status) => {
    seen.push(status);
  });
  return part;
}

const kill = (target: SupervisedPart): void => {
  const { process: running } = target.status();
  if (running) process.kill(running.pid, 'SIGKILL');
};
const reached = (check: (status: PartStatus) => boolean): Promise<void> =>
  expect.poll(() => seen.some(check), { timeout: 30_000, interval: 20 }).toBe(true);

describe('a supervised part', () => {
  it('is ready with the address of its ready line, and stopped on request', async () => {
    const worker = supervised(READY);
    expect(await worker.start()).toBe('http://127.0.0.1:1');
    const { process: running, state, url } = worker.status();
    expect({ state, url }).toEqual({ state: 'ready', url: 'http://127.0.0.1:1' });
    expect(running && isAlive(running)).toBe(true);
    await worker.stop();
    expect(running && isAlive(running)).toBe(false);
    expect(worker.status().state).toBe('stopped');
    expect(seen.map(({ state }) => state)).toEqual(['starting', 'ready', 'stopped']);
  });

  it('is started again after a crash, under a new pid', async () => {
    const worker = supervised(READY);
    await worker.start();
    const before = worker.status().process?.pid;
    kill(worker);
    await reached(({ state, restarts }) => state === 'ready' && restarts === 1);
    expect(worker.status().process?.pid).not.toBe(before);
    expect(seen.find(({ state }) => state === 'restarting')?.note).toContain('SIGKILL');
  });

  it('is given up after so many crashes in a row, with the reason', async () => {
    const once = `import { existsSync, writeFileSync } from 'node:fs';
      if (existsSync(process.env.FOLDER + '/mark')) { console.error('the disk is gone'); process.exit(7); }
      writeFileSync(process.env.FOLDER + '/mark', ''); ${READY}`;
    const worker = supervised(once, { maxRestarts: 2 });
    await worker.start();
    kill(worker);
    await reached(({ state }) => state === 'failed');
    expect(worker.status()).toMatchObject({ state: 'failed', restarts: 2 });
    expect(worker.status().note).toContain('exit code 7');
    expect(worker.status().note).toContain('the disk is gone');
    expect(worker.status().process).toBeUndefined();
  });

  it('whose port was taken just then is started again, three times at the most', async () => {
    const taken = (times: number): string => `import { readdirSync, writeFileSync } from 'node:fs';
      const tries = readdirSync(process.env.FOLDER).filter((name) => name.startsWith('try')).length;
      writeFileSync(process.env.FOLDER + '/try-' + tries, '');
      if (tries < ${times}) { console.error('listen tcp 127.0.0.1:1: bind: address already in use'); process.exit(1); }
      ${READY}`;
    expect(await supervised(taken(2)).start()).toBe('http://127.0.0.1:1');
    await part?.stop();
    await expect(supervised(taken(6)).start()).rejects.toMatchObject({
      message: expect.stringContaining('address already in use'),
    });
    expect(readdirSync(folder).filter((name) => name.startsWith('try'))).toHaveLength(6);
  });

  it('that ends before it is ready fails the start with its last words', async () => {
    const worker = supervised(`console.error('no licence'); process.exit(3);`);
    await expect(worker.start()).rejects.toMatchObject({
      code: 'StageFailed',
      message: expect.stringMatching(/code 3.*no licence/),
    });
  });

  it('that never gets ready is ended', async () => {
    const worker = supervised('setInterval(() => {}, 1000);', { readyTimeoutMs: 300 });
    await expect(worker.start()).rejects.toThrow('not ready within');
    const running = seen.find(({ process: started }) => started)?.process;
    expect(running && isAlive(running)).toBe(false);
  });

  it('whose program is missing fails the start', async () => {
    const definition = {
      name: 'worker',
      command: join(folder, 'none'),
      args: [],
      env: {},
      cwd: folder,
    } as const;
    part = new SupervisedPart(
      { ...definition, log: join(folder, 'worker.log'), probe: () => Promise.resolve(undefined) },
      DEFAULT_LIMITS,
      () => undefined,
    );
    await expect(part.start()).rejects.toThrow('could not be started');
  });

  it('that ignores SIGTERM is killed after the grace period', async () => {
    const worker = supervised(`process.on('SIGTERM', () => console.log('no')); ${READY}`, { graceMs: 200 });
    await worker.start();
    const running = worker.status().process;
    await worker.stop();
    expect(running && isAlive(running)).toBe(false);
  });

  it('leaves nothing behind that it started itself', async () => {
    const worker = supervised(`import { spawn } from 'node:child_process';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      process.stdout.write(JSON.stringify({ ready: true, url: String(child.pid) }) + '\\n'); setInterval(() => {}, 1000);`);
    const grandchild = identityOf(Number(await worker.start()));
    expect(grandchild && isAlive(grandchild)).toBe(true);
    kill(worker);
    expect(grandchild && (await waitForEnd(grandchild, 10_000))).toBe(true);
  });

  it('can be stopped while it waits for its restart', async () => {
    const worker = supervised(READY, { restartDelayMs: 60_000 });
    await worker.start();
    kill(worker);
    await reached(({ state }) => state === 'restarting');
    await worker.stop();
    expect(worker.status().state).toBe('stopped');
  });
});
