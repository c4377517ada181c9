import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addServerKey, revokeServerKey, serverKeys } from '../../client/server-keys.ts';
import { configFromEnv } from '../../lib/config.ts';
import { metricsPage } from '../../serving/http/metrics.ts';
import { Channel } from '../../serving/process/channel.ts';
import { type CountingMember, MetricsSum } from '../../serving/process/metrics-sum.ts';
import { ApiKeys } from '../../serving/security/api-keys.ts';
import { drainFromEnv, servingFromEnv } from '../../workers/serving-options.ts';

const of = (env: Record<string, string>): ReturnType<typeof servingFromEnv> =>
  servingFromEnv(env, configFromEnv({}, '/work'), '/work');

describe('servingFromEnv', () => {
  it('fills in what nobody says', () => {
    const { access, tls, allowAnonymous, requests, processes } = of({ PERENNIAL_SERVER_KEYS: '' });
    expect(access).toMatchObject({ keysFile: '/work/.perennial/server-keys.json', keysRequired: false });
    expect({ tls, allowAnonymous, requests }).toEqual({
      tls: undefined,
      allowAnonymous: false,
      requests: {},
    });
    expect(processes).toBeGreaterThanOrEqual(1);
  });

  it('reads sizes, times, rates and files; a token leaves only its digest', () => {
    const options = of({
      PERENNIAL_SERVER_PROCESSES: '3',
      PERENNIAL_SERVER_RATE: '50/100',
      PERENNIAL_SERVER_MAX_BODY: '2MB',
      PERENNIAL_SERVER_MAX_BODIES: '64MiB',
      PERENNIAL_SERVER_HEADERS_TIMEOUT: '5s',
      PERENNIAL_SERVER_TLS_CERT: 'a.pem',
      PERENNIAL_SERVER_TLS_KEY: '/b.pem',
      PERENNIAL_SECRET_SERVER_TOKEN: 'hunter2hunter2',
      PERENNIAL_SERVER_KEYS: 'keys.json',
      PERENNIAL_SERVER_THREADS: '2',
      PERENNIAL_SERVER_MAX_ROWS: '500',
      PERENNIAL_SERVER_BATCH_WAIT: '0',
      PERENNIAL_SERVER_MAX_QUEUE: '50',
      PERENNIAL_SERVER_MAX_QUEUE_ROWS: '5000',
      PERENNIAL_SERVER_ANSWER_TIMEOUT: '7s',
    });
    expect(options).toMatchObject({
      processes: 3,
      threads: 2,
      maxRows: 500,
      batching: { maxWaitMs: 0, maxRequests: 50, maxRows: 5_000 },
      access: { rate: { perSecond: 50, burst: 100 }, keysFile: '/work/keys.json', keysRequired: true },
      requests: { bodyBytes: 2_000_000, allBodyBytes: 67_108_864, headersMs: 5_000, answerMs: 7_000 },
      tls: { cert: '/work/a.pem', key: '/b.pem' },
    });
    expect(JSON.stringify(options)).not.toContain('hunter2');
    expect(drainFromEnv({ PERENNIAL_SERVER_DRAIN_DELAY: '0s', PERENNIAL_SERVER_DRAIN_GRACE: '20s' })).toEqual(
      {
        delayMs: 0,
        graceMs: 20_000,
      },
    );
  });

  it.each([
    ['PERENNIAL_SERVER_PROCESSES', '0'],
    ['PERENNIAL_SERVER_PORT', '70000'],
    ['PERENNIAL_SERVER_THREADS', '0'],
    ['PERENNIAL_SERVER_BATCH_WAIT', '2s'],
    ['PERENNIAL_SERVER_MAX_QUEUE', '0'],
    ['PERENNIAL_SERVER_RATE', '0'],
    ['PERENNIAL_SERVER_RATE', '1/2/3'],
    ['PERENNIAL_SERVER_MAX_BODY', 'big'],
    ['PERENNIAL_SERVER_BODY_TIMEOUT', '-1s'],
    ['PERENNIAL_SERVER_ALLOW_ANONYMOUS', 'yes'],
    ['PERENNIAL_SERVER_TLS_CERT', 'a.pem'],
    ['PERENNIAL_SERVER_JWT_KEYS', 'keys.json'],
  ])('names %s where %s makes no sense', (variable, value) => {
    expect(() => of({ [variable]: value })).toThrow(variable.replace('_KEYS', ''));
  });
});

