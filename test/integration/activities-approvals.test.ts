import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NoticeOfRun } from '../../contracts/notices.ts';
import { AuditLog } from '../../lib/audit/audit-log.ts';
import { auditEntryOf } from '../support/audit-entries.ts';
import { TestPlatform } from '../support/integration-platform.ts';

/** A web hook that keeps what it is told. */
class Hook {
  readonly told: { authorization: string | undefined; notice: unknown }[] = [];
  status = 204;
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Hook> {
    const server = createServer();
    const hook = new Hook(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const notice: unknown = JSON.parse(Buffer.concat(chunks).toString());
        hook.told.push({ authorization: request.headers.authorization, notice });
        response.writeHead(hook.status, { location: 'http://127.0.0.1:1/' }).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return hook;
  }

  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/hook`;
  }

  close(): void {
    this.server.close();
  }
}

let hook: Hook;
let platform: TestPlatform;
beforeAll(async () => {
  process.env.PERENNIAL_SECRET_NOTIFY_TOKEN = 'the-token';
  hook = await Hook.start();
  platform = await TestPlatform.start({ notifyUrl: hook.url });
}, 120_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_NOTIFY_TOKEN;
  await platform?.close();
  hook?.close();
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
  it('posts the notice with the token', async () => {
    await platform.run('notify', NOTICE);
    expect(hook.told.at(-1)).toEqual({ authorization: 'Bearer the-token', notice: NOTICE });
  });

  it.each([
    [404, true],
    [302, true],
    [503, false],
  ])(
    'fails for a hook that answers %i (for good: %s) without the token in its words',
    async (status, forGood) => {
      hook.status = status;
      const failed = await platform.run('notify', NOTICE).catch((error: unknown) => error);
      expect(failed).toMatchObject({
        message: expect.stringContaining(String(status)),
        nonRetryable: forGood,
      });
      expect(JSON.stringify(failed)).not.toContain('the-token');
    },
  );
});
