import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { PerennialConfig } from '../config.ts';
import { ArtifactStore } from './artifact-store.ts';
import { type BlobBackend, needsKeys } from './blob-backend.ts';
import { FileBackend } from './file-backend.ts';
import { Keyring, type WhereMissing } from './keyring.ts';
import { isWithin, type StoreLocation } from './store-location.ts';

/** The part of a configuration that says where artifacts lie. */
export type StoreSettings = Pick<
  PerennialConfig,
  'dataDir' | 'artifactStore' | 'artifactCache' | 'keyring' | 'encryptAll'
>;

/** Default size of the local copies of a store on S3. */
export const DEFAULT_CACHE_BYTES = 10e9;
const HALF_WRITTEN_MS = 86_400_000;

/**
 * The artifact store of a configuration.
 *
 * @throws PerennialError where its folder cannot be made; `KeyringInvalid` where the keyring lies in it. A bucket is not asked for anything yet.
 * @example const store = await openStore(configFromEnv(process.env));
 */
export async function openStore(settings: StoreSettings): Promise<ArtifactStore> {
  const { dataDir } = settings;
  const options = { encrypt: settings.encryptAll === true };
  const location = settings.artifactStore ?? { kind: 'file', root: join(dataDir, 'artifacts') };
  const keys = settings.keyring ?? join(dataDir, 'keyring.json');
  if (location.kind === 'file' && isWithin(keys, location.root))
    throw new PerennialError(
      'KeyringInvalid',
      `the keyring ${keys} would lie in the artifact store ${location.root}, and every copy of the store hold its keys; put it elsewhere and name it by PERENNIAL_KEYRING`,
    );
  const keyring = (backend: BlobBackend) => new Keyring(keys, whereMissing(settings, location, backend));
  if (location.kind === 'file') {
    const backend = await FileBackend.create(location.root);
    return ArtifactStore.over(backend, keyring(backend), options);
  }
  // Loaded only where it is needed: the SDK takes half a second.
  const { S3Backend } = await import('./s3-backend.ts');
  const backend = await S3Backend.create(location, {
    folder: join(dataDir, 'cache', 'artifacts'),
    maxBytes: settings.artifactCache ?? DEFAULT_CACHE_BYTES,
  });
  return ArtifactStore.over(backend, keyring(backend), options);
}

/** What killed writers left longer ago than this is nobody's any more. */
export const halfWrittenBefore = (asOf: number): number => asOf - HALF_WRITTEN_MS;

/** Only a store that is part of the data directory has a keyring that is made by itself. */
function whereMissing(
  { dataDir, keyring }: StoreSettings,
  location: StoreLocation,
  backend: BlobBackend,
): WhereMissing {
  if (keyring !== undefined)
    return { create: false, why: `PERENNIAL_KEYRING names ${keyring}, which does not exist` };
  if (location.kind === 'file' && isWithin(location.root, dataDir))
    return { create: true, needed: () => needsKeys(backend) };
  return { create: false, why: `the artifact store ${location.root} may be shared with other machines` };
}
