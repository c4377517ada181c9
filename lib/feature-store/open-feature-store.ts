import type { KeyStore } from '../store/agreed-key.ts';
import { LmdbBackend } from './lmdb-backend.ts';
import { OnlineFeatures } from './online-features.ts';
import { OnlineKeys } from './online-keys.ts';
import { type FeatureStoreConfig, featureStoreLocation, featuresFolder } from './settings.ts';

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
): Promise<OnlineFeatures> {
  const location = featureStoreLocation(config);
  const keys = await OnlineKeys.open(artifacts, featuresFolder(config));
  if (location.kind === 'lmdb') return new OnlineFeatures(await LmdbBackend.open(location.folder), keys);
  throw new Error('not yet');
}
