import { beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();
let experimentId = '';

async function newRun(name?: string): Promise<string> {
  return (await client.runs.create({ experimentId, runName: name })).info.runId;
}

beforeAll(async () => {
  experimentId = await client.experiments.create({ name: unique('runs') });
});

describe('runs', () => {
  it('creates a run', async () => {
    const run = await client.runs.create({
      experimentId,
      runName: 'first',
      startTime: 1_700_000_000_123,
      tags: { a: '1' },
    });
    expect(run.info).toMatchObject({
      experimentId,
      runName: 'first',
      status: 'RUNNING',
      startTime: 1_700_000_000_123,
      endTime: undefined,
      lifecycleStage: 'active',
    });
    expect(run.info.artifactUri).toBe(`mlflow-artifacts:/${experimentId}/${run.info.runId}/artifacts`);
    expect(run.data.tags).toMatchObject({ a: '1', 'mlflow.runName': 'first' });
  });

  it('reads a run with all that was logged', async () => {
    const runId = await newRun();
    await client.runs.logBatch({
      runId,
      metrics: [{ key: 'auc', value: 0.5, step: 1, timestamp: 1000 }],
      params: { depth: '6' },
      tags: { t: 'x' },
    });
    const run = await client.runs.get({ runId });
    expect(run.data.metrics).toMatchObject([{ key: 'auc', value: 0.5, step: 1, timestamp: 1000 }]);
    expect(run.data.params).toEqual({ depth: '6' });
    expect(run.data.tags).toMatchObject({ t: 'x' });
    expect(run.inputs).toEqual({ datasets: [], modelIds: [] });
  });

  it('answers isNotFound for a run that does not exist', async () => {
    const missing = client.runs.get({ runId: '0'.repeat(32) });
    await expect(missing).rejects.toMatchObject({ status: 404, isNotFound: true, retryable: false });
    await expect(missing).rejects.toThrow(/runs\.get failed: 404 RESOURCE_DOES_NOT_EXIST.*GET http:/);
  });

  it('updates a run and finishes it', async () => {
    const runId = await newRun('before');
    expect((await client.runs.update({ runId, runName: 'after' })).runName).toBe('after');
    const ended = await client.runs.finish({ runId, endTime: 1_700_000_000_999 });
    expect(ended).toMatchObject({ status: 'FINISHED', endTime: 1_700_000_000_999 });
    const failed = await client.runs.finish({ runId: await newRun(), status: 'FAILED' });
    expect(failed.status).toBe('FAILED');
    expect(Math.abs((failed.endTime ?? 0) - Date.now())).toBeLessThan(30_000);
  });

  it('deletes a run', async () => {
    const runId = await newRun();
    await client.runs.delete({ runId });
    expect((await client.runs.get({ runId })).info.lifecycleStage).toBe('deleted');
  });

  it('restores a run', async () => {
    const runId = await newRun();
    await client.runs.delete({ runId });
    await client.runs.restore({ runId });
    await client.runs.restore({ runId });
    expect((await client.runs.get({ runId })).info.lifecycleStage).toBe('active');
  });

  it('searches runs with filter, order and pages', async () => {
    const id = await client.experiments.create({ name: unique('search-runs') });
    for (const auc of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) {
      const run = await client.runs.create({ experimentId: id });
      await client.runs.logBatch({ runId: run.info.runId, metrics: [{ key: 'auc', value: auc }] });
    }
    const runs = await collect(
      client.runs.search({
        experimentIds: [id],
        filter: 'metrics.auc > 0.15',
        orderBy: ['metrics.auc DESC'],
        pageSize: 2,
      }),
    );
    expect(runs.map((run) => run.data.metrics[0]?.value)).toEqual([0.7, 0.6, 0.5, 0.4, 0.3, 0.2]);
    await expect(
      collect(client.runs.search({ experimentIds: [id], filter: 'nonsense ===' })),
    ).rejects.toMatchObject({
      status: 400,
      errorCode: 'INVALID_PARAMETER_VALUE',
    });
  });

  it('reads the whole history of a metric page by page', async () => {
    const runId = await newRun();
    const metrics = Array.from({ length: 25 }, (_, step) => ({
      key: 'loss',
      value: step / 10,
      step,
      timestamp: 1000 + step,
    }));
    await client.runs.logBatch({ runId, metrics });
    const history = await collect(client.runs.metricHistory({ runId, key: 'loss', pageSize: 10 }));
    expect(history.map((metric) => metric.step).sort((a, b) => a - b)).toEqual(
      metrics.map((metric) => metric.step),
    );
    expect(history.every((metric) => metric.timestamp === 1000 + metric.step)).toBe(true);
    expect(await collect(client.runs.metricHistory({ runId, key: 'other' }))).toEqual([]);
  });

  it('reads a metric of several runs at once', async () => {
    const runIds = [await newRun(), await newRun()];
    for (const runId of runIds) {
      await client.runs.logBatch({
        runId,
        metrics: [1, 2, 3].map((step) => ({ key: 'loss', value: step, step, timestamp: step })),
      });
    }
    const all = await client.runs.metricHistoryBulk({ runIds, key: 'loss' });
    expect(all).toHaveLength(6);
    expect(new Set(all.map((metric) => metric.runId))).toEqual(new Set(runIds));
    const some = await client.runs.metricHistoryBulk({ runIds, key: 'loss', startStep: 2, endStep: 3 });
    expect(some.map((metric) => metric.step).sort()).toEqual([2, 2, 3, 3]);
    const one = await client.runs.metricHistoryBulk({ runIds: runIds.slice(0, 1), key: 'loss' });
    expect(one).toHaveLength(3);
  });
});
