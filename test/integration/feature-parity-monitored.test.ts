import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  monitorResult,
  type ViewParity,
  type WindowReport,
  type WindowSummary,
  windowReport,
} from '../../contracts/monitoring.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { createPredictionLog } from '../../serving/log/prediction-log.ts';
import { ModelServer } from '../../serving/server.ts';
import { runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const NAME = 'card-fraud';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const CARDS = Array.from({ length: 20 }, (_, i) => `c${i}`);
/** A day of November, and its hours. */
const at = (day: number, hour = 0): number => Date.UTC(2026, 10, day) + hour * HOUR;
const HOURS = [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
const LOOKED_UP = HOURS.length * (CARDS.length + 1);
/** The windows of the view, by the suffix of their columns. */
const WINDOWS = { '1h': HOUR, '1d': DAY };

interface Payment {
  card: string;
  time: number;
  amount: number;
}
interface Asked extends Pick<Payment, 'card' | 'time'> {}

/** A payment every six minutes for two weeks, of one card after the other. */
const PAYMENTS: readonly Payment[] = Array.from({ length: 14 * 240 }, (_, i) => ({
  card: CARDS[(i * 7) % CARDS.length] ?? '',
  time: at(-9) + i * 360_000,
  amount: (i * 13) % 97,
}));
const before = (moment: number): Payment[] => PAYMENTS.filter(({ time }) => time < moment);
/** The payment of a card that came last before a moment. */
const lastOf = (card: string, moment: number): Payment => {
  const last = PAYMENTS.findLast((payment) => payment.card === card && payment.time < moment);
  if (!last) throw new Error('the card was not used');
  return last;
};
/** What nobody knew of in time, and what the store had twice. */
const LATE = lastOf('c5', at(4, 8));
const TWICE = lastOf('c3', at(3, 8));

let platform: TestPlatform;
let store: ArtifactStore;
let server: ModelServer;
let file: string;
let spec: PipelineSpec;

const writePayments = (payments: readonly Payment[]): Promise<void> => {
  const lines = payments.map(
    ({ card, time, amount }) =>
      `${card},${new Date(time).toISOString()},${amount},${amount > 60 || card === 'c7' ? 1 : 0}`,
  );
  return writeFile(file, `card,paid,amount,fraud\n${lines.join('\n')}\n`);
};

/** The store is filled from the sources as they are, from a day before the first question on. */
const materialize = (until: number, from = at(1)) =>
  platform.run('materializeFeatures', {
    ...{ pipeline: NAME, spec, from: new Date(from).toISOString(), until: new Date(until).toISOString() },
  });

async function ask(rows: object[], moment?: number): Promise<void> {
  const response = await fetch(`${server.url}/invocations`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(moment === undefined ? {} : { 'perennial-time': new Date(moment).toISOString() }),
    },
    body: JSON.stringify({ dataframe_records: rows }),
  });
  const body = await response.text();
  expect({ status: response.status, body }).toMatchObject({ status: 200 });
}

/** Every hour of a day all cards, one that nobody has, a row without any, and one that brings a number itself. */
async function askAllDay(day: number): Promise<void> {
  const keys = [...CARDS, 'nobody', null];
  for (const hour of HOURS)
    await ask(
      [
        ...keys.map((card, i) => ({ amount: i, card })),
        { amount: 5, card: 'c3', spending_payments_1d: 1_000 },
      ],
      at(day, hour),
    );
}

const known = (payments: readonly Payment[], { card, time }: Asked, window: number): number[] => {
  const own = payments.filter((one) => one.card === card && one.time < time && one.time >= time - window);
  return [own.length, own.reduce((sum, { amount }) => sum + amount, 0)];
};

/** What is to be told of a day, by going through all payments: @param served those that the store had */
function parityOf(day: number, served: readonly Payment[], until: number): ViewParity {
  const rows = HOURS.flatMap((hour) =>
    [...CARDS, 'nobody'].map((card): Asked => ({ card, time: at(day, hour) })),
  );
  const isStale = ({ card, time }: Asked): boolean =>
    PAYMENTS.some((one) => one.card === card && one.time >= until && one.time < time);
  const off = rows
    .filter((row) => !isStale(row))
    .map((row) =>
      Math.max(
        ...Object.values(WINDOWS).flatMap((window) => {
          const right = known(PAYMENTS, row, window);
          return known(served, row, window).map((value, i) => Math.abs(value - (right[i] ?? 0)));
        }),
      ),
    );
  return {
    view: 'spending',
    rows: rows.length,
    stale: rows.filter(isStale).length,
    differing: off.filter((by) => by > 0).length,
    largest: Math.max(...off),
  };
}

const reportOf = async ({ report }: WindowSummary): Promise<WindowReport> =>
  windowReport.parse(await store.json(report));

/** The windows that were looked at, by their day. */
async function reports(): Promise<Map<number, WindowReport>> {
  const state = await new MonitorRecords(store.documents).state(NAME);
  const found = new Map<number, WindowReport>();
  for (const { window, report } of state?.trend ?? [])
    found.set(new Date(window.from).getUTCDate(), windowReport.parse(await store.json(report)));
  return found;
}

const parityVerdict = ({ verdicts }: WindowReport) =>
  verdicts.find(({ check, of }) => check === 'feature-parity' && of === 'spending');

