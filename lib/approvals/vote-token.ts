import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { PerennialActivities } from '../../contracts/activities.ts';
import { describeIssues } from '../../contracts/issues.ts';
import { samePerson } from '../../contracts/people.ts';
import {
  VOTE_AUDIENCE,
  VOTE_LIFETIME_S,
  type VoteClaims,
  type VoteVerdict,
  voteClaims,
  voteToken,
} from '../../contracts/votes.ts';
import type { Approver, ApproverList } from './approver-list.ts';

/** Signatures that only the holder of a private key can make. */
export const VOTE_ALGORITHMS: readonly string[] = ['EdDSA', 'ES256', 'RS256', 'PS256'];

/** Seconds by which clocks may differ. */
const LEEWAY_S = 30;
/** Age at which the keys of an address are fetched again. */
const JWKS_AGE_MS = 5 * 60_000;
const JWKS_BYTES = 1_000_000;

/** A refusal on its way out. */
class Refusal extends Error {}

/**
 * Verifies signed votes: JSON Web Tokens (RFC 7519) of people whom the list of approvers knows, checked by `jose`. A
 * token counts for its `sub` alone, and only with a key of that person.
 */
export class VoteTokens {
  readonly #remote = new Map<string, JWTVerifyGetKey>();

  constructor(private readonly list: ApproverList) {}

  /**
   * Never throws for a token that is bad: that is the verdict.
   *
   * @param question what the token must be about
   * @param now epoch milliseconds
   * @throws PerennialError `ApprovalImpossible` where this worker has no list of approvers
   */
  async verify(
    { token, candidate, run }: Parameters<PerennialActivities['verifyVote']>[0],
    now: number = Date.now(),
  ): Promise<VoteVerdict> {
    // Without a list nothing can be said of any token.
    await this.list.approvers();
    let claimed: string | null = null;
    try {
      if (!voteToken.safeParse(token).success) throw new Refusal('the token is not a compact JWT');
      claimed = claimedBy(token);
      const approver = await this.#approver(claimed);
      const claims = claimsOf(await this.#payload(token, approver, now), now);
      if (!samePerson(claims.sub, approver.name)) throw new Refusal('the token is of somebody else');
      if (claims.candidate !== candidate)
        throw new Refusal(
          `the token is for candidate ${claims.candidate.slice(0, 12)}, under review is ${candidate.slice(0, 12)}; sign the one under review`,
        );
      if (claims.run !== run)
        throw new Refusal(
          `the token is for run ${claims.run.slice(0, 200)}, this is ${run}; sign for this run`,
        );
      const { decision, reason, jti } = claims;
      if (decision === 'reject' && reason.trim() === '') throw new Refusal('a rejection needs a reason');
      return { state: 'verified', by: approver.name, roles: approver.roles, decision, reason, token: jti };
    } catch (error) {
      if (error instanceof Refusal) return { state: 'refused', claimed, reason: error.message };
      throw error;
    }
  }

  async #approver(claimed: string | null): Promise<Approver> {
    if (claimed === null) throw new Refusal('the token does not say who votes (sub)');
    const approver = await this.list.find(claimed);
    if (!approver) throw new Refusal(`the worker’s list of approvers knows nobody of the name ${claimed}`);
    return approver;
  }

