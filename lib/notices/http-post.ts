import { PerennialError } from '../../contracts/errors.ts';

/** Milliseconds that a receiver has for its answer. */
const TIMEOUT_MS = 5_000;

/** Statuses after which the same may be taken later. */
const isPassing = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || status >= 500;

/**
 * Posts JSON. Redirects are not followed: what is sent is meant for this address. What is answered is not read.
 *
 * @param post.receiver what messages call the receiver; the address itself may be a secret
 * @param post.remedy what to look at where it refuses
 * @throws PerennialError `ServerUnavailable` (retryable) where the receiver is out, `InputInvalid` where it refuses
 */
export async function postJson(post: {
  url: string;
  body: string;
  headers: Readonly<Record<string, string>>;
  receiver: string;
  remedy: string;
  timeoutMs?: number;
}): Promise<void> {
  const { url, body, headers, receiver, remedy, timeoutMs = TIMEOUT_MS } = post;
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => {
    // The cause quotes the address.
    throw new PerennialError(
      'ServerUnavailable',
      `${receiver} cannot be reached within ${timeoutMs / 1_000} s`,
      true,
    );
  });
  await response.body?.cancel();
  if (response.ok) return;
  const passing = isPassing(response.status);
  throw new PerennialError(
    passing ? 'ServerUnavailable' : 'InputInvalid',
    `${receiver} answers ${response.status}${passing ? '' : `; check ${remedy}`}`,
    passing,
  );
}
