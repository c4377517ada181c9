import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hindsight } from '../../contracts/hindsight.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { featureView } from '../../contracts/spec/feature-views.ts';
import { configFromEnv, type PerennialConfig } from '../../lib/config.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { materializedAside } from '../../lib/feature-store/materialize-aside.ts';
import { featureStoreAccess } from '../../lib/feature-store/open-feature-store.ts';
import { plannedView } from '../../lib/feature-store/served-views.ts';
import { storeIdOf } from '../../lib/feature-store/stored-view.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';
import { hindsightOf } from '../../lib/monitoring/hindsight.ts';
import type { WatchedProblem } from '../../lib/monitoring/problem.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { startServing } from '../../serving/process/supervisor.ts';
import { servingFromEnv } from '../../workers/serving-options.ts';
import { plainModel, viewModel, viewPrediction } from '../support/view-model.ts';

const PROBLEM: WatchedProblem = { task: 'regression', classNames: [], positiveClass: null };
const ROWS = 60;
const windowOf = (month: number) => ({
  index: month,
  from: new Date(Date.UTC(2009, month - 1, 1)).toISOString(),
  before: new Date(Date.UTC(2009, month, 1)).toISOString(),
});
/** Each day at noon one customer buys for the number of the day: an hour before the request of that day's afternoon. */
const EVENTS = `SELECT 'c' || (d % 3) AS customer, TIMESTAMP '2009-04-01 12:30:00' + to_days(d::INT) AS at, d::DOUBLE AS amount FROM range(122) r(d)`;

interface Call {
  at: string;
  customer: string | null;
  amount: number;
  truth: number;
}

/** Two requests of a day; of the customer of the day an event is known, of the other one none; each seventh has no key. */
const callsOf = (month: number): Call[] =>
  Array.from({ length: ROWS }, (_, i) => {
    const day = Math.floor(i / 2);
    const at = new Date(Date.UTC(2009, month - 1, 1 + day, 13, i % 2));
    const since = Math.round((Date.UTC(2009, month - 1, 1 + day) - Date.UTC(2009, 3, 1)) / 86_400_000);
    const customer = i % 7 === 6 ? null : `c${(since + (i % 2)) % 3}`;
    return { at: at.toISOString(), customer, amount: i % 10, truth: 500 + i };
  });

/** What a model of the view must say to a call, by the events alone. */
function answer({ at, customer, amount }: Call, add: number): number {
  if (customer === null) return viewPrediction(amount, undefined, undefined, add);
  const since = Math.floor((Date.parse(at) - Date.UTC(2009, 3, 1)) / 86_400_000);
  const isToday = customer === `c${since % 3}`;
  return viewPrediction(amount, isToday ? 1 : 0, isToday ? since : undefined, add);
}

const rmse = (calls: readonly Call[], of: (call: Call) => number): number =>
  Math.sqrt(calls.reduce((sum, call) => sum + (of(call) - call.truth) ** 2, 0) / calls.length);

let dataDir = '';
let config: PerennialConfig;
let store: ArtifactStore;
const models = new Map<string, ServedModel>();