  /** The claims of a token that one of the person's own keys has signed. */
  async #payload(token: string, approver: Approver, now: number): Promise<JWTPayload> {
    const options: JWTVerifyOptions = {
      audience: VOTE_AUDIENCE,
      algorithms: [...VOTE_ALGORITHMS],
      clockTolerance: LEEWAY_S,
      currentDate: new Date(now),
      requiredClaims: ['exp', 'iat', 'sub', 'jti'],
      ...(approver.issuer === undefined ? {} : { issuer: approver.issuer }),
    };
    const { alg } = headerOf(token);
    if (typeof alg !== 'string' || !VOTE_ALGORITHMS.includes(alg))
      throw new Refusal(
        `the token is signed by algorithm ${String(alg).slice(0, 20)}; expected one of ${VOTE_ALGORITHMS.join(', ')}`,
      );
    let unreachable = false;
    for (const { keys, remote } of this.#keySets(approver)) {
      const outcome = await verified(token, keys, options);
      // A key of the list that cannot be used is one that did not sign.
      if (outcome === 'unreachable') unreachable ||= remote;
      else if (outcome !== 'foreign') return outcome;
    }
    throw new Refusal(
      unreachable
        ? `the keys of ${approver.name} cannot be had from their address now; send the vote again later`
        : `the token is not signed by a key of ${approver.name}`,
    );
  }

  #keySets({ keys, jwks }: Approver): { keys: JWTVerifyGetKey; remote: boolean }[] {
    return [
      ...keys.map((key) => ({ keys: createLocalJWKSet({ keys: [key] }), remote: false })),
      ...(jwks === undefined ? [] : [{ keys: this.#remoteSet(jwks), remote: true }]),
    ];
  }

  #remoteSet(address: string): JWTVerifyGetKey {
    const known = this.#remote.get(address);
    if (known) return known;
    const set = createRemoteJWKSet(new URL(address), {
      cacheMaxAge: JWKS_AGE_MS,
      [customFetch]: (url, options) => boundedFetch(url, options),
    });
    this.#remote.set(address, set);
    return set;
  }
}

/** One key after the other where several fit. */
async function verified(
  token: string,
  keys: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload | 'foreign' | 'unreachable'> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      for await (const key of error) {
        const outcome = await verified(token, async () => key, options);
        if (outcome !== 'foreign') return outcome;
      }
      return 'foreign';
    }
    return outcomeOf(error);
  }
}

/** @throws Refusal where the key fits, and the token is bad */
function outcomeOf(error: unknown): 'foreign' | 'unreachable' {
  if (error instanceof errors.JWTExpired) throw new Refusal('the token has expired; sign another one');
  if (error instanceof errors.JWTClaimValidationFailed) throw new Refusal(claimProblem(error));
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    // A key of another kind than the algorithm asks for, or one that is too short.
    error instanceof errors.JOSENotSupported ||
    (error instanceof TypeError && !('cause' in error))
  )
    return 'foreign';
  if (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSEAlgNotAllowed
  )
    throw new Refusal('the token is not a JWT that can be checked');
  return 'unreachable';
}

function claimProblem({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (claim === 'aud') return `the token is not for this use; its aud must be ${VOTE_AUDIENCE}`;
  if (claim === 'iss') return 'the token is not of the issuer that the list of approvers names (iss)';
  if (reason === 'missing') return `the token has no ${claim}`;
  return `the token’s ${claim} does not hold`;
}

function claimsOf(payload: JWTPayload, now: number): VoteClaims {
  const { iat = 0, exp = 0 } = payload;
  const seconds = now / 1_000;
  if (exp <= seconds) throw new Refusal('the token has expired; sign another one');
  if (iat > seconds + LEEWAY_S)
    throw new Refusal(`the token is from the future (iat); clocks may differ by ${LEEWAY_S} s`);
  if (exp - iat > VOTE_LIFETIME_S)
    throw new Refusal(
      `the token is valid for ${Math.round(exp - iat)} s; at most ${VOTE_LIFETIME_S} s count`,
    );
  if (exp <= iat) throw new Refusal('the token expires before it was made');
  const claims = voteClaims.safeParse(payload);
  if (claims.success) return claims.data;
  throw new Refusal(`the token’s claims: ${describeIssues(claims.error, payload)}`.slice(0, 500));
}

function headerOf(token: string): { alg?: unknown } {
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw new Refusal('the token is not a JWT that can be read');
  }
}

/** Whom the token says it is of, before anything is verified. */
function claimedBy(token: string): string | null {
  try {
    const { sub } = decodeJwt(token);
    const named = voteClaims.shape.sub.safeParse(sub);
    return named.success ? named.data : null;
  } catch {
    throw new Refusal('the token is not a JWT that can be read');
  }
}

/** An address that answers without end must not fill the worker's memory. */
async function boundedFetch(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (!response.body) return response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > JWKS_BYTES) throw new Error('the JWKS is too large');
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: response.headers });
}