beforeAll(async () => {
  platform = await TestPlatform.start();
  store = (await platform.deps.store()).within(join(platform.folder, 'test'), { encrypt: true });
  await platform.takeLease();
  file = join(platform.folder, 'payments.csv');
  await writePayments(before(at(2)));
  spec = pipelineSpec.parse({
    name: NAME,
    task: 'binary',
    data: { sources: { payments: { path: file } } },
    columns: { target: 'fraud', positive: '1', timestamp: 'paid', ignored: ['card'] },
    split: { method: 'random' },
    featureViews: {
      spending: {
        events: 'SELECT card, paid, amount FROM payments',
        entity: 'card',
        timestamp: 'paid',
        windows: Object.keys(WINDOWS),
        features: { payments: 'count(*)', total: 'sum(amount)' },
        online: { unavailable: 'refuse' },
      },
    },
    candidates: [{ trainer: 'logistic', search: false }],
    evaluation: { gates: [] },
    approval: { required: false },
    monitoring: {
      ...{ since: '2026-11-02', minRows: 50, drift: false, predictions: false, labels: false },
      ...{ estimate: false, concept: false, skew: { maxShare: 0 } },
    },
  });
  const { register } = await runLifecycle(platform, spec, { commit: null, dirty: false });
  const { version } = register;
  const { model } = await platform.run('registeredVersion', { modelName: NAME, version });
  if (!model?.views) throw new Error('the version was registered without its views');
  const policyOf = (): undefined => undefined;
  const { config } = platform;
  const logger = pino({ level: 'silent' });
  server = await ModelServer.create({
    ...{ serverId: 'here', store, logger, replay: true },
    features: await openFeatureStore(config, store),
    predictionLog: () => createPredictionLog({ config, store, serverId: 'here', policy: policyOf, logger }),
  });
  await server.applyRoutes({ endpoint: NAME, generation: 1, routes: [{ model, weight: 100 }] });

  await writePayments(before(at(3)));
  await materialize(at(3));
  await platform.pauseFeatures(NAME);
  await askAllDay(2);
  await writePayments([...before(at(4)), TWICE]);
  await materialize(at(4));
  await askAllDay(3);
  await writePayments(before(at(4, 12)).filter((payment) => payment !== LATE));
  await materialize(at(4, 12));
  await askAllDay(4);
  await writePayments(before(at(5)));
}, 300_000);
afterAll(async () => {
  await server?.close();
  await platform?.close();
}, 60_000);

it('the monitor finds what was served otherwise than the sources have it, and counts apart what nobody could know', {
  timeout: 200_000,
}, async () => {
  await platform.run('watchEndpoint', { spec, since: '2026-11-02T00:00:00Z' });
  const result = monitorResult.parse(
    await platform.client.workflow.execute(WORKFLOW_TYPES.monitor, {
      workflowId: `${monitorScheduleId(NAME)}-test`,
      taskQueue: platform.config.taskQueue,
      args: [{ endpoint: NAME, asOf: '2026-11-05T00:00:00Z' }],
    }),
  );
  expect(result.windows.map(({ state }) => state)).toEqual(['ok', 'breached', 'breached']);
  expect(result.raised).toEqual(['feature-parity/spending/']);
  const found = await reports();

  const clean = found.get(2);
  if (!clean) throw new Error('the first day was not looked at');
  expect(clean.features).toEqual([{ view: 'spending', rows: LOOKED_UP, stale: 0, differing: 0, largest: 0 }]);
  expect(clean.warnings).toEqual([]);
  expect(parityVerdict(clean)).toMatchObject({ state: 'ok', rows: LOOKED_UP, observed: 0 });
  expect(clean.skew).toMatchObject({ differing: 0 });

  const doubled = found.get(3);
  const expected = parityOf(3, [...before(at(4)), TWICE], at(4));
  expect(expected).toMatchObject({ stale: 0, differing: HOURS.length });
  expect(doubled?.features).toEqual([expected]);
  expect(doubled && parityVerdict(doubled)).toMatchObject({
    state: 'breached',
    observed: HOURS.length / LOOKED_UP,
    words: expect.stringContaining(`by up to ${expected.largest}`),
  });

  const late = found.get(4);
  const lateParity = parityOf(
    4,
    before(at(4, 12)).filter((payment) => payment !== LATE),
    at(4, 12),
  );
  expect(lateParity.stale).toBeGreaterThan(50);
  expect(lateParity.differing).toBeGreaterThan(3);
  expect(late?.features).toEqual([lateParity]);
  expect(late && parityVerdict(late)?.words).toContain('before the latest events were there');
});

it('by the clock, too, a server looks up what the sources say', { timeout: 100_000 }, async () => {
  const now = Date.now();
  // Some come out of the shorter window while it is asked.
  await writePayments(
    CARDS.flatMap((card, i) =>
      [1, 59.7, 700].map((minutes) => ({ card, amount: i, time: now - minutes * 60_000 - i * 1_000 })),
    ),
  );
  await materialize(now, now - 2 * DAY);
  // The server's clock has fractions, and is off by some milliseconds.
  const around = (by: number): string => new Date(Date.now() + by).toISOString();
  const from = around(-1_000);
  for (let i = 0; i < 20; i++) await ask(CARDS.map((card) => ({ amount: i, card })));
  const window = { index: 0, from, before: around(1_000) };
  const settings = await new MonitorRecords(store.documents).settings(NAME);
  if (!settings) throw new Error('the endpoint is not watched');
  const question = { settings, due: { window, labelled: null }, champion: '1', counters: null, again: true };
  await expect
    .poll(async () => (await reportOf(await platform.run('observeWindow', question))).features, {
      timeout: 60_000,
    })
    .toEqual([{ view: 'spending', rows: 20 * CARDS.length, stale: 0, differing: 0, largest: 0 }]);
});
