import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backup, restore } from '../../client/platform/backup.ts';
import { DEFAULT_LIMITS } from '../../client/platform/options.ts';
import { SupervisedPart } from '../../client/platform/part.ts';
import { Platform, PlatformRunningError } from '../../client/platform/platform.ts';
import { PortClaims } from '../../client/platform/port-claims.ts';
import { choosePorts } from '../../client/platform/ports.ts';
import { isAlive } from '../../client/platform/process-identity.ts';
import { findTemporalCli } from '../../client/platform/programs.ts';
import { runningPlatform, stopRunning } from '../../client/platform/running.ts';
import {
  type PartName,
  type PlatformStatus,
  platformStatus,
  readState,
} from '../../client/platform/state.ts';
import { isListening, temporalPart } from '../../client/platform/temporal-part.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/names.ts';

const PARTS = ['temporal', 'mlflow'] as const;
const SECONDS = 1_000;
const SUPERVISOR = fileURLToPath(new URL('platform-supervisor.ts', import.meta.url));

let folder = '';
let dataDir = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-platform-'));
  dataDir = join(folder, 'data dir'); // a space, as in many home directories
});
afterAll(async () => {
  await stopRunning(dataDir);
  rmSync(folder, { recursive: true, force: true });
}, 60 * SECONDS);

async function withClient<T>(status: PlatformStatus, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: status.temporalAddress });
  try {
    return await work(new Client({ connection, namespace: status.namespace }));
  } finally {
    await connection.close();
  }
}

const eventsOf = (status: PlatformStatus, workflowId: string): Promise<number> =>
  withClient(
    status,
    async (client) => (await client.workflow.getHandle(workflowId).fetchHistory()).events?.length ?? 0,
  );

