import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { predict } from '../../client/servers.ts';

afterEach(() => vi.unstubAllEnvs());

/** What a server is sent as `authorization`. */
async function authorizationSent(token?: string): Promise<string | undefined> {
  let sent: string | undefined;
  const server = createServer((request, response) => {
    sent = request.headers.authorization;
    response.end('{"predictions": []}');
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  try {
    await predict(`http://127.0.0.1:${port}`, 'e', {}, token);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return sent;
}

describe('the token of the model server', () => {
  it('comes from the environment', async () => {
    vi.stubEnv('PERENNIAL_SECRET_SERVER_TOKEN', 'from-env');
    expect(await authorizationSent()).toBe('Bearer from-env');
    expect(await authorizationSent('given')).toBe('Bearer given');
  });

  it('is left out where there is none', async () => {
    vi.stubEnv('PERENNIAL_SECRET_SERVER_TOKEN', undefined);
    expect(await authorizationSent()).toBeUndefined();
  });
});
