import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { toBinary } from '@bufbuild/protobuf';
import { Client, Connection } from '@temporalio/client';
import getPort from 'get-port';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialClient } from '../client/perennial-client.ts';
import { Platform } from '../client/platform/platform.ts';
import { WORKFLOW_TYPES } from '../contracts/names.ts';
import type { RolloutInput, RolloutResult } from '../contracts/rollout.ts';
import { routeTable, type ServedModel } from '../contracts/serving.ts';
import { rolloutSpec } from '../contracts/spec/rollout.ts';
import { configFromEnv } from '../lib/config.ts';
import { readModel } from '../lib/onnx/graph.ts';
import { ModelProtoSchema } from '../lib/onnx/onnx_pb.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { openStore } from '../lib/store/open-store.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { RoutesFile } from '../serving/routes-file.ts';
import { cells, figures, machine, table } from './figures.ts';
import { type ServingModel, servingModel } from './serving-model.ts';
import { type Drive, drive, requireWrk } from './wrk.ts';

/*
 * What a roll-out costs beside its holds, how fast a rollback is, and whether a hundred endpoints on one server are
 * slower than one.
 *
 *   npx tsx bench/rollout.ts [--rollouts 20] [--endpoints 100] [--rounds 5] [--seconds 3]
 */

/** Milliseconds. */
const TARGET_MS = 2_000;
const BARE_RUNS = 5_000;
const BARE_ROUNDS = 5;
const ROOT = join(import.meta.dirname, '..');
const ENDPOINT = 'bench';
const NO_GUARDS = { errorRate: false, invalidOutputs: false, latency: false, predictions: false } as const;
/** Nothing is waited for: what is left is the engine. */
const NO_HOLD = { hold: '1ms', minRequests: 1 };

const PLANS: Readonly<Record<string, Parameters<typeof rolloutSpec.parse>[0]>> = {
  'direct, one change': {},
  'canary of three steps, four changes': {
    strategy: 'canary',
    steps: [5, 25, 50].map((share) => ({ share, ...NO_HOLD })),
    guards: NO_GUARDS,
  },
};

/** The model under another digest: a server takes it for another one. */
async function another(
  store: ArtifactStore,
  served: ServedModel,
  onnx: Uint8Array,
  name: string,
): Promise<ServedModel> {
  const model = readModel(onnx);
  model.docString = name;
  return { ...served, onnx: await store.putBytes(toBinary(ModelProtoSchema, model), 'application/onnx') };
}

