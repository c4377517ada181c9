import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AlertNotice, Channel } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { noticeOf } from '../../domain/monitoring/alert-notice.ts';
import { nextAlerts } from '../../domain/monitoring/alerts.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { type DeliverySettings, deliver } from '../../lib/notices/deliver.ts';
import { noticeSettings } from '../../lib/notices/settings.ts';
import { smtpServerOf } from '../../lib/notices/smtp-server.ts';
import { makeCertificates } from '../support/certificates.ts';
import { HookReceiver, MailReceiver, verifyWebhook } from '../support/notice-receivers.ts';
import { dayWindow, watching } from '../support/window-reports.ts';

const KEY = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const OTHER_KEY = Buffer.alloc(24, 8).toString('base64');
const PASSWORD = 'p@ss word/π';

let hook: HookReceiver;
let elsewhere: HookReceiver;
let mail: MailReceiver;
beforeAll(async () => {
  elsewhere = await HookReceiver.start();
  hook = await HookReceiver.start(elsewhere.url);
  mail = await MailReceiver.start({
    onAuth: ({ username = '', password }, _session, done) => {
      if (password === PASSWORD) return done(null, { user: username });
      return done(Object.assign(new Error('who is that'), { responseCode: 535 }));
    },
  });
});
afterAll(async () => {
  await Promise.all([hook?.close(), elsewhere?.close(), mail?.close()]);
});
beforeEach(() => {
  hook.posted.length = 0;
  hook.answers = [];
  mail.mailed.length = 0;
  mail.refused.clear();
});

const EVIL = 'a<b>&"c\r\nBcc: eve@example.org\r\n\r\n<!channel> <http://evil.example|x> *bold*';

/** A notice of two events, one of them about a column with a hostile name. */
function notice(changes: Partial<Parameters<typeof noticeOf>[0]> = {}): AlertNotice {
  const verdicts = [
    verdictOf('quality', 'breached', 500, 'brier_score 0.288 over 500 labels, at most 0.264', {
      of: 'brier_score',
      observed: 0.288,
      limit: 0.264,
    }),
    verdictOf('prediction-drift', 'breached', 1_000, `PSI 1.5, at most 0.25 ${EVIL}`, { of: EVIL }),
  ];
  const window = dayWindow(3);
  return noticeOf({
    endpoint: 'bank',
    pipeline: 'bank-subscription',
    version: '3',
    window,
    events: nextAlerts(watching().alerts, [], [], verdicts, window).events,
    next: 'A retraining is asked for.',
    url: 'https://mlflow.example.org/report.html?a=1&b=2',
    plot: '<svg xmlns="http://www.w3.org/2000/svg"/>',
    ...changes,
  });
}

const smtp = (user = 'ada', password = PASSWORD): string =>
  `smtp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${mail.port}`;

const settings = (
  env: Record<string, string> = {},
  more: Partial<DeliverySettings> = {},
): DeliverySettings => ({
  ...noticeSettings({
    PERENNIAL_NOTIFY_URL: hook.url,
    PERENNIAL_MAIL_FROM: 'Perennial <mlops@example.org>',
    PERENNIAL_MAIL_TO: 'Ada Lovelace <ada@example.org>, grace@example.org',
  }),
  env: {
    PERENNIAL_SECRET_NOTIFY_KEY: KEY,
    PERENNIAL_SECRET_NOTIFY_TOKEN: 'the-token',
    PERENNIAL_SECRET_SLACK_URL: hook.url.replace('/hook', '/services/T0/B0/secret-path'),
    PERENNIAL_SECRET_SMTP_URL: smtp(),
    ...env,
  },
  log: () => undefined,
  timeoutMs: 500,
  ...more,
});

/** The failure of a delivery, which holds nothing secret. */
async function failed(channel: Channel, more?: DeliverySettings, told = notice()): Promise<PerennialError> {
  const error = await deliver({ channel, notice: told }, more ?? settings()).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PerennialError)) throw new Error('it did not fail as it should');
  const words = `${error.message} ${JSON.stringify(error)} ${String(error.cause)}`;
  for (const secret of [
    'the-token',
    KEY,
    KEY.slice(6),
    'secret-path',
    PASSWORD,
    encodeURIComponent(PASSWORD),
    'secret-of',
  ])
    expect(words).not.toContain(secret);
  return error;
}

