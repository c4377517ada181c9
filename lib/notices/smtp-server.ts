import { PerennialError } from '../../contracts/errors.ts';
import { NOTICE_SECRETS } from './settings.ts';

/** How a mail server is reached, as nodemailer takes it. */
export interface SmtpServer {
  host: string;
  port: number;
  /** TLS from the first byte on. */
  secure: boolean;
  /** STARTTLS or nothing: neither mail nor password goes through a network in plain text. */
  requireTLS: boolean;
  ignoreTLS: boolean;
  auth?: { user: string; pass: string };
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

const invalid = (): PerennialError =>
  new PerennialError(
    'InputInvalid',
    `${NOTICE_SECRETS.smtp} must be smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465; user and password in percent-encoding, or none`,
  );

/**
 * Reads the address of a mail server. Options in it are none: TLS is not to be turned off by an address.
 *
 * @throws PerennialError `SecretMissing`, or `InputInvalid` without a word of the address
 * @example smtpServerOf('smtps://ada:s3cret@mail.example.org') // port 465, TLS
 */
export function smtpServerOf(text: string | undefined): SmtpServer {
  if (!text)
    throw new PerennialError(
      'SecretMissing',
      `the variable ${NOTICE_SECRETS.smtp} is not set on the worker; set it in its environment, then retry`,
    );
  if (!URL.canParse(text)) throw invalid();
  const url = new URL(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const secure = url.protocol === 'smtps:';
  if ((!secure && url.protocol !== 'smtp:') || host === '' || url.search !== '' || url.hash !== '')
    throw invalid();
  const local = LOOPBACK.has(host);
  return {
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS: !secure && !local,
    ignoreTLS: !secure && local,
    ...(url.username === '' ? {} : { auth: { user: decoded(url.username), pass: decoded(url.password) } }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid();
  }
}
