import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NoticeOfRun } from '../../contracts/notices.ts';
import { AuditLog } from '../../lib/audit/audit-log.ts';
import { auditEntryOf } from '../support/audit-entries.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { HookReceiver, verifyWebhook } from '../support/notice-receivers.ts';

const KEY = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let hook: HookReceiver;
let platform: TestPlatform;
beforeAll(async () => {
  process.env.PERENNIAL_SECRET_NOTIFY_TOKEN = 'the-token';
  process.env.PERENNIAL_SECRET_NOTIFY_KEY = KEY;
  hook = await HookReceiver.start();
  platform = await TestPlatform.start({ notifyUrl: hook.url });
}, 120_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_NOTIFY_TOKEN;
  delete process.env.PERENNIAL_SECRET_NOTIFY_KEY;
  await platform?.close();
  await hook?.close();
}, 60_000);

const NOTICE: NoticeOfRun = {
  kind: 'approval.requested',
  workflowId: 'churn-1',
  pipeline: 'churn',
  endpoint: 'churn',
  version: '1',
  candidate: 'a'.repeat(64),
  to: ['Ada'],
  text: 'version 1 of churn waits for approval',
  url: null,
};

describe('the activity recordAudit', () => {
  it('writes into the data directory, and tells a trail that is wrong where the log stands', async () => {
    const entries = [auditEntryOf(0), auditEntryOf(1)];
    expect(await platform.run('recordAudit', { stream: 's', from: 0, entries })).toEqual({ next: 2 });
    const other = platform.run('recordAudit', { stream: 's', from: 0, entries: [auditEntryOf(5)] });
    await expect(other).rejects.toMatchObject({
      type: 'InputInvalid',
      nonRetryable: true,
      details: [{ next: 2 }],
    });
    const log = AuditLog.in(join(platform.config.dataDir));
    expect(await log.read({ endpoint: null, run: 's', since: null, limit: 10 })).toMatchObject({
      records: [{ sequence: 0 }, { sequence: 1 }],
      broken: [],
    });
  });
});

describe('the activity tagVersion', () => {
  it('sets tags, again without harm, and says clearly that a version is missing', async () => {
    const mlflow = platform.deps.mlflow();
    await mlflow.registeredModels.create({ name: 'churn' });
    await mlflow.modelVersions.create({ name: 'churn', source: 's3://nowhere/model' });
    const input = { modelName: 'churn', version: '1', tags: { 'perennial.approved_by': 'Ada', other: 'é' } };
    await platform.run('tagVersion', input);
    await platform.run('tagVersion', input);
    expect((await mlflow.modelVersions.get({ name: 'churn', version: '1' })).tags).toMatchObject(input.tags);
    await expect(platform.run('tagVersion', { ...input, version: '9' })).rejects.toMatchObject({
      type: 'TrackerRejected',
      nonRetryable: true,
      message: expect.stringContaining('version 9 of churn is not in the MLflow registry'),
    });
  });
});

describe('the activities of signed votes', () => {
  it('say what is missing where the worker has no list', async () => {
    const question = { token: 'aaaaaaaa.bbbbbbbb.cccccccc', candidate: 'a'.repeat(64), run: 'r/1' };
    for (const ask of [
      () => platform.run('checkApprovers', { roles: [], quorum: 1 }),
      () => platform.run('verifyVote', question),
    ])
      await expect(ask()).rejects.toMatchObject({
        type: 'ApprovalImpossible',
        nonRetryable: true,
        message: expect.stringContaining('PERENNIAL_APPROVERS'),
      });
  });
});

describe('the activity notify', () => {
  it('posts the notice with the token, signed, under an id of its own', async () => {
    await platform.run('notify', NOTICE);
    await platform.run('notify', NOTICE);
    const [first, second] = hook.posted.map((post) => {
      expect(post.headers.authorization).toBe('Bearer the-token');
      expect(verifyWebhook(KEY, post)).toEqual(NOTICE);
      return post.headers['webhook-id'];
    });
    // The same words told twice, as reminders are, are two notices.
    expect(first).not.toBe(second);
  });

  it.each([
    [404, true],
    [302, true],
    [503, false],
  ])(
    'fails for a hook that answers %i (for good: %s) without the token in its words',
    async (status, forGood) => {
      hook.answers = [status];
      const failed = await platform.run('notify', NOTICE).catch((error: unknown) => error);
      expect(failed).toMatchObject({
        message: expect.stringContaining(String(status)),
        nonRetryable: forGood,
      });
      expect(JSON.stringify(failed)).not.toContain('the-token');
      expect(JSON.stringify(failed)).not.toContain(KEY.slice(6));
    },
  );
});
