import { createHash, timingSafeEqual } from 'node:crypto';
import { RequestError } from '../request-error.ts';

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
