import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecordedCalls } from '../../client/demo/recorded-calls.ts';
import { lookNow } from '../../client/monitoring.ts';
import { PipelineRetraining } from '../../client/retraining.ts';
import type { AlertNotice } from '../../contracts/alerts.ts';
import type { TimedRow } from '../../contracts/data-questions.ts';
import type { MonitorState } from '../../contracts/monitoring.ts';
import { configFromEnv } from '../../lib/config.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { collect, MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { inLanes } from '../../workflows/lanes.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { aliasFollows, registryFacts } from '../support/e2e-facts.ts';
import { HookReceiver, verifyWebhook } from '../support/notice-receivers.ts';
import { callsCsv, callsSpec, turningCalls } from '../support/turning-calls.ts';
import { FLEET_SINCE, type FleetGround, recordFleetTraffic, watchedFleet } from '../support/watched-fleet.ts';

const MINUTE = 60_000;
const DAY_MS = 86_400_000;
const KEY = randomBytes(32).toString('base64');
/** Of the traffic; what the table has of the time from a week before is of the new world. */
const [SINCE, TURNS] = ['2025-04-10', '2025-04-03'];
const WATCHED = {
  window: '1d',
  minRows: 30,
  minLabels: 30,
  ...{ drift: false, predictions: false, labels: false, estimate: false, concept: false, skew: false },
};

/** Trains for some seconds on a few hundred rows, with checkpoints on the way. */
const SLOW_TRAINING = [
  {
    trainer: 'lightgbm',
    search: false,
    maxIterations: 30_000,
    parameters: { learning_rate: 0.0005, num_leaves: 4, early_stopping_rounds: 0 },
  },
];

let hook: HookReceiver;
let chaos: ChaosPlatform;
let table: string;
beforeAll(async () => {
  hook = await HookReceiver.start();
  chaos = await ChaosPlatform.create('monitoring', {
    PERENNIAL_REPLAY: '1',
    PERENNIAL_NOTIFY_URL: hook.url,
    PERENNIAL_SECRET_NOTIFY_KEY: KEY,
  });
  table = join(chaos.folder, 'calls.csv');
  await writeFile(table, callsCsv(turningCalls({ from: '2025-01-01', to: '2025-06-01', turns: TURNS })));
}, 2 * MINUTE);
afterAll(async () => {
  await chaos?.close();
  await hook?.close();
}, MINUTE);

const day = (index: number): string => new Date(Date.parse(SINCE) + index * DAY_MS).toISOString();

/** An endpoint whose first version serves, and is watched. */
async function deployed(name: string, changes: Record<string, unknown> = {}): Promise<void> {
  const spec = callsSpec(table, {
    name,
    monitoring: { ...WATCHED, since: SINCE, quality: { metric: 'brier_score', worseBy: 0.1 } },
    ...changes,
  });
  const { workflowId } = await chaos.perennial.start(spec);
  expect(await chaos.perennial.result(workflowId)).toMatchObject({ outcome: 'deployed', version: '1' });
}

/** The calls of a day, answered, and their truth: of the world that the model knows, or of the opposite one. */
async function lived(endpoint: string, index: number, isGood: boolean): Promise<void> {
  const rows: TimedRow[] = turningCalls({
    from: day(index),
    to: day(index + 1),
    turns: isGood ? '2026-01-01' : TURNS,
  });
  const calls = new RecordedCalls({ url: chaos.serverUrl, endpoint }, rows, 1_000, `${endpoint}-${index}`);
  await calls.sendBefore(day(index + 1));
  await calls.tellBefore(day(index + 1));
}

/** Looks at all that is over at a moment. */
const looked = (endpoint: string, asOf: string) =>
  lookNow(chaos.perennial.temporal, chaos.perennial.taskQueue, { endpoint, asOf });

async function stateOf(endpoint: string): Promise<MonitorState> {
  const state = await new MonitorRecords((await openStore({ dataDir: chaos.dataDir })).documents).state(
    endpoint,
  );
  if (!state) throw new Error(`nothing is on record of ${endpoint}`);
  return state;
}

const told = (endpoint: string): AlertNotice[] =>
  hook.posted
    .map((posted) => verifyWebhook(KEY, posted) as AlertNotice & { kind: string })
    .filter((notice) => notice.kind === 'alert' && notice.endpoint === endpoint);

const VICTIMS = ['worker', 'temporal', 'mlflow'] as const;

