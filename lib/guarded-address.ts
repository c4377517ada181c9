import { z } from 'zod';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Whether what goes to an address, or comes from it, can be trusted to be from there: `https:`, or plain `http:` on this
 * machine. A name or password in the address would be told in messages: there must be none.
 */
export function isGuardedAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const guarded = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
  return guarded && url.username === '' && url.password === '';
}

export const guardedAddress = z
  .string()
  .max(2_000)
  .refine(isGuardedAddress, 'must be an https: address (http: on this machine alone), without a password');
