import { writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findOrCreateRun } from '../../activities/mlflow-runs.ts';
import { throughOutages } from '../../activities/tracker-outage.ts';
import { TrialRecord } from '../../activities/trial-record.ts';
import { candidate } from '../../contracts/spec/candidates.ts';
import { RunManifests } from '../../lib/store/run-manifests.ts';
import { collect, MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { freePort } from '../support/free-port.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const RUN = { workflowId: "it's a run", runId: '00000000-0000-0000-0000-000000000001' };

let platform: TestPlatform;
beforeAll(async () => {
  platform = await TestPlatform.start();
}, 120_000);
afterAll(async () => platform?.close(), 60_000);

it('a run whose key holds a quote is found again', async () => {
  const mlflow = platform.deps.mlflow();
  const experimentId = await mlflow.experiments.getOrCreate({ name: 'keys' });
  const open = () =>
    findOrCreateRun(mlflow, experimentId, `${RUN.workflowId}/\\'`, { name: 'run', tags: {} });
  expect(await open()).toEqual(await open());
});

it('what a run refers to is known to the garbage collector even where MLflow refuses all else', async () => {
  const closing = platform.run('closeTracking', {
    tracking: { experimentId: '1', runId: 'f'.repeat(32), url: '' },
    run: RUN,
    status: 'FINISHED',
    outcome: 'deployed',
    message: '',
    artifacts: ['a'.repeat(64)],
  });
  await expect(closing).rejects.toMatchObject({ type: 'TrackerRejected' });
  const { documents } = await platform.deps.store();
  expect(await new RunManifests(documents).all()).toMatchObject([{ ...RUN, artifacts: ['a'.repeat(64)] }]);
});

/** What an attempt of a trial's activity has at hand. */
const frame = (attempt: number, signal = new AbortController().signal) => ({
  attempt,
  signal,
  warn: () => undefined,
});

/** The record of a trial as an attempt of its activity opens it; it sends nothing by itself. */
async function openRecord(mlflow: MlflowClient, experimentId: string, attempt: number): Promise<TrialRecord> {
  const trial = {
    trial: { candidate: 'trees', number: 3, fold: null },
    candidate: candidate.parse({ name: 'trees', trainer: 'lightgbm' }),
    parameters: { num_leaves: 7 },
    tracking: { experimentId, runId: 'parent', url: '' },
    run: RUN,
    training: { seed: 1 },
  };
  const record = await TrialRecord.open(mlflow, trial, frame(attempt));
  record.close();
  return record;
}

it('a failed trial keeps the words of its trainer', async () => {
  const mlflow = platform.deps.mlflow();
  const experimentId = await mlflow.experiments.getOrCreate({ name: 'failures' });
  const record = await openRecord(mlflow, experimentId, 1);
  const stderr = join(platform.folder, 'stderr.log');
  await writeFile(stderr, 'the trainer gives up\n');
  await record.fail('FAILED', stderr);
  const { runId } = record;
  expect((await mlflow.runs.get({ runId })).info.status).toBe('FAILED');
  const words = await mlflow.artifacts.downloadBytes({ runId, path: 'trainer-stderr.txt' });
  expect(Buffer.from(words).toString()).toBe('the trainer gives up\n');
  await record.fail('KILLED', join(platform.folder, 'none.log'));
  expect((await mlflow.runs.get({ runId })).info.status).toBe('KILLED');
  expect((await openRecord(mlflow, experimentId, 2)).runId).toBe(runId);
});

describe('while MLflow is away', () => {
  /** Hands requests on to the real server, but for the first ones. */
  async function failingAtFirst(times: number) {
    let left = times;
    const proxy = createServer((request, response) => {
      if (left-- > 0) return void response.writeHead(503).end();
      const { method = 'GET', headers, url = '/' } = request;
      const target = new URL(url, platform.config.mlflowTrackingUri);
      const onward = httpRequest(target, { method, headers: { ...headers, host: target.host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    const port = await freePort();
    await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${port}`, close: promisify(proxy.close.bind(proxy)) };
  }

  it('a trial waits for it, and has one run', async () => {
    const proxy = await failingAtFirst(2);
    try {
      const experimentId = await platform.deps.mlflow().experiments.getOrCreate({ name: 'outage' });
      const mlflow = new MlflowClient({ trackingUri: proxy.url, retry: { maxAttempts: 1 } });
      const { runId } = await openRecord(mlflow, experimentId, 1);
      const runs = await collect(platform.deps.mlflow().runs.search({ experimentIds: [experimentId] }));
      expect(runs.map(({ info }) => info.runId)).toEqual([runId]);
    } finally {
      await proxy.close();
    }
  });

  it('a trial that is cancelled waits no longer', async () => {
    const trackingUri = `http://127.0.0.1:${await freePort()}`;
    const mlflow = new MlflowClient({ trackingUri, retry: { maxAttempts: 1 } });
    const waiting = throughOutages(frame(1, AbortSignal.timeout(200)), () => mlflow.runs.get({ runId: 'x' }));
    await expect(waiting).rejects.toMatchObject({ retryable: true });
  });
});
