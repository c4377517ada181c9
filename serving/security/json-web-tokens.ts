import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  importSPKI,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { type ServerRole, serverRole } from '../../contracts/server-keys.ts';
import type { Caller } from './caller.ts';
import { type JwtSettings, jwtKeysFile } from './jwt-settings.ts';

const jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) });

/** Tokens that were found good; checking a signature takes some fifty times as long as looking here. */
const MAX_REMEMBERED = 1_000;

/** Age at which the keys of an address are fetched again, and tokens that were found good by them are looked at anew. */
const JWKS_AGE_MS = 5 * 60_000;

/**
 * Checks JSON Web Tokens (RFC 7519) by `jose`: signature, issuer, audience, validity, algorithm. `exp` and `sub` must
 * be there. Unsigned tokens and shared secrets are never taken.
 */
export class JsonWebTokens {
  readonly #good = new Map<string, { caller: Caller; until: number }>();

  private constructor(
    private readonly settings: JwtSettings,
    private readonly keyFor: JWTVerifyGetKey,
  ) {}

  /** @throws PerennialError `InputInvalid` where the keys cannot be read */
  static async create(settings: JwtSettings): Promise<JsonWebTokens> {
    return new JsonWebTokens(settings, await keysOf(settings));
  }

  /**
   * The caller, `undefined` where anything at all is wrong with the token.
   *
   * @param now epoch milliseconds
   */
  async find(token: string, now: number): Promise<Caller | undefined> {
    const digest = createHash('sha256').update(token).digest('base64');
    const known = this.#good.get(digest);
    if (known && known.until > now) return known.caller;
    this.#good.delete(digest);
    const { issuer, audience, algorithms, clockToleranceSeconds } = this.settings;
    const options: JWTVerifyOptions = {
      issuer,
      audience,
      algorithms: [...algorithms],
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['exp', 'sub'],
      currentDate: new Date(now),
    };
    const verified = await jwtVerify(token, this.keyFor, options).catch(() => undefined);
    if (!verified) return undefined;
    const { payload } = verified;
    const caller = { id: `subject ${payload.sub ?? ''}`, roles: rolesOf(payload, this.settings.rolesClaim) };
    const expires = ((payload.exp ?? 0) + clockToleranceSeconds) * 1_000;
    // The keys of a file are watched; those of an address may be withdrawn without a word.
    const until = jwtKeysFile(this.settings) === undefined ? Math.min(expires, now + JWKS_AGE_MS) : expires;
    const [oldest] = this.#good.keys();
    if (this.#good.size >= MAX_REMEMBERED && oldest !== undefined) this.#good.delete(oldest);
    this.#good.set(digest, { caller, until });
    return caller;
  }
}

function rolesOf(payload: JWTPayload, claim: string): Set<ServerRole> {
  // A claim may have dots in its own name, as addresses do.
  const named = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
  const value =
    named ??
    claim
      .split('.')
      .reduce<unknown>(
        (part, name) =>
          typeof part === 'object' && part !== null && Object.hasOwn(part, name)
            ? Object.entries(part).find(([key]) => key === name)?.[1]
            : undefined,
        payload,
      );
  const words: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(' ') : [];
  return new Set(words.flatMap((word) => serverRole.safeParse(word).data ?? []));
}

async function keysOf({ keys, algorithms }: JwtSettings): Promise<JWTVerifyGetKey> {
  if (jwtKeysFile({ keys }) === undefined) {
    const url = new URL(keys);
    if (url.protocol !== 'https:')
      throw new PerennialError(
        'InputInvalid',
        'the address of the JWKS must be https: its keys decide who may ask',
      );
    return createRemoteJWKSet(url, { cacheMaxAge: JWKS_AGE_MS });
  }
  const text = await readFile(keys, 'utf8').catch((cause: unknown) => {
    throw new PerennialError('InputInvalid', `the file of public keys ${keys} cannot be read`, false, {
      cause,
    });
  });
  try {
    if (!text.trimStart().startsWith('{')) {
      // One key serves every algorithm of its type; jose checks that they fit.
      const imported = await Promise.all(
        algorithms.map((algorithm) =>
          importSPKI(text, algorithm).then(
            (key) => [algorithm, key] as const,
            () => undefined,
          ),
        ),
      );
      const byAlgorithm = new Map(imported.filter((entry) => entry !== undefined));
      if (byAlgorithm.size === 0) throw new Error('no algorithm fits');
      return ({ alg }) => {
        const key = [...byAlgorithm].find(([algorithm]) => algorithm === alg)?.[1];
        if (!key) throw new Error('no key for this algorithm');
        return key;
      };
    }
    return createLocalJWKSet(jwks.parse(JSON.parse(text)));
  } catch (cause) {
    throw new PerennialError(
      'InputInvalid',
      `${keys} is neither a JWKS nor a public key in PEM for ${algorithms.join(', ')}`,
      false,
      { cause },
    );
  }
}
