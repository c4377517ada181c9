import { createHmac } from 'node:crypto';
import { PerennialError } from '../../contracts/errors.ts';
import { NOTICE_SECRETS } from './settings.ts';

const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** The specification asks for 24 to 64 bytes. */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/** The keys of a variable: one, or several with spaces between while they are changed. */
function keysOf(text: string): Buffer[] {
  const keys = text
    .split(/\s+/)
    .filter(Boolean)
    .map((key) => (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key));
  const bytes = keys.map((key) => (BASE64.test(key) ? Buffer.from(key, 'base64') : Buffer.alloc(0)));
  if (bytes.length > 0 && bytes.every(({ length }) => length >= LEAST_BYTES && length <= MOST_BYTES))
    return bytes;
  throw new PerennialError(
    'InputInvalid',
    `${NOTICE_SECRETS.key} must be ${LEAST_BYTES} to ${MOST_BYTES} random bytes as Base64, with or without ${PREFIX}; make one by: openssl rand -base64 32`,
  );
}

/**
 * The headers by which a receiver knows who sent a message, and that it has it already, after Standard Webhooks 1.0: an
 * id, the time of sending, and `v1,` with HMAC-SHA256 of `id.time.body`. Without a key there is no signature.
 *
 * @param message.id of letters, digits, `_` and `-`
 * @param message.at epoch milliseconds
 * @param keys of `PERENNIAL_SECRET_NOTIFY_KEY`
 * @throws PerennialError `InputInvalid` where a key is none
 */
export function signatureHeaders(
  { id, at, body }: { id: string; at: number; body: string },
  keys: string | undefined,
): Record<string, string> {
  const timestamp = String(Math.floor(at / 1_000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (!keys) return headers;
  const signatures = keysOf(keys).map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  );
  return { ...headers, 'webhook-signature': signatures.join(' ') };
}
