import { describe, expect, it } from 'vitest';
import { MlflowClient } from '../../src/index.ts';
import { codePoints } from '../../src/limits.ts';

const sent: string[] = [];
const client = new MlflowClient({
  trackingUri: 'http://127.0.0.1:1',
  fetch: async (input) => {
    sent.push(String(input));
    return new Response('{}');
  },
});

async function refusal(call: () => unknown): Promise<string> {
  sent.length = 0;
  const error = await Promise.resolve()
    .then(call)
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  expect(error).toMatchObject({ name: 'MlflowError', code: 'invalid-argument', retryable: false });
  expect(sent).toEqual([]);
  return error instanceof Error ? error.message : '';
}

const runId = 'r';

describe('what is refused before sending', () => {
  it('non-finite metrics', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const message = await refusal(() => client.runs.logMetric({ runId, key: 'auc', value }));
      expect(message).toBe(
        `metric "auc" has the value ${value}; MLflow cannot store it, log finite numbers only`,
      );
    }
  });

  it('metrics with odd timestamps or steps', async () => {
    for (const timestamp of [-1, 1.5, Number.NaN]) {
      expect(await refusal(() => client.runs.logMetric({ runId, key: 'm', value: 1, timestamp }))).toContain(
        'timestamp',
      );
    }
    expect(await refusal(() => client.runs.logMetric({ runId, key: 'm', value: 1, step: 0.5 }))).toContain(
      'step',
    );
  });

  it('params over 6 000 characters, which MLflow would cut', async () => {
    const message = await refusal(() => client.runs.logParam({ runId, key: 'p', value: 'x'.repeat(6001) }));
    expect(message).toBe('param "p" has 6001 characters; MLflow allows at most 6000');
    await refusal(() => client.runs.logBatch({ runId, params: { p: 'x'.repeat(6001) } }));
    await client.runs.logParam({ runId, key: 'p', value: 'x'.repeat(6000) });
  });

  it('run tags over 8 000 characters, which MLflow would cut', async () => {
    await refusal(() => client.runs.setTag({ runId, key: 't', value: 'x'.repeat(8001) }));
    await refusal(() => client.runs.create({ experimentId: '1', tags: { t: 'x'.repeat(8001) } }));
    await client.runs.setTag({ runId, key: 't', value: 'x'.repeat(8000) });
  });

  it('over-long and empty keys', async () => {
    await refusal(() => client.runs.logParam({ runId, key: 'k'.repeat(251), value: '' }));
    await refusal(() => client.runs.logMetric({ runId, key: '', value: 1 }));
    await refusal(() => client.experiments.setTag({ experimentId: '1', key: 'k'.repeat(251), value: '' }));
  });

  it('over-long experiment names and tags', async () => {
    await refusal(() => client.experiments.create({ name: 'n'.repeat(501) }));
    await refusal(() => client.experiments.create({ name: ' ' }));
    await refusal(() =>
      client.experiments.setTag({ experimentId: '1', key: 'k', value: 'v'.repeat(20_001) }),
    );
  });

  it('over-long registry tags', async () => {
    const value = 'v'.repeat(100_001);
    await refusal(() => client.registeredModels.setTag({ name: 'm', key: 'k', value }));
    await refusal(() => client.modelVersions.setTag({ name: 'm', version: '1', key: 'k', value }));
  });

  it('reserved and over-long aliases', async () => {
    for (const alias of ['latest', 'Latest', 'v1', 'V22', '', 'a'.repeat(256)]) {
      await refusal(() => client.registeredModels.setAlias({ name: 'm', alias, version: '1' }));
    }
    await client.registeredModels.setAlias({ name: 'm', alias: 'v1-stable', version: '1' });
  });

  it('over-long dataset fields', async () => {
    const dataset = { name: 'n', digest: 'd', sourceType: 'local', source: '{}' };
    for (const change of [
      { name: 'n'.repeat(501) },
      { digest: 'd'.repeat(37) },
      { source: 's'.repeat(65_536) },
      { schema: 's'.repeat(1_048_576) },
      { name: '' },
    ]) {
      await refusal(() =>
        client.runs.logInputs({ runId, datasets: [{ dataset: { ...dataset, ...change } }] }),
      );
    }
    const tags = { k: 'v'.repeat(501) };
    await refusal(() => client.runs.logInputs({ runId, datasets: [{ dataset, tags }] }));
  });

  it('artifact paths that climb or are absolute', async () => {
    for (const path of ['', '/a', 'a/', '../a', 'a/../b', './a', 'a//b', 'a\\b']) {
      await refusal(() => client.artifacts.upload({ uri: 'mlflow-artifacts:/x', path, body: '' }));
    }
  });

  it('artifact URIs of another server', async () => {
    const uri = 'mlflow-artifacts://elsewhere:5000/x';
    expect(await refusal(() => client.artifacts.upload({ uri, path: 'a', body: '' }))).toContain(
      'elsewhere:5000',
    );
  });

  it('identifiers a URL would resolve away', async () => {
    await refusal(() => client.webhooks.get({ webhookId: '..' }));
  });

  it('counts characters as the server does', async () => {
    expect(codePoints('𝄞𝄞')).toBe(2);
    await client.runs.logParam({ runId, key: 'p', value: '𝄞'.repeat(6000) });
    expect(await refusal(() => client.runs.logParam({ runId, key: 'p', value: '𝄞'.repeat(6001) }))).toContain(
      '6001',
    );
  });
});