/** Roll-outs one after the other on a whole platform, and a rollback after each. */
async function rollouts(model: ServingModel, count: number): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'perennial-bench-rollout-'));
  const platform = await Platform.start({ dataDir });
  try {
    const { mlflowUri = '', temporalAddress, parts } = platform.status();
    const serverUrl = parts.find(({ name }) => name === 'server')?.url ?? '';
    const connection = await Connection.connect({ address: temporalAddress });
    const perennial = new PerennialClient(new Client({ connection }));
    const store = await openStore(configFromEnv({ ...process.env, PERENNIAL_DATA_DIR: dataDir }));
    const onnx = readFileSync(model.composed);
    const mlflow = new MlflowClient({ trackingUri: mlflowUri });
    await mlflow.registeredModels.getOrCreate({ name: ENDPOINT });
    const experimentId = await mlflow.experiments.getOrCreate({ name: ENDPOINT });
    const { info } = await mlflow.runs.create({ experimentId });

    let champion: string | null = null;
    const once = async (plan: Parameters<typeof rolloutSpec.parse>[0]): Promise<number> => {
      const { version } = await mlflow.modelVersions.create({
        name: ENDPOINT,
        source: `runs:/${info.runId}/model`,
        runId: info.runId,
      });
      const input: RolloutInput = {
        endpoint: ENDPOINT,
        model: { ...(await another(store, model.served, onnx, version)), version },
        policy: { sticky: false, deadlineMs: 10_000, log: { sample: 1, features: true } },
        plan: rolloutSpec.parse(plan),
        task: 'binary',
        judgedAgainst: champion,
        requestedBy: 'bench',
      };
      const begin = performance.now();
      const result = await perennial.temporal.workflow.execute<
        (argument: RolloutInput) => Promise<RolloutResult>
      >(WORKFLOW_TYPES.rollout, {
        workflowId: `${ENDPOINT}/rollout/${version}`,
        taskQueue: perennial.taskQueue,
        args: [input],
      });
      if (result.outcome !== 'promoted')
        throw new Error(`version ${version} was not promoted: ${result.reason}`);
      champion = version;
      return performance.now() - begin;
    };
    await once({});
    await once({});
    const traffic = new Traffic(
      `${serverUrl}/v2/models/${ENDPOINT}/infer`,
      readFileSync(model.body('v2_', 1)),
    );
    const rows: string[][] = [];
    const back: number[] = [];
    for (const [name, plan] of Object.entries(PLANS)) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        times.push(await once(plan));
        const begin = performance.now();
        const { version } = await perennial.rollback(ENDPOINT, {
          requestedBy: 'bench',
          reason: 'a benchmark',
        });
        back.push(performance.now() - begin);
        champion = version;
      }
      rows.push([name, ...cells(figures(times), 0), String(TARGET_MS)]);
    }
    rows.push(['rollback', ...cells(figures(back), 0), String(TARGET_MS)]);
    await traffic.stop();
    await connection.close();
    return table(['milliseconds', 'least', 'median', 'most', 'bar'], rows);
  } finally {
    await platform.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** A canary without requests passes no step. */
class Traffic {
  #going = true;
  readonly #clients: Promise<void>[];

  constructor(
    private readonly url: string,
    private readonly body: Buffer,
  ) {
    this.#clients = Array.from({ length: 4 }, () => this.#client());
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#clients);
  }

  async #client(): Promise<void> {
    while (this.#going) {
      const answer = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: new Uint8Array(this.body),
      });
      await answer.arrayBuffer();
      await sleep(10);
    }
  }
}