describe('the file of API keys', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'server-keys-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('holds digests for its owner alone; its tokens are found until they are revoked or expire', async () => {
    const path = join(folder, 'deep', 'keys.json');
    expect(serverKeys(path)).toEqual([]);
    const a = addServerKey(path, { id: 'a', roles: ['predict'] });
    const b = addServerKey(path, { id: 'b', roles: ['operate'], expires: '2030-01-01T00:00:00.000Z' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(serverKeys(path))).not.toContain(a.token);
    expect(() => addServerKey(path, { id: 'a', roles: ['predict'] })).toThrow('already');
    expect(() => addServerKey(path, { id: '../x', roles: ['predict'] })).toThrow('id');
    const keys = await ApiKeys.read(path);
    const year = (text: string): number => Date.parse(`${text}-01-01`);
    expect(keys?.find(a.token, year('2029'))).toMatchObject({ id: 'key a', roles: new Set(['predict']) });
    expect(keys?.find(b.token, year('2029'))?.id).toBe('key b');
    expect(keys?.find(b.token, year('2031'))).toBeUndefined();
    expect(keys?.find(a.key.sha256, year('2029'))).toBeUndefined();
    revokeServerKey(path, 'a');
    expect((await ApiKeys.read(path))?.find(a.token, year('2029'))).toBeUndefined();
    expect(() => revokeServerKey(path, 'a')).toThrow('no key a');
  });
});

describe('Channel', () => {
  it('carries answers and errors with their codes; what nobody answers fails', async () => {
    const one: Channel = new Channel((message) => two.receive(JSON.parse(JSON.stringify(message))));
    const two: Channel = new Channel((message) => one.receive(JSON.parse(JSON.stringify(message))));
    two
      .handle('double', (value) => Number(value) * 2)
      .handle('nothing', () => undefined)
      .handle('never', () => new Promise(() => undefined))
      .handle('fail', () => ApiKeys.read('/dev/null'));
    expect(await one.ask('double', 21)).toBe(42);
    expect(await one.ask('nothing')).toBeUndefined();
    await expect(one.ask('fail')).rejects.toMatchObject({ name: 'PerennialError', code: 'InputInvalid' });
    await expect(one.ask('unknown')).rejects.toThrow('nobody answers "unknown"');
    await expect(one.ask('never', undefined, 20)).rejects.toMatchObject({ code: 'ServerUnavailable' });
    const open = one.ask('never');
    one.close('it is gone');
    await expect(open).rejects.toThrow('it is gone');
    await expect(one.ask('double', 1)).rejects.toThrow('it is gone');
    one.receive({ cmd: 'not ours' });
  });
});

describe('MetricsSum', () => {
  it('adds processes up, and never falls when one ends', async () => {
    const counter = (value: number): object[] => [
      { name: 'c_total', help: 'c', type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] },
      { name: 'g', help: 'g', type: 'gauge', aggregator: 'sum', values: [{ value, labels: {} }] },
    ];
    const sum = new MetricsSum(() => 2);
    const textOf = async (members: CountingMember[]): Promise<string> =>
      (await metricsPage(await sum.collect(members))).text;
    const one = { counted: async (): Promise<unknown> => counter(5) };
    const two = { counted: async (): Promise<unknown> => counter(7) };
    expect(await textOf([one, two])).toMatch(/c_total 12\n[\s\S]*g 12\n/);
    await sum.ended(one, 'hang');
    const text = await textOf([two]);
    expect(text).toMatch(/c_total 12\n[\s\S]*g 7\n/);
    expect(text).toContain('perennial_server_process_ends_total{reason="hang"} 1');
    // One that hangs counts as it last did.
    expect(await textOf([{ counted: () => Promise.reject(new Error('hangs')) }, two])).toContain(
      'c_total 12',
    );
  });
});
