import { join, resolve } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { SECRET_REFERENCE } from '../../contracts/spec/secrets.ts';
import type { PerennialConfig } from '../config.ts';

/** Where the online feature store lies. */
export type FeatureStoreLocation =
  | { readonly kind: 'lmdb'; readonly folder: string }
  /** With `${env:PERENNIAL_SECRET_…}` in it, which is resolved where the store is opened. */
  | { readonly kind: 'redis'; readonly url: string };

/** The variables that {@link featureStoreSettings} reads, for documentation and `--help`. */
export const FEATURE_STORE_VARIABLES = {
  PERENNIAL_FEATURE_STORE:
    'where features are looked up while serving: lmdb:FOLDER on this machine, or redis://HOST:PORT/DATABASE, rediss:// for TLS, for several; a password as ${env:PERENNIAL_SECRET_NAME} (default lmdb:<data dir>/features)',
} as const;

/** The part of a configuration that the online feature store needs. */
export type FeatureStoreConfig = Pick<PerennialConfig, 'dataDir' | 'featureStore'>;

/** The folder of the online feature store on this machine. */
export const featuresFolder = ({ dataDir }: Pick<PerennialConfig, 'dataDir'>): string =>
  join(resolve(dataDir), 'features');

/** Where the store of a configuration lies. */
export const featureStoreLocation = (config: FeatureStoreConfig): FeatureStoreLocation =>
  config.featureStore ?? { kind: 'lmdb', folder: featuresFolder(config) };

/**
 * Reads what the environment says.
 *
 * @throws PerennialError `InputInvalid`
 */
export function featureStoreSettings(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Pick<PerennialConfig, 'featureStore'> {
  const text = env.PERENNIAL_FEATURE_STORE;
  if (!text) return {};
  const folder = /^lmdb:(?:\/\/)?(.+)$/.exec(text)?.[1];
  if (folder !== undefined) return { featureStore: { kind: 'lmdb', folder: resolve(cwd, folder) } };
  if (!isRedisUrl(text))
    // The text is not quoted: it may hold a password.
    throw new PerennialError(
      'InputInvalid',
      'PERENNIAL_FEATURE_STORE is neither lmdb:FOLDER nor redis://HOST:PORT/DATABASE or rediss://…, with a password only as ${env:PERENNIAL_SECRET_NAME}',
    );
  return { featureStore: { kind: 'redis', url: text } };
}

/** A password that stands in the address itself would be told by whoever tells the configuration. */
function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  return (
    ['redis:', 'rediss:'].includes(protocol) &&
    hostname !== '' &&
    search + hash === '' &&
    // Where there is no colon before the reference, the URL is cut at the one in it.
    !username.includes('$') &&
    (password === '' || decoded(password).replace(SECRET_REFERENCE, '') === '')
  );
}

/** A password as it is meant; as it stands where it cannot be read. */
function decoded(password: string): string {
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
