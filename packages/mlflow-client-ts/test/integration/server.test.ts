import { describe, expect, inject, it } from 'vitest';
import { MlflowClient } from '../../src/index.ts';
import { freePort } from '../support/mlflow-server.ts';
import { testClient } from '../support/recording.ts';

const client = testClient();

describe('server', () => {
  it('tells its version', async () => {
    expect(await client.server.version()).toMatch(/^3\.\d+\.\d+/);
  });

  it('answers its health check', async () => {
    await expect(client.server.health()).resolves.toBeUndefined();
  });

  it('tells what it can do', async () => {
    expect(await client.server.info()).toEqual({
      storeType: 'SqlStore',
      workspacesEnabled: false,
      traceArchivalEnabled: false,
      multipartUploadsEnabled: false,
      multipartDownloadsEnabled: false,
    });
  });

  it('explains at once that workspaces are off', async () => {
    let calls = 0;
    const counting = testClient({
      fetch: (input, init) => {
        calls += 1;
        return fetch(input, init);
      },
    });
    await expect(counting.workspaces.list()).rejects.toMatchObject({ status: 503, retryable: false });
    expect(calls).toBe(1);
  });

  it('refuses a workspace on a server without workspaces', async () => {
    const experiments = testClient({ workspace: 'team-a' }).experiments;
    await expect(experiments.get({ experimentId: '0' })).rejects.toMatchObject({
      errorCode: 'FEATURE_DISABLED',
    });
  });

  it('is not taken for MLflow when the path is wrong', async () => {
    const wrong = new MlflowClient({ trackingUri: `${inject('mlflowUri')}/somewhere` });
    await expect(wrong.experiments.get({ experimentId: '0' })).rejects.toMatchObject({
      status: 404,
      errorCode: undefined,
      isNotFound: false,
    });
  });

  it('is reported as a network error when it is not there', async () => {
    const nobody = new MlflowClient({
      trackingUri: `http://user:hunter2@127.0.0.1:${await freePort()}`,
      retry: { maxAttempts: 2, baseDelayMs: 1 },
    });
    const failing = nobody.server.version();
    await expect(failing).rejects.toMatchObject({ code: 'network', retryable: true, status: undefined });
    await expect(failing).rejects.toThrow(/server\.version got no answer: ECONNREFUSED \(GET http:\/\/127/);
    await expect(failing).rejects.not.toThrow(/hunter2/);
  });
});
