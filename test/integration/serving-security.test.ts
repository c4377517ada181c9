import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type SecureContextOptions } from 'node:tls';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { addServerKey, revokeServerKey } from '../../client/server-keys.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { tokenDigest } from '../../serving/security/caller.ts';
import { ModelServer, type ModelServerOptions } from '../../serving/server.ts';
import { makeCertificates } from '../support/certificates.ts';
import { churnServed, plusModel } from './serving-models.ts';

/** Refusals are told once in so many milliseconds. */
const TELL_EVERY_MS = 10_000;
const INFER = '{"inputs":[{"name":"age","shape":[1],"datatype":"FP32","data":[30]}]}';

let folder: string;
let store: ArtifactStore;
let server: ModelServer | undefined;
let logged = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-security-'));
  store = await ArtifactStore.create(join(folder, 'store'));
  logged = '';
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function create(options: Partial<ModelServerOptions>): Promise<string> {
  const write = (line: string): void => {
    logged += line;
  };
  server = await ModelServer.create({
    serverId: 's',
    store,
    routesFile: join(folder, 'routes.json'),
    logger: pino({ level: 'info' }, { write }),
    ...options,
  });
  const one = await churnServed(store, '1');
  await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model: one, weight: 100 }] });
  await server.applyRoutes({
    endpoint: 'plus',
    generation: 1,
    routes: [{ model: await plusModel(store, '1', 1), weight: 100 }],
  });
  await server.loadCandidate('churn', await churnServed(store, '2'));
  return server.url;
}

const bearer = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

