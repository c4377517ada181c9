import type { Channel } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { isGuardedAddress } from '../guarded-address.ts';

/** Somebody who sends or gets mail. */
export interface MailAddress {
  /** Empty where there is none. */
  name: string;
  address: string;
}

/** From whom and to whom alerts are mailed. */
export interface MailSettings {
  from: MailAddress;
  to: readonly MailAddress[];
}

/** Where notices go, without secrets. */
export interface NoticeSettings {
  /** Web hook that notices are posted to as JSON. */
  notifyUrl?: string;
  mail?: MailSettings;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that hold secrets; they are read where they are used, and never told. */
export const NOTICE_SECRETS = {
  token: 'PERENNIAL_SECRET_NOTIFY_TOKEN',
  key: 'PERENNIAL_SECRET_NOTIFY_KEY',
  slack: 'PERENNIAL_SECRET_SLACK_URL',
  smtp: 'PERENNIAL_SECRET_SMTP_URL',
} as const;

/** The variables that {@link noticeSettings} reads, for documentation and `--help`. */
export const NOTICE_VARIABLES = {
  PERENNIAL_NOTIFY_URL:
    'web hook that is told of alerts, approvals and roll-outs, https: or on this machine; PERENNIAL_SECRET_NOTIFY_TOKEN is sent as Bearer, PERENNIAL_SECRET_NOTIFY_KEY signs (default: the log)',
  PERENNIAL_MAIL_FROM: 'who alerts are mailed from: NAME <ADDRESS> or an address (default none)',
  PERENNIAL_MAIL_TO:
    'who alerts are mailed to, separated by commas, by the server of PERENNIAL_SECRET_SMTP_URL (default none)',
} as const;

/**
 * Reads where notices go.
 *
 * @throws PerennialError `InputInvalid` where a variable makes no sense
 */
export function noticeSettings(env: Environment): NoticeSettings {
  return {
    ...(env.PERENNIAL_NOTIFY_URL ? { notifyUrl: notifyUrlOf(env.PERENNIAL_NOTIFY_URL) } : {}),
    ...mailOf(env.PERENNIAL_MAIL_FROM, env.PERENNIAL_MAIL_TO),
  };
}

/** The channels that are told of alerts: all that are set up; the log where none is. */
export function channelsOf({ notifyUrl, mail }: NoticeSettings, env: Environment = process.env): Channel[] {
  const channels: Channel[] = [
    ...(notifyUrl === undefined ? [] : ['webhook' as const]),
    ...(env[NOTICE_SECRETS.slack] ? ['slack' as const] : []),
    ...(mail === undefined ? [] : ['email' as const]),
  ];
  return channels.length > 0 ? channels : ['log'];
}

/** What is told goes nowhere in plain text, nor does the token. */
function notifyUrlOf(text: string): string {
  if (isGuardedAddress(text)) return text;
  throw new PerennialError(
    'InputInvalid',
    'PERENNIAL_NOTIFY_URL must be an https: address (http: on this machine alone), without a password; a token goes into PERENNIAL_SECRET_NOTIFY_TOKEN',
  );
}

function mailOf(from: string | undefined, to: string | undefined): Pick<NoticeSettings, 'mail'> {
  if (!from && !to) return {};
  if (!from || !to)
    throw new PerennialError(
      'InputInvalid',
      `${from ? 'PERENNIAL_MAIL_TO' : 'PERENNIAL_MAIL_FROM'} is not set: mail needs PERENNIAL_MAIL_FROM and PERENNIAL_MAIL_TO`,
    );
  return {
    mail: {
      from: addressOf('PERENNIAL_MAIL_FROM', from),
      to: to
        .split(',')
        .map((one) => one.trim())
        .filter(Boolean)
        .map((one) => addressOf('PERENNIAL_MAIL_TO', one)),
    },
  };
}

const NAMED = /^([^<>"@,;:\\\p{Cc}]*)<([^<>]+)>$/u;
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$/;

function addressOf(variable: string, text: string): MailAddress {
  const [, name = '', inner = text.trim()] = NAMED.exec(text.trim()) ?? [];
  if (ADDRESS.test(inner)) return { name: name.trim(), address: inner };
  throw new PerennialError(
    'InputInvalid',
    `${variable} is no mail address; expected ada@example.org or Ada <ada@example.org>`,
  );
}