describe('the web hook', () => {
  it('gets the whole notice, signed after Standard Webhooks, and the token', async () => {
    const told = notice();
    expect(await deliver({ channel: 'webhook', notice: told }, settings())).toBeNull();
    const [post] = hook.posted;
    if (!post) throw new Error('nothing came');
    expect(verifyWebhook(KEY, post)).toEqual({ kind: 'alert', ...told });
    expect(post.headers).toMatchObject({
      'webhook-id': told.id,
      'content-type': 'application/json',
      authorization: 'Bearer the-token',
    });
    expect(() => verifyWebhook(OTHER_KEY, post)).toThrow('not signed');
    expect(() => verifyWebhook(KEY, { ...post, body: `${post.body} ` })).toThrow('not signed');
    expect(() =>
      verifyWebhook(KEY, { ...post, headers: { ...post.headers, 'webhook-id': 'other' } }),
    ).toThrow('not signed');
    expect(() =>
      verifyWebhook(KEY, { ...post, headers: { ...post.headers, 'webhook-timestamp': '1700000000' } }),
    ).toThrow('too old');
  });

  it('knows by the id what it has, however often it is told', async () => {
    await deliver({ channel: 'webhook', notice: notice() }, settings());
    await deliver({ channel: 'webhook', notice: notice() }, settings());
    const [first, second] = hook.posted.map(({ headers }) => headers['webhook-id']);
    expect(first).toBe(second);
  });

  it('takes either key while keys are changed, and none where none is set', async () => {
    await deliver(
      { channel: 'webhook', notice: notice() },
      settings({ PERENNIAL_SECRET_NOTIFY_KEY: `${KEY} ${OTHER_KEY}` }),
    );
    for (const key of [KEY, OTHER_KEY])
      expect(verifyWebhook(key, hook.posted[0] ?? { headers: {}, body: '' })).toMatchObject({
        kind: 'alert',
      });
    await deliver(
      { channel: 'webhook', notice: notice() },
      settings({ PERENNIAL_SECRET_NOTIFY_KEY: '', PERENNIAL_SECRET_NOTIFY_TOKEN: '' }),
    );
    expect(hook.posted[1]?.headers).not.toHaveProperty('webhook-signature');
    expect(hook.posted[1]?.headers).not.toHaveProperty('authorization');
  });

  it.each([
    'short',
    Buffer.alloc(16).toString('base64'),
    Buffer.alloc(65).toString('base64'),
    `${KEY} no key`,
  ])('is not told with a key that is none: %#', async (key) => {
    const error = await failed('webhook', settings({ PERENNIAL_SECRET_NOTIFY_KEY: key }));
    expect(error).toMatchObject({ code: 'InputInvalid', retryable: false });
    expect(error.message).toContain('openssl rand -base64 32');
    expect(hook.posted).toEqual([]);
  });

  it.each([
    [400, false],
    [404, false],
    [302, false],
    [408, true],
    [429, true],
    [500, true],
    [503, true],
  ])('that answers %i may be told again later: %s', async (status, retryable) => {
    hook.answers = [status];
    const error = await failed('webhook');
    expect(error).toMatchObject({ retryable, code: retryable ? 'ServerUnavailable' : 'InputInvalid' });
    expect(error.message).toContain(String(status));
    // The token and the notice were meant for one address.
    expect(elsewhere.posted).toEqual([]);
  });

  it('that does not answer, or is not there, may be told again later', async () => {
    hook.answers = [null];
    expect(await failed('webhook')).toMatchObject({ code: 'ServerUnavailable', retryable: true });
    expect(await failed('webhook', settings({}, { notifyUrl: 'http://127.0.0.1:1/' }))).toMatchObject({
      code: 'ServerUnavailable',
      retryable: true,
    });
  });
});

