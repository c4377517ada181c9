import { Secrets } from '../secrets.ts';
import type { KeyStore } from '../store/agreed-key.ts';
import { OnlineFeatures } from './online-features.ts';
import { OnlineKeys, type OnlineSecrets, onlineSecrets } from './online-keys.ts';
import { type FeatureStoreConfig, featureStoreLocation, featuresFolder } from './settings.ts';

/** How a store is opened. */
export interface OpenOptions {
  /** Milliseconds for an answer to a look-up, where the store lies behind a network; default 50. */
  readonly timeoutMs?: number;
}

/** Where a store lies and what opens it: with secrets, for processes beside this one alone. */
export interface FeatureStoreAccess {
  readonly place:
    | { readonly kind: 'lmdb'; readonly folder: string }
    | { readonly kind: 'redis'; readonly url: string; readonly password?: string | undefined };
  readonly secrets: OnlineSecrets;
}

/**
 * What opens the online feature store of a configuration.
 *
 * @param artifacts says which keys of the keyring are used; asked only where this machine does not know it yet
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`, `SecretMissing`
 */
export async function featureStoreAccess(
  config: FeatureStoreConfig,
  artifacts: KeyStore,
): Promise<FeatureStoreAccess> {
  const secrets = await onlineSecrets(artifacts, featuresFolder(config));
  const location = featureStoreLocation(config);
  if (location.kind === 'lmdb') return { place: location, secrets };
  const url = new URL(location.url);
  const password = new Secrets(process.env).resolve(decodeURIComponent(url.password));
  url.password = '';
  return { place: { kind: 'redis', url: url.href, ...(password && { password }) }, secrets };
}

/**
 * The online feature store of a configuration.
 *
 * @throws OnlineStoreError where a folder cannot be opened; a server behind a network is not waited for
 * @throws PerennialError as {@link featureStoreAccess}
 * @example const store = await openFeatureStore(config, await openStore(config));
 */
export async function openFeatureStore(
  config: FeatureStoreConfig,
  artifacts: KeyStore,
  options: OpenOptions = {},
): Promise<OnlineFeatures> {
  return openByAccess(await featureStoreAccess(config, artifacts), options);
}

/** The same, where it is known what opens it. @throws OnlineStoreError */
export async function openByAccess(
  { place, secrets }: FeatureStoreAccess,
  options: OpenOptions = {},
): Promise<OnlineFeatures> {
  const keys = new OnlineKeys(secrets);
  // Each is loaded only where it is needed.
  if (place.kind === 'lmdb') {
    const { LmdbBackend } = await import('./lmdb-backend.ts');
    return new OnlineFeatures(await LmdbBackend.open(place.folder), keys);
  }
  const { RedisBackend } = await import('./redis-backend.ts');
  const password = place.password === undefined ? {} : { password: place.password };
  return new OnlineFeatures(RedisBackend.open(place.url, { ...options, ...password }), keys);
}
