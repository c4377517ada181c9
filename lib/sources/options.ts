import { join } from 'node:path';
import type { PrivacySpec } from '../../contracts/spec/privacy.ts';
import type { PerennialConfig } from '../config.ts';
import { Secrets } from '../secrets.ts';
import type { Keyring } from '../store/keyring.ts';
import { HostRules } from './hosts.ts';
import type { SourceOptions } from './source.ts';

/** What a worker's configuration lets its sources do. Nothing is remembered of web addresses: see {@link remembering}. */
export function sourceOptions(
  config: Pick<
    PerennialConfig,
    'dataDir' | 'sourceRoots' | 'sourceHosts' | 'sourcePrivateHosts' | 'keyring' | 'artifactStore'
  >,
  scratchDir: string,
  signal?: AbortSignal,
): SourceOptions {
  const { dataDir, artifactStore } = config;
  return {
    roots: config.sourceRoots,
    denied: [
      dataDir,
      config.keyring ?? join(dataDir, 'keyring.json'),
      ...(artifactStore?.kind === 's3' ? [] : [artifactStore?.root ?? join(dataDir, 'artifacts')]),
    ],
    hosts: new HostRules(config.sourceHosts, config.sourcePrivateHosts),
    secrets: new Secrets(process.env),
    scratchDir,
    ...(signal ? { signal } : {}),
  };
}

/**
 * What web addresses answered is kept only where a spec names nothing personal, and encrypted all the same: what is
 * personal may be found later.
 */
export const remembering = (
  config: Pick<PerennialConfig, 'dataDir'>,
  keyring: Keyring,
  { subject, columns }: Pick<PrivacySpec, 'subject' | 'columns'>,
): Pick<SourceOptions, 'cache'> =>
  subject.length > 0 || Object.keys(columns).length > 0
    ? {}
    : { cache: { folder: httpCache(config), keyring } };

/** The folder for what web addresses answered. */
export const httpCache = ({ dataDir }: Pick<PerennialConfig, 'dataDir'>): string =>
  join(dataDir, 'sources', 'http');
