import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Channel, ToldAlert } from '../../contracts/alerts.ts';
import { type DeliverySettings, deliver } from '../../lib/notices/deliver.ts';
import { failedDelivery, KEY, sampleNotice } from '../support/deliveries.ts';
import { HookReceiver, verifyWebhook } from '../support/notice-receivers.ts';

const OTHER_KEY = Buffer.alloc(24, 8).toString('base64');

let hook: HookReceiver;
let elsewhere: HookReceiver;
beforeAll(async () => {
  elsewhere = await HookReceiver.start();
  hook = await HookReceiver.start(elsewhere.url);
});
afterAll(async () => {
  await Promise.all([hook?.close(), elsewhere?.close()]);
});
beforeEach(() => {
  hook.posted.length = 0;
  hook.answers = [];
});

const settings = (
  env: Record<string, string> = {},
  more: Partial<DeliverySettings> = {},
): DeliverySettings => ({
  notifyUrl: hook.url,
  env: {
    PERENNIAL_SECRET_NOTIFY_KEY: KEY,
    PERENNIAL_SECRET_NOTIFY_TOKEN: 'the-token',
    PERENNIAL_SECRET_SLACK_URL: hook.url.replace('/hook', '/services/T0/B0/secret-path'),
    ...env,
  },
  log: () => undefined,
  timeoutMs: 30_000,
  ...more,
});
const failed = (channel: Channel, own = settings()) => failedDelivery(channel, own);

describe('the web hook', () => {
  it('gets the whole notice, signed after Standard Webhooks, and the token', async () => {
    const told = sampleNotice();
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
    await deliver({ channel: 'webhook', notice: sampleNotice() }, settings());
    await deliver({ channel: 'webhook', notice: sampleNotice() }, settings());
    const [first, second] = hook.posted.map(({ headers }) => headers['webhook-id']);
    expect(first).toBe(second);
  });

  it('takes either key while keys are changed, and none where none is set', async () => {
    await deliver(
      { channel: 'webhook', notice: sampleNotice() },
      settings({ PERENNIAL_SECRET_NOTIFY_KEY: `${KEY} ${OTHER_KEY}` }),
    );
    for (const key of [KEY, OTHER_KEY])
      expect(verifyWebhook(key, hook.posted[0] ?? { headers: {}, body: '' })).toMatchObject({
        kind: 'alert',
      });
    await deliver(
      { channel: 'webhook', notice: sampleNotice() },
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
    for (const own of [settings({}, { timeoutMs: 500 }), settings({}, { notifyUrl: 'http://127.0.0.1:1/' })])
      expect(await failed('webhook', own)).toMatchObject({ code: 'ServerUnavailable', retryable: true });
  });
});

describe('Slack', () => {
  it('gets a message in which nothing is a mention, a link or a command, but the report', async () => {
    await deliver({ channel: 'slack', notice: sampleNotice() }, settings());
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
    const base = sampleNotice();
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

describe('a channel that is not set up', () => {
  it('says what to set', async () => {
    const none: DeliverySettings = { env: {}, log: () => undefined };
    for (const [channel, variable] of [
      ['webhook', 'PERENNIAL_NOTIFY_URL'],
      ['slack', 'PERENNIAL_SECRET_SLACK_URL'],
      ['email', 'PERENNIAL_MAIL_TO'],
    ] as const)
      expect((await failed(channel, none)).message).toContain(variable);
    const logged: ToldAlert[] = [];
    await deliver({ channel: 'log', notice: sampleNotice() }, { ...none, log: (one) => logged.push(one) });
    expect(logged).toEqual([sampleNotice()]);
  });
});
