import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MlflowClient } from '../../src/index.ts';
import { canImport, type MlflowServer, startMlflow } from '../support/mlflow-server.ts';
import { unique } from '../support/recording.ts';

describe('basic auth', () => {
  const username = 'admin';
  // ASCII only: MLflow 3.17.2 reads basic credentials as ASCII on its artifact upload route.
  const password = 'a long pass:word';
  let server: MlflowServer;

  beforeAll(async () => {
    if (!(await canImport('flask_wtf')))
      throw new Error("MLflow's basic-auth app needs Flask-WTF: pip install 'mlflow[auth]==3.17.2'");
    server = await startMlflow({
      args: ['--app-name', 'basic-auth'],
      env: {
        MLFLOW_FLASK_SERVER_SECRET_KEY: 'only-for-this-test',
        MLFLOW_AUTH_ADMIN_USERNAME: username,
        MLFLOW_AUTH_ADMIN_PASSWORD: password,
      },
    });
  });

  afterAll(async () => {
    await server?.stop();
  });

  it('lets the right password in', async () => {
    const client = new MlflowClient({ trackingUri: server.uri, auth: { type: 'basic', username, password } });
    const experimentId = await client.experiments.create({ name: unique('auth') });
    const run = await client.runs.create({ experimentId });
    await client.artifacts.upload({ runId: run.info.runId, path: 'a.txt', body: 'x' });
  });

  it('takes the password from the tracking URI and from the environment', async () => {
    const uri = new URL(server.uri);
    uri.username = username;
    uri.password = password;
    await new MlflowClient({ trackingUri: uri.href }).experiments.get({ experimentId: '0' });
    await MlflowClient.fromEnv({
      MLFLOW_TRACKING_URI: server.uri,
      MLFLOW_TRACKING_USERNAME: username,
      MLFLOW_TRACKING_PASSWORD: password,
    }).experiments.get({ experimentId: '0' });
  });

  it('keeps a wrong password and a missing one out', async () => {
    const wrong = new MlflowClient({
      trackingUri: server.uri,
      auth: { type: 'basic', username, password: 'not it at all' },
    });
    const failing = wrong.experiments.get({ experimentId: '0' });
    await expect(failing).rejects.toMatchObject({ status: 401, isUnauthorized: true, retryable: false });
    await expect(failing).rejects.not.toThrow(/not it at all/);
    const nobody = new MlflowClient({ trackingUri: server.uri });
    await expect(nobody.experiments.get({ experimentId: '0' })).rejects.toMatchObject({ status: 401 });
  });

  it('tells its version to anyone', async () => {
    await expect(new MlflowClient({ trackingUri: server.uri }).server.info()).resolves.toBeDefined();
  });
});
