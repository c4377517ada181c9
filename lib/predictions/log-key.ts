import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keyring } from '../store/keyring.ts';
import type { BlobKey } from '../store/sealed-format.ts';
import { isWithin } from '../store/store-location.ts';
import type { PredictionConfig } from './settings.ts';

/**
 * The key that segments and Parquet files are encrypted with: the keyring's current one.
 *
 * @returns `undefined` for a store that other machines may share and that nobody made a keyring for: such a deployment
 *   encrypts nothing. A keyring that is named, or was there and is gone, is an error: nothing is written in clear then
 * @throws PerennialError `KeyringInvalid`
 */
export async function logKey(config: PredictionConfig, keyring: Keyring): Promise<BlobKey | undefined> {
  if (await isWithoutKeyring(config)) return undefined;
  return keyring.current();
}

async function isWithoutKeyring({
  artifactStore,
  dataDir,
  keyring,
  encryptAll,
}: PredictionConfig): Promise<boolean> {
  if (keyring !== undefined || encryptAll === true || artifactStore === undefined) return false;
  if (artifactStore.kind === 'file' && isWithin(artifactStore.root, dataDir)) return false;
  return (await stat(join(dataDir, 'keyring.json')).catch(() => undefined)) === undefined;
}