describe('Slack', () => {
  it('gets a message in which nothing is a mention, a link or a command, but the report', async () => {
    await deliver({ channel: 'slack', notice: notice() }, settings());
    const [post] = hook.posted;
    expect(post?.path).toBe('/services/T0/B0/secret-path');
    expect(post?.headers).not.toHaveProperty('authorization');
    const { text, blocks } = JSON.parse(post?.body ?? '');
    expect(text).toBe(
      'bank: quality brier_score is beyond its limit, and 1 more (critical). A retraining is asked for.',
    );
    expect(blocks[0]).toMatchObject({ type: 'header', text: { type: 'plain_text' } });
    expect(blocks[1].text).toEqual({
      type: 'mrkdwn',
      verbatim: true,
      text: '*quality brier_score* (critical, raised, since 2009-06-04 00:00 UTC)\nbrier_score 0.288 over 500 labels, at most 0.264',
    });
    const angles = JSON.stringify(blocks).match(/<[^>]*>/g);
    expect(angles).toEqual(['<https://mlflow.example.org/report.html?a=1&amp;b=2|Report>']);
    expect(JSON.stringify(blocks)).toContain('&lt;!channel&gt;');
  });

  it('gets no more than it takes', async () => {
    const base = notice();
    const [event] = base.events;
    if (!event) throw new Error('none');
    const events = Array.from({ length: 100 }, (_, i) => ({
      ...event,
      id: `${i}`,
      words: '<&>'.repeat(330),
    }));
    const big = { ...base, title: '&'.repeat(300), next: '<'.repeat(1_000), events };
    await deliver({ channel: 'slack', notice: big }, settings());
    const { text, blocks } = JSON.parse(hook.posted[0]?.body ?? '');
    expect(blocks.length).toBeLessThanOrEqual(50);
    expect(JSON.stringify(blocks)).toContain('and 80 more');
    expect(text.length).toBeLessThanOrEqual(3_000);
    for (const block of blocks) {
      const { type, text: own } = block;
      expect(own?.text.length ?? 0).toBeLessThanOrEqual(type === 'header' ? 150 : 3_000);
      if (type === 'section') expect(own.text).not.toMatch(/&(?!amp;|lt;|gt;)/);
    }
  });

  it.each([undefined, 'http://hooks.example.org/x', 'no address'])('needs an address: %s', async (url) => {
    const error = await failed('slack', settings({ PERENNIAL_SECRET_SLACK_URL: url ?? '' }));
    expect(error).toMatchObject({ code: url ? 'InputInvalid' : 'SecretMissing', retryable: false });
    expect(error.message).toContain('PERENNIAL_SECRET_SLACK_URL');
  });

  it.each([
    [403, false],
    [429, true],
  ])('that answers %i may be told again later: %s', async (status, retryable) => {
    hook.answers = [status];
    expect(await failed('slack')).toMatchObject({ retryable });
  });
});

describe('mail', () => {
  const headersOf = (source: string): string[] =>
    (source.split('\r\n\r\n')[0] ?? '').replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  const plain = (source: string): string =>
    source
      .replaceAll(/=\r\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

  it('goes to everybody, as text, as HTML, and with the picture', async () => {
    const told = notice();
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
    const told = { ...notice(), title: EVIL, endpoint: EVIL, id: 'an-id' };
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
    const remark = await deliver({ channel: 'email', notice: notice() }, settings());
    expect(remark).toContain('refuses 1 of the addresses in PERENNIAL_MAIL_TO');
    expect(mail.mailed.map(({ to }) => to)).toEqual([['ada@example.org']]);
  });

  it('that the server takes for some, and for others later, is sent again under the same id', async () => {
    mail.refused.set('grace@example.org', 450);
    expect(await failed('email')).toMatchObject({ code: 'ServerUnavailable', retryable: true });
    mail.refused.clear();
    await deliver({ channel: 'email', notice: notice() }, settings());
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
    const error = await failed('email');
    expect(error).toMatchObject({ retryable, code: retryable ? 'ServerUnavailable' : 'InputInvalid' });
    expect(error.message).toContain(String(status));
  });

  it('with a wrong password is not sent, and not tried again', async () => {
    const error = await failed('email', settings({ PERENNIAL_SECRET_SMTP_URL: smtp('ada', 'wrong') }));
    expect(error).toMatchObject({ retryable: false });
    expect(error.message).toContain('check the user and the password');
  });

  it('goes to no server whose certificate nobody trusts', async () => {
    const guarded = await MailReceiver.start({ secure: true, ...makeCertificates().valid });
    try {
      const url = `smtps://127.0.0.1:${guarded.port}`;
      const error = await failed('email', settings({ PERENNIAL_SECRET_SMTP_URL: url }));
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
    const error = await failed('email', settings({ PERENNIAL_SECRET_SMTP_URL: 'smtp://127.0.0.1:1' }));
    expect(error).toMatchObject({ code: 'ServerUnavailable', retryable: true });
  });

  it.each(['', 'http://127.0.0.1', 'smtp://', 'smtp://127.0.0.1?ignoreTLS=true', 'mail.example.org'])(
    'needs the address of a server: "%s"',
    async (url) => {
      const error = await failed('email', settings({ PERENNIAL_SECRET_SMTP_URL: url }));
      expect(error).toMatchObject({ code: url ? 'InputInvalid' : 'SecretMissing', retryable: false });
    },
  );
});

describe('a channel that is not set up', () => {
  it('says what to set', async () => {
    const none: DeliverySettings = { env: {}, log: () => undefined };
    for (const [channel, variable] of [
      ['webhook', 'PERENNIAL_NOTIFY_URL'],
      ['slack', 'PERENNIAL_SECRET_SLACK_URL'],
      ['email', 'PERENNIAL_MAIL_TO'],
    ] as const)
      expect((await failed(channel, none)).message).toContain(variable);
    const logged: AlertNotice[] = [];
    await deliver({ channel: 'log', notice: notice() }, { ...none, log: (one) => logged.push(one) });
    expect(logged).toEqual([notice()]);
  });
});
