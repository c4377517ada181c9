import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { isWithin, storeLocation } from '../../lib/store/store-location.ts';

describe('where the artifact store lies', () => {
  it.each([
    ['file:/srv/artifacts', { kind: 'file', root: '/srv/artifacts' }],
    ['file:///srv/artifacts', { kind: 'file', root: '/srv/artifacts' }],
    ['file:artifacts', { kind: 'file', root: '/srv/artifacts' }],
    ['s3://models', { kind: 's3', bucket: 'models', prefix: '', root: 's3://models' }],
    ['s3://models/a/b/', { kind: 's3', bucket: 'models', prefix: 'a/b', root: 's3://models/a/b' }],
  ])('%s', (text, expected) => expect(storeLocation(text, { cwd: '/srv' })).toEqual(expected));

  it('may be a server that is not Amazon’s', () =>
    expect(storeLocation('s3://models', { endpoint: 'http://127.0.0.1:9000' })).toMatchObject({
      endpoint: 'http://127.0.0.1:9000',
      region: 'us-east-1',
    }));

  it.each([
    '',
    'artifacts',
    'file:',
    'file://host/x',
    's3://',
    's3://A_B/x',
    's3://m/../n',
    's3://m/a b',
    'gs://m',
  ])('not %j', (text) => expect(() => storeLocation(text)).toThrow(/PERENNIAL_ARTIFACT_STORE is .*expected/));

  it('tells no password of an endpoint', () => {
    const bad = () => storeLocation('s3://models', { endpoint: 'http://user:secret@host' });
    expect(bad).toThrow('PERENNIAL_ARTIFACT_STORE_ENDPOINT');
    expect(bad).not.toThrow('secret');
  });

  it.each([
    ['/data/artifacts', '/data', true],
    ['/data', '/data', true],
    ['/data-two', '/data', false],
    ['/data/..a', '/data', true],
    ['/', '/data', false],
  ])('%s within %s: %s', (path, folder, within) => expect(isWithin(path, folder)).toBe(within));
});

describe('the variables of the artifact store', () => {
  const config = (env: Record<string, string>) => configFromEnv(env, '/srv');

  it('have defaults', () => {
    const { artifactStore, artifactCache, keyring, encryptAll } = config({ PERENNIAL_ARTIFACT_STORE: '' });
    expect([artifactStore, artifactCache, keyring, encryptAll]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('say where it is, how much is kept here, and what is encrypted with which keys', () => {
    const env = {
      PERENNIAL_ARTIFACT_STORE: 's3://models/team',
      PERENNIAL_ARTIFACT_STORE_ENDPOINT: 'https://s3.example.com',
      PERENNIAL_ARTIFACT_CACHE: '1.5GiB',
      PERENNIAL_KEYRING: 'keys.json',
      PERENNIAL_ENCRYPT: 'all',
      AWS_REGION: 'eu-central-1',
    };
    expect(config(env)).toMatchObject({
      artifactStore: { bucket: 'models', prefix: 'team', region: 'eu-central-1' },
      artifactCache: 1.5 * 2 ** 30,
      keyring: '/srv/keys.json',
      encryptAll: true,
    });
    for (const name of Object.keys(env).filter((variable) => variable.startsWith('PERENNIAL')))
      expect(Object.keys(CONFIG_VARIABLES)).toContain(name);
  });

  it.each([
    ['PERENNIAL_ARTIFACT_CACHE', 'much'],
    ['PERENNIAL_ARTIFACT_CACHE', '10'],
    ['PERENNIAL_ENCRYPT', 'yes'],
    ['PERENNIAL_ARTIFACT_STORE', '/srv/artifacts'],
  ])('%s may not be %j', (name, value) =>
    expect(() => config({ [name]: value })).toThrow(`${name} is "${value}"`),
  );
});

describe('a keyring in the artifact store', () => {
  it.each([
    [
      'that is named',
      (folder: string) => ({ dataDir: join(folder, 'data'), keyring: join(folder, 'store', 'keys.json') }),
    ],
    ['of a data directory in the store', (folder: string) => ({ dataDir: join(folder, 'store', 'data') })],
  ])('%s is refused before anything is stored', async (_which, settings) => {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-keyring-'));
    try {
      const root = join(folder, 'store');
      const opening = openStore({ ...settings(folder), artifactStore: { kind: 'file', root } });
      await expect(opening).rejects.toMatchObject({
        code: 'KeyringInvalid',
        message: expect.stringContaining(`would lie in the artifact store ${root}`),
      });
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