const infer = (url: string, token?: string, path = 'churn'): Promise<Response> =>
  fetch(`${url}/v2/models/${path}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer(token) },
    body: INFER,
  });

const status = async (answer: Promise<Response>): Promise<number> => (await answer).status;

const get = (url: string, token?: string): Promise<number> => status(fetch(url, { headers: bearer(token) }));

async function until<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await sleep(50);
  }
}

describe('API keys', () => {
  it('let each caller do what its roles say, and no more', async () => {
    const keysFile = join(folder, 'keys.json');
    const predict = addServerKey(keysFile, { id: 'predict', roles: ['predict'] }).token;
    const operate = addServerKey(keysFile, { id: 'ops', roles: ['operate', 'predict'] }).token;
    const feedback = addServerKey(keysFile, { id: 'truth', roles: ['feedback'] }).token;
    const plus = addServerKey(keysFile, { id: 'plus', roles: ['predict'], endpoints: ['plus'] }).token;
    const url = await create({ access: { keysFile, keysRequired: true } });
    const began = performance.now();

    expect(await status(infer(url, predict))).toBe(200);
    expect(await status(infer(url, predict, 'churn/versions/1'))).toBe(200);
    expect(await status(infer(url, predict, 'churn/versions/2'))).toBe(403);
    expect(await status(infer(url, operate, 'churn/versions/2'))).toBe(200);
    expect(await status(infer(url, feedback))).toBe(403);
    expect(await status(infer(url, plus))).toBe(403);
    expect(await status(infer(url, plus, 'no-such-model'))).toBe(403);
    expect(await status(infer(url, predict, 'no-such-model'))).toBe(404);
    expect(await get(`${url}/v2/models/churn`)).toBe(401);
    expect(await get(`${url}/v2/models/churn`, predict)).toBe(200);
    expect(await get(`${url}/metrics`)).toBe(401);
    expect(await get(`${url}/metrics`, predict)).toBe(403);
    expect(await get(`${url}/metrics`, operate)).toBe(200);
    for (const open of ['/v2/health/live', '/v2/health/ready', '/ping', '/version', '/v2'])
      expect([open, await get(url + open)]).toEqual([open, 200]);

    // Whatever was wrong, the answer is the same.
    const answers = await Promise.all(
      [undefined, 'x', `${predict}x`, predict.slice(0, -1), 'a.b.c', ''].map(async (token) => {
        const answer = await infer(url, token);
        return [answer.status, answer.headers.get('www-authenticate'), await answer.text()];
      }),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]?.slice(0, 2)).toEqual([401, 'Bearer']);
    // Many refusals, few lines; no token among them.
    for (let i = 0; i < 50; i++) await infer(url, 'wrong-token');
    const lines = logged.match(/without a key/g)?.length;
    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / TELL_EVERY_MS));
    for (const token of [predict, operate, 'wrong-token']) expect(logged).not.toContain(token);
  });

  it('come into force, expire and are revoked while the server runs; no key opens it again', async () => {
    const keysFile = join(folder, 'keys.json');
    const url = await create({ access: { keysFile } });
    expect(await status(infer(url))).toBe(200);
    const { token } = addServerKey(keysFile, { id: 'a', roles: ['predict'] });
    const past = addServerKey(keysFile, { id: 'old', roles: ['predict'], expires: '2020-01-01T00:00:00Z' });
    await until(
      () => status(infer(url)),
      (code) => code === 401,
    );
    expect(await status(infer(url, token))).toBe(200);
    expect(await status(infer(url, past.token))).toBe(401);
    revokeServerKey(keysFile, 'a');
    await until(
      () => status(infer(url, token)),
      (code) => code === 401,
    );
    // A file that turns bad, or goes, changes nothing for the better of anybody.
    await writeFile(keysFile, '{');
    await until(
      async () => logged,
      (text) => text.includes('cannot be used'),
    );
    await rm(keysFile);
    await until(
      async () => logged,
      (text) => text.includes('"gone":true'),
    );
    expect(await status(infer(url))).toBe(401);
  });

  it('are bounded by a rate of their own, with the time to wait', async () => {
    const keysFile = join(folder, 'keys.json');
    const few = addServerKey(keysFile, {
      id: 'few',
      roles: ['predict'],
      rate: { perSecond: 0.01, burst: 3 },
    }).token;
    const usual = addServerKey(keysFile, { id: 'usual', roles: ['predict'] }).token;
    const url = await create({ access: { keysFile } });
    const codes: number[] = [];
    for (let i = 0; i < 5; i++) codes.push(await status(infer(url, few)));
    expect(codes).toEqual([200, 200, 200, 429, 429]);
    const refused = await infer(url, few);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('requests a second') });
    expect(await status(infer(url, usual))).toBe(200);
  });

  it('in a file that others can read, or that is none, stop the start', async () => {
    const keysFile = join(folder, 'keys.json');
    await expect(create({ access: { keysFile, keysRequired: true } })).rejects.toThrow('server-key add');
    addServerKey(keysFile, { id: 'a', roles: ['predict'] });
    await chmod(keysFile, 0o644);
    await expect(create({ access: { keysFile } })).rejects.toThrow('chmod 600');
    await chmod(keysFile, 0o600);
    await writeFile(keysFile, '{"formatVersion":1,"keys":[{"id":"a"}]}');
    await expect(create({ access: { keysFile } })).rejects.toThrow('not a file of API keys');
  });
});

describe('an address that others reach', () => {
  it('needs authentication, or a word that it is meant so', async () => {
    await expect(create({ host: '0.0.0.0' })).rejects.toThrow('PERENNIAL_SERVER_ALLOW_ANONYMOUS');
    const url = await create({ host: '0.0.0.0', allowAnonymous: true });
    expect(await status(infer(url))).toBe(200);
    expect(logged).toContain('anybody who reaches this address');
  });
});

describe('JSON Web Tokens', () => {
  const issuer = 'https://issuer.example';
  const audience = 'perennial';
  let pair: Awaited<ReturnType<typeof generateKeyPair>>;
  let stranger: typeof pair;
  beforeAll(async () => {
    pair = await generateKeyPair('ES256', { extractable: true });
    stranger = await generateKeyPair('ES256', { extractable: true });
  });

  const token = (change: (jwt: SignJWT) => SignJWT = (jwt) => jwt, roles: unknown = ['predict'], by = pair) =>
    change(
      new SignJWT({ realm: { roles } })
        .setProtectedHeader({ alg: 'ES256' })
        .setSubject('shop')
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime('5m'),
    ).sign(by.privateKey);

  it.each(['JWKS', 'PEM'])('are checked by the keys of a %s file', async (kind) => {
    const keys = join(folder, 'keys');
    const text =
      kind === 'PEM'
        ? await exportSPKI(pair.publicKey)
        : JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'ES256' }] });
    await writeFile(keys, text);
    const jwt = { keys, issuer, audience, rolesClaim: 'realm.roles', clockToleranceSeconds: 1 };
    const url = await create({ access: { jwt } });
    const good = await token();
    expect(await status(infer(url, good))).toBe(200);
    expect(await status(infer(url, good))).toBe(200);
    expect(await status(infer(url, await token((made) => made, 'predict operate'), 'churn/versions/2'))).toBe(
      200,
    );
    expect(await status(infer(url, good, 'churn/versions/2'))).toBe(403);
    expect(await status(infer(url, await token((made) => made, 'admin')))).toBe(403);
    const bad = [
      await token((made) => made.setIssuer('https://other.example')),
      await token((made) => made.setAudience('other')),
      await token((made) => made.setExpirationTime(new Date(Date.now() - 60_000))),
      await token((made) => made.setNotBefore('2m')),
      await token((made) => made, ['predict'], stranger),
      new UnsecuredJWT({ realm: { roles: ['operate'] } })
        .setSubject('x')
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime('5m')
        .encode(),
      await new SignJWT({ realm: { roles: ['predict'] } })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('x')
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime('5m')
        .sign(new TextEncoder().encode(text)),
      await new SignJWT({ realm: { roles: ['predict'] } })
        .setProtectedHeader({ alg: 'ES256' })
        .setSubject('x')
        .setIssuer(issuer)
        .setAudience(audience)
        .sign(pair.privateKey),
      `${good.slice(0, -4)}AAAA`,
    ];
    for (const [index, wrong] of bad.entries())
      expect([index, await status(infer(url, wrong))]).toEqual([index, 401]);
    // One that was good and has expired is not remembered as good.
    expect(await status(infer(url, good))).toBe(200);
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 10 * 60_000);
    try {
      expect(await status(infer(url, good))).toBe(401);
    } finally {
      clock.mockRestore();
    }
    expect(await status(infer(url, good))).toBe(200);
  });

  it('need keys that can be read', async () => {
    const keys = join(folder, 'keys');
    await writeFile(keys, 'no key');
    await expect(create({ access: { jwt: { keys, issuer, audience } } })).rejects.toThrow('neither a JWKS');
    await expect(
      create({ access: { jwt: { keys: 'http://issuer.example/jwks', issuer, audience } } }),
    ).rejects.toThrow('https');
  });
});

describe('TLS', () => {
  let certificates: ReturnType<typeof makeCertificates>;
  beforeAll(() => {
    certificates = makeCertificates();
  });

  async function files(): Promise<{ cert: string; key: string }> {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(cert, certificates.valid.cert);
    await writeFile(key, certificates.valid.key);
    return { cert, key };
  }

  async function ask(url: string, options: SecureContextOptions & { token?: string } = {}): Promise<number> {
    const { token, ...tls } = options;
    const sent = request(`${url}/v2/models/churn/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(token) },
      ca: certificates.authority,
      agent: false,
      ...tls,
    });
    sent.end(INFER);
    const [answer] = await once(sent, 'response');
    answer.resume();
    return answer.statusCode;
  }

  async function serial(url: string): Promise<string> {
    const socket = connect({
      port: Number(new URL(url).port),
      host: '127.0.0.1',
      ca: certificates.authority,
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return new X509Certificate(raw).serialNumber;
  }

  it('serves by its files and takes up new ones; a pair that does not fit changes nothing', async () => {
    const tls = await files();
    const url = await create({ tls });
    expect(url).toMatch(/^https:/);
    expect(await ask(url)).toBe(200);
    const before = await serial(url);
    await writeFile(tls.cert, certificates.other.cert);
    await until(
      async () => logged,
      (text) => text.includes('changed TLS files cannot be used'),
    );
    expect(await serial(url)).toBe(before);
    await writeFile(tls.key, certificates.other.key);
    await until(
      () => serial(url),
      (now) => now !== before,
    );
    await expect(ask(url)).rejects.toThrow(/altnames|Hostname/);
  });

  it('asks clients for certificates where it is told their authority; that is authentication', async () => {
    const clientCa = join(folder, 'ca.pem');
    await writeFile(clientCa, certificates.authority);
    const url = await create({ tls: { ...(await files()), clientCa }, host: '0.0.0.0' });
    await expect(ask(url.replace('0.0.0.0', '127.0.0.1'))).rejects.toThrow();
    expect(await ask(url.replace('0.0.0.0', '127.0.0.1'), certificates.valid)).toBe(200);
  });

  it('has a plain socket beside it for the server itself alone', async () => {
    const keysFile = join(folder, 'keys.json');
    const { token } = addServerKey(keysFile, { id: 'a', roles: ['predict', 'operate'] });
    const internalSha256 = tokenDigest('internal').toString('hex');
    const { createServer } = await import('node:net');
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const address = probe.address();
    const internalPort = typeof address === 'object' && address ? address.port : 0;
    probe.close();
    const url = await create({ tls: await files(), internalPort, access: { keysFile, internalSha256 } });
    const { internalUrl = '' } = server ?? {};
    expect(internalUrl).toBe(`http://127.0.0.1:${internalPort}`);
    expect(await ask(url, { token })).toBe(200);
    expect(await status(infer(internalUrl, 'internal', 'churn/versions/2'))).toBe(200);
    expect(await status(infer(internalUrl, token))).toBe(401);
    expect(await status(infer(internalUrl))).toBe(401);
  });

  it('says which file cannot be used', async () => {
    const tls = await files();
    await writeFile(tls.key, certificates.other.key);
    await expect(create({ tls })).rejects.toThrow('cannot be used together');
    await rm(tls.cert);
    await expect(create({ tls })).rejects.toThrow('cert.pem cannot be read');
  });
});
