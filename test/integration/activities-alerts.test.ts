import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { alertActivities } from '../../activities/alerts.ts';
import { dependencies } from '../../activities/dependencies.ts';
import { registered } from '../../activities/index.ts';
import type { AlertNotice, Delivery } from '../../contracts/alerts.ts';
import { configFromEnv } from '../../lib/config.ts';
import { ActivityBench } from '../support/activity-bench.ts';
import { HookReceiver, verifyWebhook } from '../support/notice-receivers.ts';

const KEY = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const QUEUE = 'alerts';
const NOTICE: AlertNotice = {
  id: 'bank_3_0011223344556677',
  endpoint: 'bank',
  pipeline: 'bank-subscription',
  version: '3',
  severity: 'critical',
  window: { from: '2009-06-04T00:00:00.000Z', before: '2009-06-05T00:00:00.000Z' },
  title: 'bank: quality brier_score is beyond its limit',
  events: [
    {
      id: 'quality/brier_score/#raised@2009-06-05T00:00:00.000Z',
      kind: 'raised',
      key: 'quality/brier_score/',
      check: 'quality',
      severity: 'critical',
      at: '2009-06-05T00:00:00.000Z',
      since: '2009-06-04T00:00:00.000Z',
      words: 'brier_score 0.288, at most 0.264',
      observed: 0.288,
      limit: 0.264,
    },
  ],
  next: 'A retraining is asked for.',
  url: null,
  plot: null,
};

let hook: HookReceiver;
let folder = '';
let bench: ActivityBench;
let stop: () => Promise<void> = async () => undefined;

const told = (channel: Delivery['channel'], attempts = 1) =>
  bench.run({
    type: 'perennial.deliverAlert',
    taskQueue: QUEUE,
    attempts,
    input: { channel, notice: NOTICE },
  });

beforeAll(async () => {
  process.env.PERENNIAL_SECRET_NOTIFY_KEY = KEY;
  hook = await HookReceiver.start();
  folder = await mkdtemp(join(tmpdir(), 'perennial-alerts-'));
  bench = await ActivityBench.start();
  const config = configFromEnv({ PERENNIAL_DATA_DIR: folder, PERENNIAL_NOTIFY_URL: hook.url });
  const connection = await NativeConnection.connect({ address: bench.address });
  const worker = await Worker.create({
    connection,
    taskQueue: QUEUE,
    activities: registered(alertActivities(dependencies(config, () => bench.client))),
  });
  const running = worker.run();
  stop = async () => {
    worker.shutdown();
    await running;
    await connection.close();
  };
}, 120_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_NOTIFY_KEY;
  await stop();
  await bench?.close();
  await hook?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
}, 60_000);
beforeEach(() => {
  hook.posted.length = 0;
});

describe('the activity deliverAlert', () => {
  it('is tried again by Temporal until the hook takes the notice, with the same id', async () => {
    hook.answers = [503, 429, null];
    await told('webhook', 5);
    expect(hook.posted).toHaveLength(4);
    expect(new Set(hook.posted.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([NOTICE.id]));
    const last = hook.posted.at(-1);
    expect(last && verifyWebhook(KEY, last)).toEqual({ kind: 'alert', ...NOTICE });
  });

  it('is not tried again where the hook refuses, and keeps the key out of its words', async () => {
    hook.answers = [401];
    const failure = await told('webhook', 5).catch((error: unknown) => error);
    expect(failure).toMatchObject({ type: 'InputInvalid', nonRetryable: true });
    expect(JSON.stringify(failure)).not.toContain(KEY.slice(6));
    expect(hook.posted).toHaveLength(1);
  });

  it('writes into the log of the worker, and says what a channel lacks', async () => {
    await expect(told('log')).resolves.toBeUndefined();
    await expect(told('slack')).rejects.toMatchObject({
      type: 'SecretMissing',
      nonRetryable: true,
      message: expect.stringContaining('PERENNIAL_SECRET_SLACK_URL'),
    });
  });
});
