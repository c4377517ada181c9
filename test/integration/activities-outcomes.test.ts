import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findOrCreateRun } from '../../activities/mlflow-runs.ts';
import { TrialRecord } from '../../activities/trial-record.ts';
import { candidate } from '../../contracts/spec/candidates.ts';
import { RunManifests } from '../../lib/store/run-manifests.ts';
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

it('a failed trial keeps the words of its trainer', async () => {
  const mlflow = platform.deps.mlflow();
  const experimentId = await mlflow.experiments.getOrCreate({ name: 'failures' });
  const { runId: parent } = await findOrCreateRun(mlflow, experimentId, 'parent', {
    name: 'parent',
    tags: {},
  });
  const record = await TrialRecord.open(mlflow, {
    trial: { candidate: 'trees', number: 3, fold: null },
    candidate: candidate.parse({ name: 'trees', trainer: 'lightgbm' }),
    parameters: { num_leaves: 7 },
    tracking: { experimentId, runId: parent, url: '' },
    run: RUN,
    training: { seed: 1 },
  });
  const stderr = join(platform.folder, 'stderr.log');
  await writeFile(stderr, 'the trainer gives up\n');
  record.close();
  await record.fail('FAILED', stderr);
  const { runId } = record;
  expect((await mlflow.runs.get({ runId })).info.status).toBe('FAILED');
  const words = await mlflow.artifacts.downloadBytes({ runId, path: 'trainer-stderr.txt' });
  expect(Buffer.from(words).toString()).toBe('the trainer gives up\n');
  await record.fail('KILLED', join(platform.folder, 'none.log'));
  expect((await mlflow.runs.get({ runId })).info.status).toBe('KILLED');
});
