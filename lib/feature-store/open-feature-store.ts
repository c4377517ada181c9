import { Secrets } from '../secrets.ts';
import type { KeyStore } from '../store/agreed-key.ts';
import { LmdbBackend } from './lmdb-backend.ts';
import { OnlineFeatures } from './online-features.ts';
import { OnlineKeys } from './online-keys.ts';
import { type FeatureStoreConfig, featureStoreLocation, featuresFolder } from './settings.ts';

/** How a store is opened. */
export interface OpenOptions {
  /** Milliseconds for an answer to a look-up, where the store lies behind a network; default 50. */
  readonly timeoutMs?: number;
}

/**
 * The online feature store of a configuration.
 *
 * @param artifacts says which keys of the keyring are used; asked only where this machine does not know it yet
 * @throws OnlineStoreError where a folder cannot be opened; a server behind a network is not asked for anything yet
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`, `SecretMissing`
 * @example const store = await openFeatureStore(config, await openStore(config));
 */
export async function openFeatureStore(
  config: FeatureStoreConfig,
  artifacts: KeyStore,
  options: OpenOptions = {},
): Promise<OnlineFeatures> {
  const location = featureStoreLocation(config);
  const keys = await OnlineKeys.open(artifacts, featuresFolder(config));
  if (location.kind === 'lmdb') return new OnlineFeatures(await LmdbBackend.open(location.folder), keys);
  // Loaded only where it is needed.
  const { RedisBackend } = await import('./redis-backend.ts');
  const url = new URL(location.url);
  const password = new Secrets(process.env).resolve(decodeURIComponent(url.password));
  url.password = '';
  return new OnlineFeatures(RedisBackend.open(url.href, { ...options, ...(password && { password }) }), keys);
}
