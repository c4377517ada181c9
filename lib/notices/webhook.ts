import { postJson } from './http-post.ts';
import { NOTICE_SECRETS } from './settings.ts';
import { signatureHeaders } from './signature.ts';

/** Where notices go, and how their receiver knows that they are ours. */
export interface WebhookSettings {
  /** The address that they are posted to as JSON. */
  url: string;
  /** Sent as `authorization: Bearer …`. */
  token?: string | undefined;
  /** Signs them; see {@link signatureHeaders}. */
  key?: string | undefined;
  /** For tests; default 5 s. */
  timeoutMs?: number;
}

/**
 * Posts a notice to the web hook.
 *
 * @param message.id the same for the same notice, however often it is posted
 * @throws PerennialError `ServerUnavailable` (retryable) where the hook is out, `InputInvalid` where it refuses
 */
export async function postNotice(
  { id, notice }: { id: string; notice: object },
  { url, token, key, ...more }: WebhookSettings,
): Promise<void> {
  const body = JSON.stringify(notice);
  await postJson({
    url,
    body,
    headers: {
      ...signatureHeaders({ id, at: Date.now(), body }, key),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    receiver: 'the web hook of PERENNIAL_NOTIFY_URL',
    remedy: `its address, ${NOTICE_SECRETS.token} and ${NOTICE_SECRETS.key}`,
    ...more,
  });
}