/** The built server with so many endpoints. @param own whether each has a model of its own */
async function serverOf(
  model: ServingModel,
  endpoints: number,
  own: boolean,
): Promise<{ url: string; stop(): Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'perennial-bench-endpoints-'));
  const store = await openStore(configFromEnv({ ...process.env, PERENNIAL_DATA_DIR: dataDir }));
  const onnx = readFileSync(model.composed);
  const tables = [];
  for (let i = 1; i <= endpoints; i++) {
    const served = await another(store, model.served, onnx, own ? `endpoint ${i}` : 'all');
    tables.push(
      routeTable.parse({ endpoint: `e${i}`, generation: 1, routes: [{ model: served, weight: 100 }] }),
    );
  }
  const state = join(dataDir, 'servers', 'bench');
  mkdirSync(state, { recursive: true });
  await new RoutesFile(join(state, 'routes.json')).write(tables);
  const port = await getPort();
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'workers', 'main.js'), 'serve'], {
    stdio: 'ignore',
    env: {
      ...process.env,
      PERENNIAL_DATA_DIR: dataDir,
      PERENNIAL_SERVER_ID: 'bench',
      // Nobody listens there: a server serves without Temporal and MLflow.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      PERENNIAL_SERVER_PORT: String(port),
      PERENNIAL_SERVER_PROCESSES: '1',
    },
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const ready = (): Promise<boolean> =>
    fetch(`${url}/v2/models/e${endpoints}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (child.exitCode === null && !(await ready())) await sleep(100);
  return {
    url,
    stop: async () => {
      child.kill('SIGTERM');
      await closed;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const MEASURED = ['requestsPerSecond', 'p50', 'p99'] as const;
const LABELS = { requestsPerSecond: 'requests/s', p50: 'p50, ms', p99: 'p99, ms' } as const;

/**
 * A server with one endpoint beside servers with many, round after round; ratios within a round. Asked is one of
 * them, or all in turn: requests to one endpoint share runs, those to many cannot, and as many models as endpoints do
 * not fit into the processor's cache.
 */
async function manyEndpoints(
  model: ServingModel,
  endpoints: number,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<string> {
  const one = await serverOf(model, 1, true);
  const many = await serverOf(model, endpoints, true);
  const same = await serverOf(model, endpoints, false);
  const body = model.body('v2_', 1);
  const settings = [
    { name: 'one of them asked', url: many.url, asked: 1 },
    { name: 'all in turn, one model for all', url: same.url, asked: endpoints },
    { name: 'all in turn, a model each', url: many.url, asked: endpoints },
  ];
  const rows: string[][] = [];
  try {
    for (const connections of [1, 16]) {
      const pairs = settings.map(() => [] as [Drive, Drive][]);
      for (let round = 0; round <= rounds; round++) {
        const single = await drive({ url: one.url, body, endpoints: 1, connections, seconds });
        for (const [i, { url, asked }] of settings.entries()) {
          const all = await drive({ url, body, endpoints: asked, connections, seconds });
          if (round > 0) pairs[i]?.push([single, all]); // the first warms up
        }
      }
      for (const [i, { name }] of settings.entries())
        for (const key of MEASURED) {
          const own = pairs[i] ?? [];
          const median = (which: 0 | 1): string =>
            figures(own.map((pair) => pair[which][key])).median.toFixed(key === 'requestsPerSecond' ? 0 : 2);
          const ratios = figures(own.map(([single, all]) => all[key] / single[key]));
          rows.push([
            `${connections} connection${connections > 1 ? 's' : ''}, ${name}: ${LABELS[key]}`,
            median(0),
            median(1),
            ...cells(ratios, 2),
          ]);
        }
    }
  } finally {
    await Promise.all([one.stop(), many.stop(), same.stop()]);
  }
  return table(['one row', '1 endpoint', `${endpoints} endpoints`, 'ratio: least', 'median', 'most'], rows);
}

/**
 * The limit: the bare runtime, one session again and again beside so many in turn. Trees that were not asked lately are
 * not in the processor's cache.
 *
 * @returns microseconds of a run
 */
async function bareSessions(model: ServingModel, sessions: number): Promise<string> {
  const bytes = readFileSync(model.composed);
  const all = await Promise.all(
    Array.from({ length: sessions }, () => InferenceSession.create(bytes, { intraOpNumThreads: 1 })),
  );
  const feeds = Object.fromEntries(
    (all[0]?.inputNames ?? []).map((name) => [name, new Tensor('float32', [0.5], [1])]),
  );
  const time = async (asked: number): Promise<number> => {
    const begin = performance.now();
    for (let i = 0; i < BARE_RUNS; i++) await all[i % asked]?.run(feeds);
    return ((performance.now() - begin) / BARE_RUNS) * 1_000;
  };
  const [one, many]: [number[], number[]] = [[], []];
  for (let round = 0; round < BARE_ROUNDS; round++) {
    one.push(await time(1));
    many.push(await time(sessions));
  }
  const rows = [
    ['1 session', ...cells(figures(one), 0)],
    [`${sessions} sessions in turn`, ...cells(figures(many), 0)],
  ];
  return table(['onnxruntime alone, µs per row', 'least', 'median', 'most'], rows);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rollouts: { type: 'string', default: '20' },
      endpoints: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
    },
  });
  await requireWrk();
  const model = await servingModel(join(import.meta.dirname, 'peers', '.peers'));
  process.stdout.write(`${machine()}\n\n`);
  process.stdout.write(`${await rollouts(model, Number(values.rollouts))}\n\n`);
  const drives = { rounds: Number(values.rounds), seconds: Number(values.seconds) };
  process.stdout.write(`${await bareSessions(model, Number(values.endpoints))}\n\n`);
  process.stdout.write(`${await manyEndpoints(model, Number(values.endpoints), drives)}\n`);
}

await main();
