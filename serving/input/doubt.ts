import { RequestError } from '../request-error.ts';

/**
 * A scanner met what it does not take: a mistake, or a rare shape. Whoever uses it then asks the plain reader, which
 * has the last word and the words of every refusal.
 */
export class Doubt extends Error {
  override readonly name = 'Doubt';
}

/** One for all: a scanner gives up often under attack, and a stack trace would cost more than the scan. */
export const DOUBT = new Doubt('not for the scanner');

/** What the scan gives, or `undefined` where the scanner gave up. */
export function unlessInDoubt<T>(scan: () => T): T | undefined {
  try {
    return scan();
  } catch (error) {
    // The plain reader refuses such a request too, and says first what it finds first.
    if (error instanceof Doubt || error instanceof RequestError) return undefined;
    throw error;
  }
}
