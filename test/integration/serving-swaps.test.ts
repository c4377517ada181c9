import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { startServing } from '../../serving/process/supervisor.ts';
import { ModelServer } from '../../serving/server.ts';
import { plusModel } from './serving-models.ts';

const SWAPS = 50;
const CLIENTS = 16;

let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-swaps-'));
  store = await openStore({ dataDir: folder });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const logger = pino({ level: 'silent' });
type Server = Pick<ModelServer, 'url' | 'applyRoutes' | 'close'>;
const SERVERS: Readonly<Record<string, () => Promise<Server>>> = {
  'a server': () =>
    ModelServer.create({ serverId: 'one', store, routesFile: join(folder, 'one.json'), logger }),
  'a server of two processes': () =>
    startServing({
      serverId: 'two',
      store: { dataDir: folder },
      routesFile: join(folder, 'two.json'),
      logger,
      logLevel: 'silent',
      processes: 2,
    }),
};

/** One answer, and what was in force around it. */
interface Answer {
  status: number;
  text: string;
  headers: Record<string, string>;
  /** The generation that was acknowledged before the request was sent. */
  from: number;
  /** The last generation that had been offered when the answer was there. */
  to: number;
}

it.each(Object.keys(SERVERS))(
  `%s answers every request while routes change ${SWAPS} times, by a version that its generation allows`,
  async (kind) => {
    const server = await SERVERS[kind]?.();
    if (!server) throw new Error(`there is no ${kind}`);
    const tables = new Map<number, RouteTableInput>();
    let [offered, acknowledged] = [0, 0];
    const swap = async (routes: RouteTableInput['routes']): Promise<void> => {
      offered += 1;
      const table = { endpoint: 'plus', generation: offered, routes };
      tables.set(offered, table);
      expect((await server.applyRoutes(table)).generation).toBe(offered);
      acknowledged = offered;
    };
    const model = (n: number): Promise<ServedModel> => plusModel(store, String(n), n * 1_000);
    let champion = await model(0);
    await swap([{ model: champion, weight: 100 }]);

    let going = true;
    const client = async (x: number): Promise<Answer[]> => {
      const answers: Answer[] = [];
      while (going) {
        const from = acknowledged;
        const response = await fetch(`${server.url}/v2/models/plus/infer`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[${x}]}]}`,
        });
        const text = await response.text();
        const headers = Object.fromEntries(response.headers);
        answers.push({ status: response.status, text, headers, from, to: offered });
        // Room for what starts beside the load.
        await sleep(10);
      }
      return answers;
    };
    const clients = Array.from({ length: CLIENTS }, (_, x) => client(x));

    try {
      // Now and then one is a challenger first, in a process of its own, and promoted by the next table.
      for (let n = 1; offered <= SWAPS; n++) {
        const next = await model(n);
        if (n % 12 === 6) {
          await swap([
            { model: champion, weight: 50 },
            { model: next, weight: 50, role: 'challenger' },
          ]);
          await sleep(50);
        }
        champion = next;
        await swap([{ model: champion, weight: 100 }]);
      }
    } finally {
      going = false;
      await Promise.allSettled(clients);
      await server.close();
    }
    const answers = (await Promise.all(clients)).flatMap((own, x) => own.map((answer) => ({ ...answer, x })));

    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(answers.length).toBeGreaterThan(SWAPS * CLIENTS);
    const generations = new Set<number>();
    const roles = new Set<string>();
    for (const { headers, text, from, to, x } of answers) {
      const generation = Number(headers['perennial-generation']);
      expect(generation).toBeGreaterThanOrEqual(from);
      expect(generation).toBeLessThanOrEqual(to);
      const route = tables
        .get(generation)
        ?.routes.find(({ model: { onnx } }) => onnx.sha256 === headers['perennial-model-digest']);
      expect(route?.model.version).toBe(headers['perennial-model-version']);
      expect(route?.role ?? 'champion').toBe(headers['perennial-route']);
      expect(JSON.parse(text)).toMatchObject({
        model_version: route?.model.version,
        outputs: [{ data: [x + Number(route?.model.version) * 1_000] }],
      });
      generations.add(generation);
      roles.add(headers['perennial-route'] ?? '');
    }
    expect(generations.size).toBeGreaterThan(SWAPS / 2);
    expect(roles).toEqual(new Set(['champion', 'challenger']));
  },
  300_000,
);
