import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import type { ServerRole } from '../../contracts/server-keys.ts';
import { RequestError } from '../request-error.ts';
import type { Access } from '../security/access.ts';
import type { Caller } from '../security/caller.ts';
import type { RateLimits } from '../security/rate-limits.ts';

/**
 * Makes the check of `Authorization: Bearer <token>`. Digests are compared in constant time, so that neither the
 * token's length nor its first letters can be measured.
 *
 * @returns a function that throws RequestError 401 where the header is absent or wrong
 */
export function bearerCheck(token: string): (authorization: string | undefined) => void {
  const expected = digest(token);
  return (authorization = '') => {
    const given = /^bearer +(.*)$/i.exec(authorization)?.[1] ?? '';
    if (!timingSafeEqual(digest(given), expected) || given === '')
      throw new RequestError(401, 'send the header "Authorization: Bearer <token>" with the server\'s token');
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** What a guard works with. */
export interface GuardOptions {
  readonly access: Access;
  readonly rates: RateLimits;
  /** Whether a request came where only the server itself may ask. */
  readonly internalOnly: (request: FastifyRequest) => boolean;
}

/**
 * The hook that lets only callers with a role pass, as often as they may. It runs before the body is read: who may
 * not ask does not make the server work.
 *
 * @param admitted called for a request that passes; may throw
 */
export function guardOf(
  { access, rates, internalOnly }: GuardOptions,
  role: ServerRole,
  admitted?: (request: FastifyRequest, reply: FastifyReply) => void,
): onRequestHookHandler {
  const pass = (caller: Caller, request: FastifyRequest, reply: FastifyReply): void => {
    if (!caller.roles.has(role))
      throw new RequestError(403, `this needs the role ${role}; ask for a key that has it`);
    const { endpoints } = caller;
    if (endpoints) {
      const named = nameOf(request.params);
      if (named !== undefined) checkEndpoint(caller, named);
    }
    rates.admit(caller, performance.now());
    request.caller = caller;
    admitted?.(request, reply);
  };
  return (request, reply, done) => {
    const found = access.caller(request.headers.authorization, internalOnly(request));
    if (!(found instanceof Promise)) {
      pass(found, request, reply);
      done();
      return;
    }
    found
      .then((caller) => pass(caller, request, reply))
      .then(
        () => done(),
        (error: unknown) => done(error instanceof Error ? error : new Error('authentication failed')),
      );
  };
}

/**
 * Whether a caller may ask an endpoint, whether there is one of this name or not.
 *
 * @throws RequestError 403
 */
export function checkEndpoint(caller: Caller | null, endpoint: string): void {
  if (caller?.endpoints && !caller.endpoints.has(endpoint))
    throw new RequestError(403, 'this key may not ask this model; ask for one that may');
}

function nameOf(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null || !('name' in params)) return undefined;
  return typeof params.name === 'string' ? params.name : undefined;
}
