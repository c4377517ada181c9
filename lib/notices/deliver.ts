import type { Channel, ToldAlert } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { sendMail } from './mail.ts';
import { NOTICE_SECRETS, type NoticeSettings } from './settings.ts';
import { postToSlack } from './slack.ts';
import { postNotice } from './webhook.ts';

/** What a channel needs to tell something. */
export interface DeliverySettings extends NoticeSettings {
  /** Environment of the secrets. Default: the process's. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Writes into the worker's log. */
  log(notice: ToldAlert): void;
  /** For tests. Default: 5 s for web hooks, 10 s for mail. */
  timeoutMs?: number;
}

/**
 * Tells one channel. The same notice again is harmless: the web hook and mail carry its id, so that a receiver drops
 * what it has.
 *
 * @returns what did not go well though the notice was taken, in words; `null` where all did
 * @throws PerennialError retryable `ServerUnavailable` where a receiver is out; `InputInvalid` where it refuses or the
 *   channel is not set up on this worker; `SecretMissing`
 */
export async function deliver(
  { channel, notice }: { channel: Channel; notice: ToldAlert },
  { notifyUrl, mail, env = process.env, log, ...more }: DeliverySettings,
): Promise<string | null> {
  switch (channel) {
    case 'log':
      log(notice);
      return null;
    case 'webhook':
      if (notifyUrl === undefined) throw notSetUp('PERENNIAL_NOTIFY_URL');
      await postNotice(
        { id: notice.id, notice: { kind: 'alert', ...notice } },
        { url: notifyUrl, token: env[NOTICE_SECRETS.token], key: env[NOTICE_SECRETS.key], ...more },
      );
      return null;
    case 'slack':
      await postToSlack(notice, { url: env[NOTICE_SECRETS.slack], ...more });
      return null;
    case 'email': {
      if (mail === undefined) throw notSetUp('PERENNIAL_MAIL_TO');
      const { refused } = await sendMail(notice, { mail, server: env[NOTICE_SECRETS.smtp], ...more });
      return refused > 0
        ? `the mail server refuses ${refused} of the addresses in PERENNIAL_MAIL_TO; the others have the mail`
        : null;
    }
  }
}

const notSetUp = (variable: string): PerennialError =>
  new PerennialError(
    'InputInvalid',
    `${variable} is not set on this worker; set it, or take the channel away`,
  );