/**
 * In April version 1 answers, which takes no view; in May version 2, which does, answers the second half; in June all.
 * In July version 4, which has the view otherwise, answers the second half.
 */
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'perennial-hindsight-'));
  const env = {
    PERENNIAL_DATA_DIR: dataDir,
    PERENNIAL_REPLAY: '1',
    PERENNIAL_SERVER_PROCESSES: '1',
    PERENNIAL_LOG_LEVEL: 'silent',
  };
  config = configFromEnv(env);
  store = await openStore(config);
  const database = await Database.create({ tempDir: join(dataDir, 'spill') });
  const path = join(dataDir, 'purchases.parquet');
  await database.copyToParquet(EVENTS, path);
  await database.view('purchases', `read_parquet(${quoteLiteral(path)})`);
  const plan = await planView(
    database,
    'spending',
    featureView.parse({
      events: 'SELECT * FROM purchases',
      entity: 'customer',
      timestamp: 'at',
      windows: ['1h', '1d'],
      features: { count: 'count(amount)', total: 'sum(amount)' },
    }),
  );
  database.close();
  await materializedAside({
    ...{ plan, sources: [{ name: 'purchases', files: [path] }], pipeline: 'shop', personal: false },
    access: await featureStoreAccess(config, store),
    until: Date.UTC(2009, 7, 1),
    from: Date.UTC(2009, 3, 1),
    spillDir: join(dataDir, 'spill'),
  });
  const whole = plannedView(storeIdOf('shop', plan), plan);
  const taken = ['spending_count_1h', 'spending_total_1d'];
  const views = [{ ...whole, columns: whole.columns.filter(({ input }) => taken.includes(input)) }];
  models.set('1', await plainModel(store, '1'));
  models.set('2', await viewModel(store, '2', { views }));
  models.set('3', await viewModel(store, '3', { views, add: 300 }));
  const otherwise = views.map((view) => ({
    ...view,
    columns: view.columns.map((column) => ({ ...column, definition: `other ${column.definition}` })),
  }));
  models.set('4', await viewModel(store, '4', { views: otherwise }));
  models.set('5', await viewModel(store, '5', { views: otherwise, add: 50 }));
  const server = await startServing({
    ...servingFromEnv(env, config),
    serverId: 'replay',
    routesFile: join(dataDir, 'routes.json'),
    logger: pino({ level: 'silent' }),
  });
  const post = async (path_: string, time: string, payload: unknown, headers = {}): Promise<void> => {
    const response = await fetch(`${server.url}${path_}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'perennial-time': time, ...headers },
      body: JSON.stringify(payload),
    });
    expect(response.ok, await response.text()).toBe(true);
  };
  let generation = 0;
  const serve = (version: string) =>
    server.applyRoutes({
      endpoint: 'shop',
      generation: ++generation,
      routes: [{ model: modelOf(version), weight: 100 }],
    });
  const send = async (version: string, month: number, calls: readonly Call[]): Promise<void> => {
    await serve(version);
    for (const { at, truth, ...call } of calls) {
      const requestId = `r-${month}-${at}`;
      const inputs = version === '1' ? { amount: call.amount } : call;
      await post(
        '/endpoints/shop/invocations',
        at,
        { dataframe_records: [inputs] },
        { 'x-request-id': requestId },
      );
      await post('/v1/endpoints/shop/feedback', '2009-08-01', [{ requestId, value: truth }]);
    }
  };
  try {
    await send('1', 4, callsOf(4));
    await send('1', 5, callsOf(5).slice(0, ROWS / 2));
    await send('2', 5, callsOf(5).slice(ROWS / 2));
    await send('2', 6, callsOf(6));
    await send('2', 7, callsOf(7).slice(0, ROWS / 2));
    await send('4', 7, callsOf(7).slice(ROWS / 2));
  } finally {
    await server.close();
  }
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

function modelOf(version: string): ServedModel {
  const model = models.get(version);
  if (!model) throw new Error(`there is no version ${version}`);
  return model;
}

async function lookBack(version: string, months: readonly number[]): Promise<Hindsight> {
  const scratchDir = join(dataDir, `scratch-${version}`);
  await mkdir(scratchDir, { recursive: true });
  const model = modelOf(version);
  return hindsightOf(config, {
    endpoint: 'shop',
    model,
    modelPath: await store.path(model.onnx),
    problem: PROBLEM,
    other: async (other) => ({ ...modelOf(other), problem: PROBLEM }),
    metric: 'root_mean_squared_error',
    windows: months.map(windowOf),
    scratchDir,
    seed: 1,
  });
}

it('what was looked up is asked again, of the rows that a version with the views answered', async () => {
  const found = await lookBack('3', [5, 6]);
  const second = callsOf(5).slice(ROWS / 2);
  for (const [index, calls] of [second, callsOf(6)].entries()) {
    const window = found.windows[index];
    expect([window?.answered.labels, window?.asked.labels]).toEqual([calls.length, calls.length]);
    expect(window?.answered.metrics.root_mean_squared_error).toBeCloseTo(
      rmse(calls, (call) => answer(call, 0)),
      2,
    );
    expect(window?.asked.metrics.root_mean_squared_error).toBeCloseTo(
      rmse(calls, (call) => answer(call, 300)),
      2,
    );
  }
  expect(found.windows[0]?.versions).toEqual({ '1': ROWS / 2, '2': ROWS / 2 });
});

it('values of a view that was defined otherwise are not taken for its own', async () => {
  const [first, second] = [callsOf(7).slice(0, ROWS / 2), callsOf(7).slice(ROWS / 2)];
  for (const [version, calls, add] of [
    ['3', first, 300],
    ['5', second, 50],
  ] as const) {
    const [window] = (await lookBack(version, [7])).windows;
    expect(window?.versions).toEqual({ '2': ROWS / 2, '4': ROWS / 2 });
    expect(window?.asked).toMatchObject({
      labels: calls.length,
      metrics: {
        root_mean_squared_error: expect.closeTo(
          rmse(calls, (call) => answer(call, add)),
          2,
        ),
      },
    });
  }
  await expect(lookBack('5', [6])).rejects.toMatchObject({
    code: 'InputInvalid',
    message: expect.stringMatching(/version 5 defines spending_count_1h, spending_total_1d otherwise/),
  });
});

it('a version without views is asked about all rows', async () => {
  const found = await lookBack('1', [4, 5, 6]);
  for (const [index, month] of [4, 5, 6].entries())
    expect(found.windows[index]?.asked).toMatchObject({
      labels: ROWS,
      metrics: {
        root_mean_squared_error: expect.closeTo(
          rmse(callsOf(month), ({ amount }) => amount),
          3,
        ),
      },
    });
});

it('of a time in which nobody took the views it is told what is missing', async () => {
  await expect(lookBack('3', [4])).rejects.toThrow(
    /version 3 reads spending_count_1h, spending_total_1d, .*feature view.*later windows/,
  );
});
