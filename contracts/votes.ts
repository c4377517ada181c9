import { z } from 'zod';
import { personName } from './people.ts';

/** A vote that counts. */
export const vote = z.strictObject({
  decision: z.enum(['approve', 'reject']),
  by: z.string(),
  reason: z.string(),
  at: z.string(),
  how: z.enum(['signal', 'update', 'policy']),
  /** Roles that the person votes in. */
  roles: z.array(z.string()).default([]),
  /** The `jti` of the token that signed it; `null`: nothing vouches for the name. */
  token: z.string().nullable().default(null),
  /** Whether the person started the run, so that an approval does not count towards the quorum. */
  author: z.boolean().default(false),
});
export type Vote = z.infer<typeof vote>;

/** What a signed vote says: the claims of the token, beside `iss`, `aud`, `iat`, `exp`. */
export const voteClaims = z.object({
  /** Who votes. */
  sub: personName,
  /** Names the token; it counts once. */
  jti: z.string().min(8).max(200),
  decision: z.enum(['approve', 'reject']),
  reason: z.string().max(4000).default(''),
  /** The whole digest of the candidate. */
  candidate: z.string().regex(/^[0-9a-f]{64}$/),
  /** Workflow id and run id, joined by `/`: a token of one run does not count in another of the same candidate. */
  run: z.string().min(1).max(500),
});
export type VoteClaims = z.infer<typeof voteClaims>;

/** The `aud` of a signed vote. */
export const VOTE_AUDIENCE = 'perennial-approval';
/** The longest that a signed vote may be valid, in seconds: from `iat` to `exp`. */
export const VOTE_LIFETIME_S = 3_600;
/** A compact JWT. */
export const voteToken = z
  .string()
  .min(20)
  .max(8_192)
  .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'expected a compact JWT');

/** What became of a token: a refusal is a result, since it goes to the audit log. */
export const voteVerdict = z.discriminatedUnion('state', [
  z.strictObject({
    state: z.literal('verified'),
    by: z.string(),
    /** The roles that the worker's list of approvers gives this person. */
    roles: z.array(z.string()),
    decision: z.enum(['approve', 'reject']),
    reason: z.string(),
    token: z.string(),
  }),
  z.strictObject({
    state: z.literal('refused'),
    /** Whom the token says it is of, unverified; `null` where it cannot be read. */
    claimed: z.string().nullable(),
    reason: z.string(),
  }),
]);
export type VoteVerdict = z.infer<typeof voteVerdict>;
