import { createTransport } from 'nodemailer';
import type { ToldAlert } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { mailMessage, PLOT_ID } from './mail-message.ts';
import { type MailSettings, NOTICE_SECRETS } from './settings.ts';
import { smtpServerOf } from './smtp-server.ts';

/** Milliseconds for the connection, the greeting, and between two answers. */
const TIMEOUT_MS = 10_000;

/**
 * Mails a notice. The same notice has the same Message-ID, by which mail programs know what they have.
 *
 * @param settings.server address of the mail server, a secret
 * @returns how many of the receivers the server refused, while it took others
 * @throws PerennialError `ServerUnavailable` (retryable) where the server is out or refuses for now (4xx), `InputInvalid`
 *   where it refuses, `SecretMissing` without an address
 */
export async function sendMail(
  notice: ToldAlert,
  {
    mail,
    server,
    timeoutMs = TIMEOUT_MS,
  }: { mail: MailSettings; server: string | undefined; timeoutMs?: number },
): Promise<{ refused: number }> {
  const { subject, text, html, plot } = mailMessage(notice);
  const transport = createTransport({
    ...smtpServerOf(server),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const to = mail.to.map(({ name, address }) => ({ name, address }));
  try {
    const { rejected, rejectedErrors } = await transport.sendMail({
      from: { name: mail.from.name, address: mail.from.address },
      to,
      envelope: { from: mail.from.address, to: to.map(({ address }) => address) },
      messageId: `<${notice.id}@${mail.from.address.split('@')[1]}>`,
      subject,
      text,
      html,
      headers: { 'Auto-Submitted': 'auto-generated' },
      attachments:
        plot === null
          ? []
          : [
              {
                filename: 'trend.svg',
                content: plot,
                contentType: 'image/svg+xml',
                cid: PLOT_ID,
                contentDisposition: 'inline',
              },
            ],
    });
    // Greylisting, say. That the others get it twice is less than that one never does.
    const later = rejectedErrors?.find(isForNow);
    if (later) throw mailFailure(later);
    return { refused: rejected.length };
  } catch (error) {
    throw error instanceof PerennialError ? error : mailFailure(error);
  } finally {
    transport.close();
  }
}

const field = (error: unknown, name: string): unknown =>
  typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;

const isForNow = (error: unknown): boolean => {
  const status = field(error, 'responseCode');
  return typeof status === 'number' && status < 500;
};

/** What the server says may quote addresses and passwords: its code alone is told. */
function mailFailure(error: unknown): PerennialError {
  const server = `the mail server of ${NOTICE_SECRETS.smtp}`;
  const code = field(error, 'code');
  const status = field(error, 'responseCode');
  if (isForNow(error))
    return new PerennialError('ServerUnavailable', `${server} refuses the mail for now with ${status}`, true);
  if (code === 'ETLS' || /CERT|SELF_SIGNED|_TLS_|UNABLE_TO/.test(String(field(error, 'originalCode'))))
    return new PerennialError(
      'InputInvalid',
      `${server} offers no TLS that can be trusted; use smtps:// or a server with STARTTLS (NODE_EXTRA_CA_CERTS adds authorities)`,
    );
  if (typeof status === 'number' || code === 'EAUTH' || code === 'ENOAUTH')
    return new PerennialError(
      'InputInvalid',
      `${server} refuses the mail${typeof status === 'number' ? ` with ${status}` : ''}; ${remedyOf(code)}`,
    );
  return new PerennialError('ServerUnavailable', `${server} cannot be reached, or broke off`, true);
}

function remedyOf(code: unknown): string {
  if (code === 'EAUTH' || code === 'ENOAUTH') return 'check the user and the password';
  if (code === 'EENVELOPE') return 'check PERENNIAL_MAIL_FROM and PERENNIAL_MAIL_TO';
  return 'ask whoever runs it';
}
