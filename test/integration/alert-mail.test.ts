import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DeliverySettings, deliver } from '../../lib/notices/deliver.ts';
import { noticeSettings } from '../../lib/notices/settings.ts';
import { smtpServerOf } from '../../lib/notices/smtp-server.ts';
import { makeCertificates } from '../support/certificates.ts';
import { EVIL, failedDelivery, PASSWORD, sampleNotice } from '../support/deliveries.ts';
import { MailReceiver } from '../support/notice-receivers.ts';

let mail: MailReceiver;
beforeAll(async () => {
  mail = await MailReceiver.start({
    onAuth: ({ username = '', password }, _session, done) => {
      if (password === PASSWORD) return done(null, { user: username });
      return done(Object.assign(new Error('who is that'), { responseCode: 535 }));
    },
  });
});
afterAll(async () => {
  await mail?.close();
});
beforeEach(() => {
  mail.mailed.length = 0;
  mail.refused.clear();
});

const smtp = (user = 'ada', password = PASSWORD): string =>
  `smtp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${mail.port}`;

const settings = (env: Record<string, string> = {}): DeliverySettings => ({
  ...noticeSettings({
    PERENNIAL_MAIL_FROM: 'Perennial <mlops@example.org>',
    PERENNIAL_MAIL_TO: 'Ada Lovelace <ada@example.org>, grace@example.org',
  }),
  env: { PERENNIAL_SECRET_SMTP_URL: smtp(), ...env },
  log: () => undefined,
  timeoutMs: 30_000,
});
const failed = (own = settings()) => failedDelivery('email', own);

describe('mail', () => {
  const headersOf = (source: string): string[] =>
    (source.split('\r\n\r\n')[0] ?? '').replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  const plain = (source: string): string =>
    source
      .replaceAll(/=\r\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

  it('goes to everybody, as text, as HTML, and with the picture', async () => {
    const told = sampleNotice();
    expect(await deliver({ channel: 'email', notice: told }, settings())).toBeNull();
    const [got] = mail.mailed;
    if (!got) throw new Error('nothing came');
    expect(got).toMatchObject({
      from: 'mlops@example.org',
      to: ['ada@example.org', 'grace@example.org'],
      user: 'ada',
    });
    const headers = headersOf(got.source);
    expect(headers).toContain('From: Perennial <mlops@example.org>');
    expect(headers).toContain('To: Ada Lovelace <ada@example.org>, grace@example.org');
    expect(headers).toContain(
      'Subject: [critical] bank: quality brier_score is beyond its limit, and 1 more',
    );
    expect(headers).toContain(`Message-ID: <${told.id}@example.org>`);
    expect(headers).toContain('Auto-Submitted: auto-generated');
    const source = plain(got.source);
    expect(source).toContain(
      '- quality brier_score (critical, raised, since 2009-06-04 00:00 UTC): brier_score 0.288',
    );
    expect(source).toContain('Next: A retraining is asked for.');
    expect(source).toContain('<img src="cid:trend@perennial"');
    expect(source).toContain('Content-Type: image/svg+xml');
    expect(got.source).toContain(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'));
    const html = source.slice(source.indexOf('<!doctype html>'), source.indexOf('</html>'));
    expect(html).toContain('a&lt;b&gt;&amp;&quot;c');
    expect(html).not.toMatch(/<(!channel|http|b>)/);
  });

  it('has no header and no receiver that somebody wrote into a name', async () => {
    const told = { ...sampleNotice(), title: EVIL, endpoint: EVIL, id: 'an-id' };
    await deliver({ channel: 'email', notice: told }, settings());
    const [got] = mail.mailed;
    expect(got?.to).toEqual(['ada@example.org', 'grace@example.org']);
    const names = headersOf(got?.source ?? '').map((line) => line.split(':')[0]?.toLowerCase());
    expect(names).not.toContain('bcc');
    expect([...names].sort()).toEqual(
      [
        'from',
        'to',
        'subject',
        'message-id',
        'date',
        'mime-version',
        'content-type',
        'auto-submitted',
      ].sort(),
    );
  });

  it('that the server takes for some is told, and said so', async () => {
    mail.refused.set('grace@example.org', 550);
    const remark = await deliver({ channel: 'email', notice: sampleNotice() }, settings());
    expect(remark).toContain('refuses 1 of the addresses in PERENNIAL_MAIL_TO');
    expect(mail.mailed.map(({ to }) => to)).toEqual([['ada@example.org']]);
  });

  it('that the server takes for some, and for others later, is sent again under the same id', async () => {
    mail.refused.set('grace@example.org', 450);
    expect(await failed()).toMatchObject({ code: 'ServerUnavailable', retryable: true });
    mail.refused.clear();
    await deliver({ channel: 'email', notice: sampleNotice() }, settings());
    expect(mail.mailed.map(({ to }) => to.length)).toEqual([1, 2]);
    const ids = mail.mailed.map(({ source }) =>
      headersOf(source).find((line) => line.startsWith('Message-ID:')),
    );
    expect(ids[0]).toBe(ids[1]);
  });

  it.each([
    [451, true],
    [550, false],
  ])('that the server refuses with %i may be sent later: %s', async (status, retryable) => {
    for (const address of ['ada@example.org', 'grace@example.org']) mail.refused.set(address, status);
    const error = await failed();
    expect(error).toMatchObject({ retryable, code: retryable ? 'ServerUnavailable' : 'InputInvalid' });
    expect(error.message).toContain(String(status));
  });

  it('with a wrong password is not sent, and not tried again', async () => {
    const error = await failed(settings({ PERENNIAL_SECRET_SMTP_URL: smtp('ada', 'wrong') }));
    expect(error).toMatchObject({ retryable: false });
    expect(error.message).toContain('check the user and the password');
  });

  it('goes to no server whose certificate nobody trusts', async () => {
    const guarded = await MailReceiver.start({ secure: true, ...makeCertificates().valid });
    try {
      const url = `smtps://127.0.0.1:${guarded.port}`;
      const error = await failed(settings({ PERENNIAL_SECRET_SMTP_URL: url }));
      expect(error).toMatchObject({ code: 'InputInvalid', retryable: false });
      expect(error.message).toContain('NODE_EXTRA_CA_CERTS');
      expect(guarded.mailed).toEqual([]);
    } finally {
      await guarded.close();
    }
  });

  it('goes to no server of a network in plain text', () => {
    expect(smtpServerOf('smtp://ada:x%2Fy@mail.example.org')).toEqual({
      host: 'mail.example.org',
      port: 587,
      secure: false,
      requireTLS: true,
      ignoreTLS: false,
      auth: { user: 'ada', pass: 'x/y' },
    });
    expect(smtpServerOf('smtps://mail.example.org')).toMatchObject({ port: 465, secure: true });
    expect(smtpServerOf('smtp://[::1]:2525')).toMatchObject({ host: '::1', port: 2525, requireTLS: false });
  });

  it('to a server that is not there may be sent later', async () => {
    const error = await failed(settings({ PERENNIAL_SECRET_SMTP_URL: 'smtp://127.0.0.1:1' }));
    expect(error).toMatchObject({ code: 'ServerUnavailable', retryable: true });
  });

  it.each(['', 'http://127.0.0.1', 'smtp://', 'smtp://127.0.0.1?ignoreTLS=true', 'mail.example.org'])(
    'needs the address of a server: "%s"',
    async (url) => {
      const error = await failed(settings({ PERENNIAL_SECRET_SMTP_URL: url }));
      expect(error).toMatchObject({ code: url ? 'InputInvalid' : 'SecretMissing', retryable: false });
    },
  );
});
