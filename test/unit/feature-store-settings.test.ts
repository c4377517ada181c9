import { expect, it } from 'vitest';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';
import { featureStoreLocation } from '../../lib/feature-store/settings.ts';

const located = (text?: string) =>
  featureStoreLocation(configFromEnv(text === undefined ? {} : { PERENNIAL_FEATURE_STORE: text }, '/work'));

it('is a folder of the data directory, another one, or a server', () => {
  const usual = { kind: 'lmdb', folder: '/work/.perennial/features' };
  expect(located()).toEqual(usual);
  expect(located('')).toEqual(usual);
  expect(located('lmdb:online')).toEqual({ kind: 'lmdb', folder: '/work/online' });
  expect(located('lmdb:/data/online')).toEqual({ kind: 'lmdb', folder: '/data/online' });
  expect(located('lmdb:///data/online')).toEqual({ kind: 'lmdb', folder: '/data/online' });
  for (const url of [
    'redis://127.0.0.1:6379/0',
    'rediss://user@features.example.org',
    'redis://:${env:PERENNIAL_SECRET_REDIS}@features.example.org:6380/2',
    'rediss://user:${env:PERENNIAL_SECRET_REDIS}@features.example.org',
  ])
    expect(located(url)).toEqual({ kind: 'redis', url });
  expect(CONFIG_VARIABLES).toHaveProperty('PERENNIAL_FEATURE_STORE');
});

it.each([
  'redis',
  'http://example.org',
  'lmdb:',
  '/data/online',
  'redis://:hunter2@example.org',
  'redis://user:hunter2${env:PERENNIAL_SECRET_REDIS}@example.org',
  'redis://${env:PERENNIAL_SECRET_REDIS}@example.org',
  'redis://:%@example.org',
  'redis://example.org?password=hunter2',
])('refuses %s, and does not repeat it', (text) => {
  expect(() => located(text)).toThrow(
    expect.objectContaining({ code: 'InputInvalid', message: expect.not.stringContaining('hunter2') }),
  );
});
