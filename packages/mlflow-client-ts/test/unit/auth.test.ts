import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MlflowClient, MlflowError } from '../../src/index.ts';
import { type FaultServer, json, mlflowError, startFaultServer } from '../support/fault-server.ts';

let server: FaultServer;

beforeAll(async () => {
  server = await startFaultServer();
});

afterAll(() => server.close());

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

async function authorization(client: MlflowClient): Promise<string | undefined> {
  server.script(json(200, {}));
  await client.server.health();
  return server.seen[0]?.headers.authorization;
}

function withCredentials(username: string, password: string): string {
  const url = new URL(server.url);
  url.username = username;
  url.password = password;
  return url.href;
}

describe('authentication', () => {
  it('sends nothing by default', async () => {
    expect(await authorization(new MlflowClient({ trackingUri: server.url }))).toBeUndefined();
  });

  it('sends basic credentials as UTF-8', async () => {
    const auth = { type: 'basic', username: 'ü', password: 'p:w' } as const;
    expect(await authorization(new MlflowClient({ trackingUri: server.url, auth }))).toBe(basic('ü:p:w'));
  });

  it('sends a bearer token', async () => {
    const auth = { type: 'bearer', token: 't0ken' } as const;
    expect(await authorization(new MlflowClient({ trackingUri: server.url, auth }))).toBe('Bearer t0ken');
  });

  it('asks for custom headers before every attempt', async () => {
    let calls = 0;
    const headers = async (): Promise<Record<string, string>> => {
      calls += 1;
      return { 'X-Token': `token-${calls}` };
    };
    const client = new MlflowClient({
      trackingUri: server.url,
      auth: { type: 'custom', headers },
      retry: { baseDelayMs: 1 },
    });
    server.script(mlflowError(503, 'X'), json(200, {}));
    await client.server.health();
    expect(server.seen.map((request) => request.headers['x-token'])).toEqual(['token-1', 'token-2']);
  });

  it('takes credentials out of the tracking URI', async () => {
    const client = new MlflowClient({ trackingUri: withCredentials('user', 'hunter 2') });
    expect(await authorization(client)).toBe(basic('user:hunter 2'));
    expect(client.trackingUri).toBe(server.url);
  });

  it('reads the environment', async () => {
    const MLFLOW_TRACKING_URI = server.url;
    expect(
      await authorization(MlflowClient.fromEnv({ MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN: 't' })),
    ).toBe('Bearer t');
    const user = { MLFLOW_TRACKING_USERNAME: 'u', MLFLOW_TRACKING_PASSWORD: 'p' };
    const both = MlflowClient.fromEnv({ MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN: 't', ...user });
    expect(await authorization(both)).toBe(basic('u:p'));
    expect(() => MlflowClient.fromEnv({})).toThrow(/MLFLOW_TRACKING_URI is not set/);
  });

  it('sends the workspace header, but not to workspace administration', async () => {
    const client = MlflowClient.fromEnv({ MLFLOW_TRACKING_URI: server.url, MLFLOW_WORKSPACE: 'team-a' });
    server.script(json(200, {}));
    await client.server.health();
    await client.workspaces.list();
    expect(server.seen.map((request) => request.headers['x-mlflow-workspace'])).toEqual([
      'team-a',
      undefined,
    ]);
  });

  it('never shows credentials in an error', async () => {
    const secret = 'hunter2';
    const client = new MlflowClient({
      trackingUri: withCredentials('user', secret),
      retry: { maxAttempts: 1 },
    });
    server.script(mlflowError(500, 'X'));
    const failing = client.runs.get({ runId: 'r' });
    await expect(failing).rejects.toBeInstanceOf(MlflowError);
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    expect(String(error) + JSON.stringify(error)).not.toContain(secret);
    expect(() => new MlflowClient({ trackingUri: `ftp://user:${secret}@host` })).toThrow(
      /must be an http or https URL/,
    );
    expect(() => new MlflowClient({ trackingUri: `http://user:${secret}@ho st` })).toThrow(/not a valid URL/);
    expect(() => new MlflowClient({ trackingUri: `http://user:${secret}@ho st` })).not.toThrow(
      new RegExp(secret),
    );
  });

  it('does not follow redirects with credentials', async () => {
    server.script((response) =>
      response.writeHead(302, { location: 'http://elsewhere.invalid/login?next=x' }).end(),
    );
    const client = new MlflowClient({ trackingUri: server.url, auth: { type: 'bearer', token: 't' } });
    await expect(client.server.version()).rejects.toMatchObject({
      status: 302,
      message: expect.stringContaining('redirected to http://elsewhere.invalid/login;'),
    });
    expect(server.seen).toHaveLength(1);
  });
});
