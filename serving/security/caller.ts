import { createHash } from 'node:crypto';
import type { RequestRate, ServerRole } from '../../contracts/server-keys.ts';

/** Who asks, and what it may. */
export interface Caller {
  /** Of the key, or of the token's subject. Never logged for a JSON Web Token: a subject may be a person. */
  readonly id: string;
  readonly roles: ReadonlySet<ServerRole>;
  /** Endpoints that it may ask; `undefined` is all. */
  readonly endpoints?: ReadonlySet<string> | undefined;
  /** Its own rate; `undefined` is the server's. */
  readonly rate?: RequestRate | undefined;
  /** The server itself: neither rates nor the bound of requests under way hold it up. */
  readonly internal?: boolean | undefined;
}

/** May do everything. */
export const ALL_ROLES: ReadonlySet<ServerRole> = new Set<ServerRole>(['predict', 'feedback', 'operate']);

/** SHA-256 of a token. Tokens are long and random, so that nothing slower is needed. */
export const tokenDigest = (token: string): Buffer => createHash('sha256').update(token).digest();
