import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';
import { channelsOf } from '../../lib/notices/settings.ts';
import { signatureHeaders } from '../../lib/notices/signature.ts';

const MAIL = { PERENNIAL_MAIL_FROM: 'mlops@example.org', PERENNIAL_MAIL_TO: 'ada@example.org' };

describe('the settings of mail', () => {
  it('are from whom and to whom, with names or without', () => {
    expect(configFromEnv({}).mail).toBeUndefined();
    expect(
      configFromEnv({
        PERENNIAL_MAIL_FROM: ' Perennial <mlops@example.org>',
        PERENNIAL_MAIL_TO: 'ada@example.org, Grace Hopper <grace+x@example.org>,',
      }).mail,
    ).toEqual({
      from: { name: 'Perennial', address: 'mlops@example.org' },
      to: [
        { name: '', address: 'ada@example.org' },
        { name: 'Grace Hopper', address: 'grace+x@example.org' },
      ],
    });
    for (const name of Object.keys(MAIL)) expect(Object.keys(CONFIG_VARIABLES)).toContain(name);
  });

  it.each([
    { ...MAIL, PERENNIAL_MAIL_TO: '' },
    { ...MAIL, PERENNIAL_MAIL_FROM: '' },
    { ...MAIL, PERENNIAL_MAIL_TO: 'ada' },
    { ...MAIL, PERENNIAL_MAIL_TO: 'ada@example.org\r\nBcc: eve@example.org' },
    { ...MAIL, PERENNIAL_MAIL_FROM: 'a\r\nBcc: eve@example.org <ada@example.org>' },
    { ...MAIL, PERENNIAL_MAIL_FROM: 'ada@example.org> <eve@example.org' },
  ])('refuse what is no address: %j', (env) => {
    expect(() => configFromEnv(env)).toThrow(/PERENNIAL_MAIL_(FROM|TO)/);
  });
});

describe('the channels', () => {
  it('are those that are set up, or the log', () => {
    const slack = { PERENNIAL_SECRET_SLACK_URL: 'https://hooks.example.org/x' };
    const of = (env: Record<string, string>) => channelsOf(configFromEnv(env), env);
    expect(of({})).toEqual(['log']);
    expect(of({ PERENNIAL_NOTIFY_URL: 'https://hook.example.org/' })).toEqual(['webhook']);
    expect(of({ ...MAIL, ...slack, PERENNIAL_NOTIFY_URL: 'https://hook.example.org/' })).toEqual([
      'webhook',
      'slack',
      'email',
    ]);
  });
});

describe('a signature', () => {
  // The example of the specification of Standard Webhooks and of its libraries.
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const message = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: 1_614_265_330_000,
    body: '{"test": 2432232314}',
  };

  it('is the one of the reference', () => {
    expect(signatureHeaders(message, secret)).toEqual({
      'webhook-id': message.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
    expect(signatureHeaders(message, secret.slice(6))).toEqual(signatureHeaders(message, secret));
  });

  it('is of the bytes in UTF-8', () => {
    const own = { ...message, body: '{"é":"π"}' };
    const key = Buffer.from(secret.slice(6), 'base64');
    const expected = createHmac('sha256', key)
      .update(Buffer.from(`${own.id}.1614265330.${own.body}`, 'utf8'))
      .digest('base64');
    expect(signatureHeaders(own, secret)['webhook-signature']).toBe(`v1,${expected}`);
  });
});