describe.sequential('whichever process is killed between any two steps of a look', () => {
  let steps: string[];
  let fleet: string[];
  let ground: FleetGround;
  /** Truth is wrong on every second day, so that each window raises or resolves an alert. */
  const isBroken = (_: number, window: number): boolean => window % 2 === 0;
  const end = (window: number): string => new Date(FLEET_SINCE + (window + 1) * DAY_MS).toISOString();

  beforeAll(async () => {
    const config = { dataDir: chaos.dataDir };
    ground = {
      perennial: chaos.perennial,
      mlflow: new MlflowClient({ trackingUri: chaos.mlflowUri }),
      store: (await openStore(config)).within(join(chaos.folder, 'fleet')),
      config: configFromEnv({ PERENNIAL_DATA_DIR: chaos.dataDir }),
      folder: chaos.folder,
    };
    const monitoring = { ...WATCHED, quality: { metric: 'roc_auc', min: 0.7 } };
    // One more than there are steps: a step that is new is no reason to stop.
    fleet = await watchedFleet(ground, { endpoints: 21, monitoring });
    await recordFleetTraffic(ground, fleet, { windows: VICTIMS.length + 1, rows: 60, isBroken });
  }, 3 * MINUTE);

  it('the steps are those of the story', { timeout: 2 * MINUTE }, async () => {
    const [first = ''] = fleet;
    chaos.gate.record(first);
    await inLanes(fleet, 4, (name) => looked(name, end(0)));
    for (const name of fleet) await expectAllSeen(name, 1);
    steps = chaos.gate.steps(first);
    for (const step of [
      'monitor planMonitoring',
      'monitor observeWindow',
      'monitor askRetraining',
      'monitor recordWindow',
      'monitor settleAlerts',
      'monitor logWindows',
      'alert deliverAlert',
      'alert recordDelivery',
    ])
      expect(steps).toEqual(expect.arrayContaining([`${step} before`, `${step} after`]));
    expect(steps.length).toBeLessThanOrEqual(fleet.length);
  });

  it.each(VICTIMS.map((victim, i) => [victim, i + 1] as const))(
    'the %s: each window is seen once, and told',
    { timeout: 4 * MINUTE },
    async (victim, window) => {
      const held = new Map(steps.map((step, i) => [fleet[i] ?? '', step]));
      chaos.gate.hold(held);
      const looks = fleet.map((name) => looked(name, end(window)).catch(() => undefined));
      await chaos.gate.held(held.keys());
      if (victim === 'worker') {
        await chaos.kill(victim);
        chaos.gate.open();
        await chaos.startWorker();
      } else {
        const back = chaos.killPart(victim);
        chaos.gate.open();
        await back;
      }
      await Promise.all(looks);
      for (const name of fleet) await expectAllSeen(name, window + 1, held.get(name));
    },
  );

  /** One window for each day, one notice of each, and one value of each in MLflow. */
  async function expectAllSeen(name: string, windows: number, where = 'nothing held'): Promise<void> {
    const days = Array.from({ length: windows }, (_, i) => i);
    await expect
      .poll(async () => (await stateOf(name)).index, { timeout: MINUTE, message: where })
      .toBe(windows);
    await looked(name, end(windows - 1));
    const { trend, alerts, tracking, undelivered } = await stateOf(name);
    expect(
      trend.map(({ window: { index }, rows, labels, state }) => [index, rows, labels, state]),
      where,
    ).toEqual(days.map((i) => [i, 60, 60, isBroken(0, i) ? 'breached' : 'ok']));
    expect([alerts.outbox, undelivered], where).toEqual([[], []]);
    const byWindow = () => new Map(told(name).map((notice) => [notice.window.before, notice]));
    await expect.poll(() => byWindow().size, { timeout: MINUTE, message: where }).toBe(windows);
    // Told again where the answer was lost, under the same id.
    expect(new Set(told(name).map(({ id }) => id)).size, where).toBe(windows);
    expect(
      days.map((i) =>
        byWindow()
          .get(end(i))
          ?.events.map(({ kind }) => kind),
      ),
      where,
    ).toEqual(days.map((i) => [isBroken(0, i) ? 'raised' : 'resolved']));
    const points = await collect(
      ground.mlflow.runs.metricHistory({ runId: tracking?.runId ?? '', key: 'quality.roc_auc' }),
    );
    const values = new Map(points.map(({ step, value }) => [step, value]));
    expect([...values.keys()].sort(), where).toEqual(days);
    for (const { step, value } of points) expect(value, where).toBe(values.get(step));
  }
});

describe.sequential('while a model is trained anew', () => {
  const NAME = 'turned';

  it('worker, Temporal and worker are killed, and there is one run, one decision and one new version', {
    timeout: 4 * MINUTE,
  }, async () => {
    await deployed(NAME, {
      candidates: SLOW_TRAINING,
      retraining: {
        window: { kind: 'sliding', length: '7d', validation: '1d', test: '2d' },
        cooldown: '1d',
        debounce: '0s',
      },
    });
    await lived(NAME, 0, false);
    chaos.gate.hold(new Map([[NAME, 'monitor askRetraining after']]));
    // Nobody may be there to hear how it ends.
    const look = looked(NAME, day(1)).catch(() => undefined);
    await chaos.gate.held([NAME]);
    await chaos.kill('worker');
    chaos.gate.open();
    await chaos.startWorker();
    // The look itself waits until the killed step is missed, and the training does not wait for the look.
    const retraining = new PipelineRetraining(chaos.perennial.temporal, NAME);
    const runs = async () => (await retraining.status()).state.runs;
    await expect.poll(runs, { timeout: MINUTE }).toMatchObject([{ endedAt: null }]);
    const [run] = await runs();
    await chaos.checkpointed(run?.workflowId ?? '');
    await chaos.killPart('temporal');
    await chaos.kill('worker');
    await chaos.startWorker();
    await look;

    await expect.poll(runs, { timeout: 2 * MINUTE }).toMatchObject([{ outcome: 'deployed', version: '2' }]);
    const { decisions } = await retraining.status();
    expect(decisions.filter(({ decision }) => decision === 'start')).toHaveLength(1);
    await aliasFollows(chaos.mlflowUri, NAME, '2');
    expect((await registryFacts(chaos.mlflowUri, NAME)).versions.map(({ outcome }) => outcome)).toEqual([
      'deployed',
      'deployed',
    ]);
    // The new version is good where the old one was bad.
    await lived(NAME, 1, false);
    await looked(NAME, day(2));
    expect((await stateOf(NAME)).trend.map(({ state }) => state)).toEqual(['breached', 'ok']);
  });
});
