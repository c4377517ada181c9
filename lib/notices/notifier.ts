import { PerennialError } from '../../contracts/errors.ts';
import type { NoticeOfRun } from '../../contracts/notices.ts';

/** Milliseconds that a web hook has for its answer. */
const TIMEOUT_MS = 5_000;

/** Where notices go. */
export interface NotifierSettings {
  /** The address that they are posted to as JSON. */
  url: string;
  /** Sent as `authorization: Bearer …`. */
  token?: string | undefined;
}

/**
 * Posts a notice to a web hook. Redirects are not followed: the token is meant for this address.
 *
 * @throws PerennialError `ServerUnavailable` (retryable) where the hook is out, `InputInvalid` where it refuses
 */
export async function postNotice(notice: NoticeOfRun, { url, token }: NotifierSettings): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify(notice),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw new PerennialError(
      'ServerUnavailable',
      `the web hook of PERENNIAL_NOTIFY_URL cannot be reached within ${TIMEOUT_MS / 1_000} s`,
      true,
      { cause },
    );
  });
  await response.body?.cancel();
  if (response.ok) return;
  const passing = response.status === 429 || response.status >= 500;
  throw new PerennialError(
    passing ? 'ServerUnavailable' : 'InputInvalid',
    `the web hook of PERENNIAL_NOTIFY_URL answers ${response.status}${passing ? '' : '; check its address and PERENNIAL_SECRET_NOTIFY_TOKEN'}`,
    passing,
  );
}