/** Calls MLflow's REST interface. */
async function mlflow<T>(status: PlatformStatus, path: string, body: object): Promise<T> {
  const response = await fetch(`${status.mlflowUri}/api/2.0/mlflow/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

const runsIn = async (status: PlatformStatus): Promise<string[]> => {
  const found = await mlflow<{ runs?: { info: { run_name: string } }[] }>(status, 'runs/search', {
    experiment_ids: ['0'],
  });
  return (found.runs ?? []).map(({ info }) => info.run_name);
};

const pidOf = (status: PlatformStatus, name: PartName): number =>
  status.parts.find((part) => part.name === name)?.process?.pid ?? Number.NaN;

/** A supervisor in a process of its own, ready. */
async function supervisor(): Promise<{ child: ChildProcess; status: PlatformStatus }> {
  const child = spawn(process.execPath, ['--import', 'tsx', SUPERVISOR, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  return { child, status: platformStatus.parse(JSON.parse(String(line))) };
}

describe('a platform on real servers', () => {
  it('starts Temporal with its search attributes and 90 days of retention, and MLflow', {
    timeout: 120 * SECONDS,
  }, async () => {
    const platform = await Platform.start({ dataDir, parts: PARTS });
    try {
      const status = platform.status();
      expect(status.parts.map(({ name, state }) => [name, state])).toEqual([
        ['temporal', 'ready'],
        ['mlflow', 'ready'],
      ]);
      await withClient(status, async ({ connection }) => {
        const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
        expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
        const operator = connection instanceof Connection ? connection.operatorService : undefined;
        const attributes = await operator?.listSearchAttributes({ namespace: 'default' });
        for (const { name } of Object.values(SEARCH_ATTRIBUTES)) {
          expect(Object.keys(attributes?.customAttributes ?? {})).toContain(name);
        }
        await new Client({ connection }).workflow.start('lifecycle', {
          ...{ workflowId: 'kept', taskQueue: 'nobody', args: ['for good'] },
          searchAttributes: { [SEARCH_ATTRIBUTES.pipeline.name]: ['bank'] },
        });
      });
      await mlflow(status, 'runs/create', { experiment_id: '0', run_name: 'kept', start_time: 1 });
      const upload = await fetch(`${status.mlflowUri}/api/2.0/mlflow-artifacts/artifacts/0/note.txt`, {
        method: 'PUT',
        body: 'hello',
      });
      expect(upload.status).toBe(200);
      expect(existsSync(join(dataDir, 'mlflow', 'artifacts', '0', 'note.txt'))).toBe(true);

      const foreign = await fetch(`${status.mlflowUri}/api/2.0/mlflow/experiments/search`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: 'https://elsewhere.example' },
        body: '{"max_results":1}',
      });
      expect(foreign.status).toBe(403);

      const second = await Platform.start({ dataDir, parts: PARTS }).catch((error: unknown) => error);
      expect(second).toBeInstanceOf(PlatformRunningError);
      expect(String(second)).toContain(status.temporalAddress);
      expect(runningPlatform(dataDir)).toEqual(status);
      expect(statSync(join(dataDir, 'platform.json')).mode & 0o777).toBe(0o600);
    } finally {
      await platform.stop();
    }
    expect(runningPlatform(dataDir)).toBeUndefined();
  });

  it('brings killed parts back on the same addresses with what they knew', {
    timeout: 120 * SECONDS,
  }, async () => {
    const platform = await Platform.start({ dataDir, parts: PARTS });
    try {
      const before = platform.status();
      for (const name of PARTS) process.kill(pidOf(before, name), 'SIGKILL');
      await expect
        .poll(() => platform.status().parts.map(({ state, restarts }) => `${state} ${restarts}`), {
          timeout: 60 * SECONDS,
        })
        .toEqual(['ready 1', 'ready 1']);
      expect(platform.status().temporalAddress).toBe(before.temporalAddress);
      for (const name of PARTS) expect(pidOf(platform.status(), name)).not.toBe(pidOf(before, name));
      expect(await eventsOf(platform.status(), 'kept')).toBe(2);
      expect(await runsIn(platform.status())).toEqual(['kept']);
    } finally {
      await platform.stop();
    }
  });

  it('goes on after its supervisor was killed, and ends what that left behind', {
    timeout: 300 * SECONDS,
  }, async () => {
    const killed = await supervisor();
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    const left = killed.status.parts.flatMap(({ process: running }) => (running ? [running] : []));
    expect(left.map(isAlive)).toEqual([true, true]);
    expect(runningPlatform(dataDir)).toBeUndefined();

    const next = await supervisor();
    expect(left.map(isAlive)).toEqual([false, false]);
    expect(next.status.temporalAddress).toBe(killed.status.temporalAddress);
    expect(next.status.mlflowUri).toBe(killed.status.mlflowUri);
    expect(await eventsOf(next.status, 'kept')).toBe(2);

    expect(await stopRunning(dataDir)).toEqual({ wasRunning: true, leftovers: [] });
    const running = next.status.parts.flatMap(({ process: started }) => (started ? [started] : []));
    expect(running.map(isAlive)).toEqual([false, false]);
    expect(await stopRunning(dataDir)).toEqual({ wasRunning: false, leftovers: [] });
  });

  it('backs up while it runs, and has everything again after a restore', {
    timeout: 180 * SECONDS,
  }, async () => {
    const file = join(folder, 'backups', 'one.tar.gz');
    const platform = await Platform.start({ dataDir, parts: PARTS });
    try {
      mkdirSync(join(dataDir, 'artifacts', 'sha256', 'ab'), { recursive: true });
      writeFileSync(join(dataDir, 'artifacts', 'sha256', 'ab', 'cd'), 'blob');
      writeFileSync(join(dataDir, 'routes.json'), '{"generation":1}');
      const made = await backup(dataDir, file);
      expect(made.file).toBe(file);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      await expect(restore(file, dataDir, { force: true })).rejects.toThrow('perennial down');
      appendFileSync(join(dataDir, 'routes.json'), ' ');
    } finally {
      await platform.stop();
    }
    expect(readdirSync(folder).sort()).toEqual(['backups', 'data dir']);

    await expect(restore(file, dataDir)).rejects.toThrow('not empty');
    rmSync(dataDir, { recursive: true });
    const result = await restore(file, dataDir);
    expect(result.replaced).toBeUndefined();
    expect(readFileSync(join(dataDir, 'routes.json'), 'utf8')).toBe('{"generation":1}');
    expect(readFileSync(join(dataDir, 'artifacts', 'sha256', 'ab', 'cd'), 'utf8')).toBe('blob');

    const again = await Platform.start({ dataDir, parts: PARTS });
    try {
      expect(await eventsOf(again.status(), 'kept')).toBe(2);
      expect(await runsIn(again.status())).toEqual(['kept']);
      const found = await withClient(again.status(), (client) =>
        client.workflow.count(`${SEARCH_ATTRIBUTES.pipeline.name}="bank"`),
      );
      expect(found.count).toBe(1);
      const note = await fetch(`${again.status().mlflowUri}/api/2.0/mlflow-artifacts/artifacts/0/note.txt`);
      expect(await note.text()).toBe('hello');
    } finally {
      await again.stop();
    }
  });

  it('gives a Temporal database of an earlier version what it lacks', async () => {
    const earlier = join(folder, 'earlier');
    const claims = new PortClaims();
    const ports = await choosePorts({}, {}, claims);
    claims.release();
    const part = temporalPart(earlier, findTemporalCli(undefined), ports, 'default', process.env);
    mkdirSync(part.cwd, { recursive: true });
    const names = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
    const kept = part.args.filter(
      (_, index, all) =>
        ![all[index], all[index + 1]].some((word) => names.some((name) => word?.startsWith(name))),
    );
    expect(kept).not.toEqual(part.args);
    const first = new SupervisedPart(
      { ...part, args: kept, probe: async () => ((await isListening(ports.temporal)) ? '' : undefined) },
      DEFAULT_LIMITS,
      () => undefined,
    );
    await first.start();
    await first.stop();

    const platform = await Platform.start({ dataDir: earlier, parts: ['temporal'] });
    try {
      await withClient(platform.status(), async ({ connection }) => {
        const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
        expect(Object.values(config?.customSearchAttributeAliases ?? {}).sort()).toEqual([...names].sort());
        expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
      });
    } finally {
      await platform.stop();
    }
  });

  it('fails as a whole where one part cannot start, and leaves nothing running', async () => {
    const other = join(folder, 'other');
    const start = Platform.start({ dataDir: other, parts: PARTS, temporalCli: '/bin/false' });
    await expect(start).rejects.toMatchObject({
      code: 'StageFailed',
      message: expect.stringContaining('temporal'),
    });
    expect(readState(other)?.status.parts.map(({ state }) => state)).toEqual(['stopped', 'stopped']);
    expect(runningPlatform(other)).toBeUndefined();
  });
});
