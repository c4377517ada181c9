import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { modelServerWorkflowId } from '../../contracts/names.ts';
import { configFromEnv } from '../../lib/config.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { readTable } from '../../serving/route-change.ts';
import { RoutesFile } from '../../serving/routes-file.ts';
import { freePort } from '../support/free-port.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { startTemporalServer } from '../support/temporal-server.ts';
import { plusModel } from './serving-models.ts';

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
const SERVER = 'outage';
const CLIENTS = 4;
/** So many that a request is a good part of what the log holds. */
const ROWS = 10_000;

/** Asks again until it is so; the test's own time-out ends it otherwise. */
async function until(so: () => Promise<boolean>): Promise<void> {
  while (!(await so())) await sleep(50);
}

it('serves on while Temporal and MLflow are gone and the disk of the prediction log is full', {
  timeout: 120_000,
}, async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'serving-outage-'));
  const log = join(dataDir, 'predictions');
  await mkdir(log);
  const disk = SmallDisk.mount(log, 2);
  if (!disk) return context.skip('a tmpfs cannot be mounted here');
  let temporal: Awaited<ReturnType<typeof startTemporalServer>> | undefined;
  let server: ChildProcess | undefined;
  try {
    temporal = await startTemporalServer();
    const env = {
      ...process.env,
      PERENNIAL_DATA_DIR: dataDir,
      PERENNIAL_SERVER_ID: SERVER,
      PERENNIAL_SERVER_PROCESSES: '2',
      PERENNIAL_LOG_LEVEL: 'warn',
      TEMPORAL_ADDRESS: temporal.address,
      // Nobody listens there.
      MLFLOW_TRACKING_URI: `http://127.0.0.1:${await freePort()}`,
    };
    await givenRoutes(env);
    server = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), MAIN, 'serve'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const url = await announced(server);
    await controlled(temporal.address);

    const statuses = new Map<number, number>();
    let going = true;
    const ask = async (x: number): Promise<void> => {
      const data = new Array<number>(ROWS).fill(x);
      const body = JSON.stringify({ inputs: [{ name: 'x', shape: [ROWS], datatype: 'FP32', data }] });
      const headers = { 'content-type': 'application/json' };
      while (going) {
        const answer = await fetch(`${url}/v2/models/plus/infer`, { method: 'POST', headers, body });
        const { outputs } = answered.parse(await answer.json());
        expect(outputs[0]?.data[ROWS - 1]).toBe(x + 10);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      }
    };
    const metric = async (line: string): Promise<number> => {
      const text = await (await fetch(`${url}/metrics`)).text();
      const found = text.split('\n').find((each) => each.startsWith(`${line} `));
      return Number(found?.split(' ').at(-1) ?? Number.NaN);
    };
    const clients = Promise.all(Array.from({ length: CLIENTS }, (_, x) => ask(x)));
    clients.catch(() => undefined);

    await until(async () => (await metric('perennial_log_recorded_total')) > 0);
    await temporal.stop();
    await writeFile(join(log, 'ballast'), Buffer.alloc(2 ** 21)).catch(() => undefined);
    await until(async () => (await metric('perennial_log_dropped_total{reason="disk"}')) > 50);
    expect(await metric('perennial_log_healthy')).toBe(0);
    going = false;
    await clients;
    // What was answered is on record, waits in memory, or is counted as lost: nothing was held up, or refused.
    expect([...statuses.keys()]).toEqual([200]);
    expect(await metric('perennial_server_processes')).toBe(2);
    for (const reason of ['crash', 'hang'])
      expect(await metric(`perennial_server_process_ends_total{reason="${reason}"}`)).toBe(0);
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);

    server.kill('SIGTERM');
    expect((await once(server, 'exit'))[0]).toBe(0);
  } finally {
    server?.kill('SIGKILL');
    await temporal?.stop();
    disk.unmount();
    await rm(dataDir, { recursive: true, force: true });
  }
});

const answered = z.object({ outputs: z.array(z.object({ data: z.array(z.number()) })) });

/** The routes of an earlier run. */
async function givenRoutes(env: NodeJS.ProcessEnv): Promise<void> {
  const config = configFromEnv(env);
  const model = await plusModel(await openStore(config), '1', 10);
  const folder = join(config.dataDir, 'servers', SERVER);
  await mkdir(folder, { recursive: true });
  const table = readTable({ endpoint: 'plus', generation: 1, routes: [{ model, weight: 100 }] });
  await new RoutesFile(join(folder, 'routes.json')).write([table]);
}

async function announced({ stdout }: ChildProcess): Promise<string> {
  if (!stdout) throw new Error('the server has no standard output');
  for await (const line of createInterface(stdout))
    return z.object({ url: z.string() }).parse(JSON.parse(line)).url;
  throw new Error('the server ended before it was ready');
}

/** Waits until the server has taken its lease: until then, Temporal has nothing to do with it. */
async function controlled(address: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    const handle = new Client({ connection }).workflow.getHandle(modelServerWorkflowId(SERVER));
    await until(() =>
      handle.describe().then(
        () => true,
        () => false,
      ),
    );
  } finally {
    await connection.close();
  }
}
