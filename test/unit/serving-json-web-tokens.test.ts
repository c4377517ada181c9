import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { JsonWebTokens } from '../../serving/security/json-web-tokens.ts';
import { jwtSettings } from '../../serving/security/jwt-settings.ts';

const MINUTE = 60_000;
const issuer = 'https://issuer.example';
const audience = 'perennial';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('a key that its issuer withdraws from an address is not taken for long, however long its tokens are good', async () => {
  const [old, next] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
  const jwk = async (pair: typeof old, kid: string): Promise<object> => ({
    ...(await exportJWK(pair.publicKey)),
    kid,
    alg: 'ES256',
  });
  let keys = [await jwk(old, 'old')];
  let fetched = 0;
  // The issuer, at the edge to the network.
  vi.stubGlobal('fetch', async () => {
    fetched += 1;
    return Response.json({ keys });
  });
  const tokens = await JsonWebTokens.create(jwtSettings.parse({ keys: `${issuer}/jwks`, issuer, audience }));
  const token = await new SignJWT({ roles: ['predict'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'old' })
    .setSubject('shop')
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime('30d')
    .sign(old.privateKey);
  expect(await tokens.find(token, Date.now())).toMatchObject({ id: 'subject shop' });
  expect(await tokens.find(token, Date.now())).toMatchObject({ id: 'subject shop' });
  expect(fetched).toBe(1);
  // Good after the memory has ended, as long as the key is there.
  vi.setSystemTime(Date.now() + 6 * MINUTE);
  expect(await tokens.find(token, Date.now())).toMatchObject({ id: 'subject shop' });
  expect(fetched).toBe(2);
  keys = [await jwk(next, 'next')];
  vi.setSystemTime(Date.now() + 11 * MINUTE);
  expect(await tokens.find(token, Date.now())).toBeUndefined();
});
